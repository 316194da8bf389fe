// The mirror of a route as its last stage: it sees requests as the last policy left them, and answers
// before the first one touches them. It never stops, changes or delays anything.
import { passedUpgrade } from '../../http/upgrade.ts'
import type { Exchange } from '../exchange.ts'
import type { PolicyHooks } from '../policy.ts'
import type { ExchangeRun } from '../run.ts'
import type { MirrorPlan } from './mirror-plan.ts'
import { COPY_BYTES } from './mirror-room.ts'
import { MirroredExchange } from './mirrored-exchange.ts'

/**
 * The hooks of a mirror.
 * @param slot the place in an exchange's slots where its copy is.
 */
export function mirrorHooks(plan: MirrorPlan, slot: number): PolicyHooks {
  const { compare } = plan
  const mirror = new Mirror(plan, slot)
  return {
    onRequest: (exchange) => mirror.begin(exchange as ExchangeRun),
    onForward: (exchange) => mirror.forward(exchange as ExchangeRun),
    onRequestBody: (exchange, data) => mirror.requestBody(exchange, data),
    onFinish: (exchange) => mirror.finish(exchange),
    ...(compare === null ? {} : { onResponse: (exchange) => mirror.response(exchange) }),
    ...(compare === null || compare.ignored === null
      ? {}
      : { onResponseBody: (exchange, data) => mirror.responseBody(exchange, data) }),
  }
}

class Mirror {
  readonly #plan: MirrorPlan
  readonly #slot: number

  constructor(plan: MirrorPlan, slot: number) {
    this.#plan = plan
    this.#slot = slot
  }

  /** Decides whether the request is copied. */
  begin(run: ExchangeRun): void {
    const { bodyBytesMax, copies, counters, inFlightMax, methods, room, share, upgrades } =
      this.#plan
    if (!methods.has(run.method) || (share < 1 && Math.random() >= share)) return
    if (passedUpgrade(run.request, upgrades) !== null) counters.skipped('upgrade')
    else if (run.requestContentLength > bodyBytesMax) counters.skipped('too_large')
    else if (copies.inFlight >= inFlightMax) counters.skipped('busy')
    else if (!room.take(COPY_BYTES)) counters.skipped('memory')
    else run.slots[this.#slot] = new MirroredExchange(this.#plan, run)
  }

  forward(run: ExchangeRun): void {
    const mirrored = this.#of(run)
    if (mirrored === null) return
    try {
      mirrored.onForward(run)
    } catch (error) {
      mirrored.onDefect(error)
    }
  }

  requestBody(exchange: Exchange, data: Buffer | null): Buffer | null {
    const mirrored = this.#of(exchange)
    if (mirrored === null) return data
    try {
      if (data === null) mirrored.onRequestEnd()
      else mirrored.onRequestData(data)
    } catch (error) {
      mirrored.onDefect(error)
    }
    return data
  }

  response(exchange: Exchange): void {
    const mirrored = this.#of(exchange)
    if (mirrored === null) return
    try {
      mirrored.onOwnHead(exchange.response)
    } catch (error) {
      mirrored.onDefect(error)
    }
  }

  responseBody(exchange: Exchange, data: Buffer | null): Buffer | null {
    const mirrored = this.#of(exchange)
    if (mirrored === null || data === null) return data
    try {
      mirrored.onOwnData(data)
    } catch (error) {
      mirrored.onDefect(error)
    }
    return data
  }

  finish(exchange: Exchange): void {
    const mirrored = this.#of(exchange)
    if (mirrored === null) return
    exchange.slots[this.#slot] = null
    mirrored.onOwnEnd(exchange.errorCode === null && exchange.response !== null)
  }

  #of(exchange: Exchange): MirroredExchange | null {
    return exchange.slots[this.#slot] as MirroredExchange | null
  }
}
