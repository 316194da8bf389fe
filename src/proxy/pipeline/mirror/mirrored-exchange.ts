// One exchange that is mirrored: gathers the copy while the request is forwarded, sends it afterwards,
// and brings both answers together. Nothing of the exchange itself ever waits for it.

import { WheelTimer } from '../../../lib/timer-wheel.ts'
import type { MirrorSkip, NotCompared } from '../../../observability/mirror-metrics.ts'
import {
  EXPECT_FIELD,
  FORWARDED_FIELDS,
  HOP_FIELDS,
  HOST_FIELD,
  LENGTH_FIELD,
} from '../../http/compose-head.ts'
import type { ResponseHead } from '../../http/message-head.ts'
import type { Endpoint } from '../../upstream/endpoint.ts'
import { type CircuitPass, circuitPass } from '../circuit-pass.ts'
import { hostValue, passedLines } from '../request-head.ts'
import type { ExchangeRun } from '../run.ts'
import { CapturedAnswer } from './captured-answer.ts'
import { type Compared, compareAnswers } from './comparison.ts'
import type { CopyInFlight, MirrorPlan } from './mirror-plan.ts'
import { COPY_BYTES, KeptBody } from './mirror-room.ts'
import { type CopyOwner, MirroredCopy } from './mirrored-copy.ts'

/** Tells the service that this is a copy, and of which route. No client can send it. */
export const MIRROR_HEADER = 'X-Gatehouse-Mirror'
/** Characters of a path that are logged. */
const LOGGED_PATH_MAX = 256
const NO_BODY = Buffer.alloc(0)
const NONE_TRIED: readonly Endpoint[] = []
const Phase = { gathering: 0, due: 1, sent: 2, answered: 3, comparing: 4, over: 5 } as const

/** The copy of one exchange, from its first byte to the comparison. */
export class MirroredExchange extends WheelTimer implements CopyOwner, CopyInFlight {
  readonly #plan: MirrorPlan
  /** Until the copy is sent. */
  #run: ExchangeRun | null
  readonly #method: string
  readonly #path: string
  readonly #body: KeptBody | null
  #bodyEnded = false
  /** The lines of the head after Host; '' until the request was forwarded. */
  #lines = ''
  #target = ''
  #copy: MirroredCopy | null = null
  #sentAt = 0
  readonly #own: CapturedAnswer | null
  readonly #mirrored: CapturedAnswer | null
  #phase: number = Phase.gathering

  /** Its COPY_BYTES are taken already. */
  constructor(plan: MirrorPlan, run: ExchangeRun) {
    super()
    const { compare, room } = plan
    this.#plan = plan
    this.#run = run
    this.#method = run.method
    this.#path = run.path
    this.#body = run.requestHasBody ? new KeptBody(room, plan.bodyBytesMax) : null
    this.#own = compare === null ? null : new CapturedAnswer(compare, room)
    this.#mirrored = compare === null ? null : new CapturedAnswer(compare, room)
  }

  // ---- the request ------------------------------------------------------------------------------

  /** A piece of the body goes to the service. */
  onRequestData(data: Buffer): void {
    if (this.#phase !== Phase.gathering || this.#body === null) return
    const refused = this.#body.add(data)
    if (refused !== null) this.#skip(refused)
  }

  onRequestEnd(): void {
    this.#bodyEnded = true
    this.#sendWhenWhole()
  }

  /** The head of an attempt goes to the service; the first one counts. */
  onForward(run: ExchangeRun): void {
    if (this.#phase !== Phase.gathering || this.#lines !== '') return
    const { route } = this.#plan
    let drop = HOP_FIELDS | FORWARDED_FIELDS | HOST_FIELD | EXPECT_FIELD
    if (this.#body !== null) drop |= LENGTH_FIELD
    this.#target = run.forwardedTarget
    this.#lines = `${passedLines(run, drop)}${MIRROR_HEADER}: ${route}\r\n`
    this.#sendWhenWhole()
  }

  #sendWhenWhole(): void {
    if (this.#phase !== Phase.gathering || this.#lines === '') return
    if (this.#body !== null && !this.#bodyEnded) return
    this.#phase = Phase.due
    // Not before what is under way now has been written.
    setImmediate(send, this)
  }

  /** Sends the copy. */
  send(): void {
    if (this.#phase !== Phase.due) return
    const { copies, inFlightMax, service } = this.#plan
    if (copies.isClosed) this.#release()
    else if (copies.inFlight >= inFlightMax) this.#skip('busy')
    else {
      const pass = service.breaker === null ? null : circuitPass(service.breaker, service)
      if (service.breaker !== null && pass === null) this.#skip('circuit_open')
      else this.#sendTo(service.pick(this.#run!, NONE_TRIED), pass)
    }
  }

  #sendTo(endpoint: Endpoint | null, pass: CircuitPass | null): void {
    if (endpoint === null) {
      pass?.cancel()
      this.#skip('no_endpoint')
      return
    }
    const run = this.#run!
    this.#run = null
    const { clock, copies, service } = this.#plan
    const host = hostValue(run, service, endpoint, this.#plan) ?? run.request.host
    const body = this.#body?.bytes ?? NO_BODY
    const length = this.#body === null ? '' : `Content-Length: ${body.length}\r\n`
    const head = `${this.#method} ${this.#target} HTTP/1.1\r\nHost: ${host}\r\n${this.#lines}${length}\r\n`
    this.#phase = Phase.sent
    this.#sentAt = clock.now()
    copies.add(this)
    this.#copy = new MirroredCopy(this.#plan, this, {
      method: this.#method,
      head,
      body,
      endpoint,
      pass,
    })
    this.#copy.send()
  }

  // ---- the service's answer -----------------------------------------------------------------------

  /** Null when the gateway answers in its place. */
  onOwnHead(head: ResponseHead | null): void {
    if (head === null) this.#own?.end(false)
    else this.#own?.begin(head)
    this.#compareWhenOver()
  }

  onOwnData(data: Buffer): void {
    this.#own?.add(data)
    this.#compareWhenOver()
  }

  /** The exchange is over. */
  onOwnEnd(isComplete: boolean): void {
    if (this.#phase === Phase.gathering) {
      this.#skip('incomplete')
      return
    }
    this.#own?.end(isComplete)
    this.#compareWhenOver()
  }

  // ---- the mirror's answer ------------------------------------------------------------------------

  onMirrorHead(head: ResponseHead): void {
    this.#mirrored?.begin(head)
  }

  onMirrorData(data: Buffer): void {
    this.#mirrored?.add(data)
  }

  onMirrorEnd(isComplete: boolean): void {
    if (this.#phase !== Phase.sent) return
    const { clock, counters, timeoutMs, wheel } = this.#plan
    const now = clock.now()
    counters.ended(isComplete ? 'answered' : 'failed')
    this.#copy = null
    this.#body?.release()
    if (this.#own === null) {
      this.#release()
      return
    }
    this.#mirrored!.end(isComplete)
    if (!this.#mirrored!.isComplete) {
      this.#notCompared('no_mirrored_answer')
      return
    }
    this.#phase = Phase.answered
    wheel.arm(this, this.#sentAt + timeoutMs - now, now)
    this.#compareWhenOver()
  }

  // ---- both ---------------------------------------------------------------------------------------

  /** The service's own answer takes too long to be waited for. */
  onTimeout(): void {
    this.#notCompared('no_answer')
  }

  /** The gateway ends, or the route is no longer mirrored. */
  drop(): void {
    if (this.#phase === Phase.sent) this.#plan.counters.ended('dropped')
    this.#copy?.abort()
    this.#copy = null
    this.#release()
  }

  #compareWhenOver(): void {
    if (this.#phase !== Phase.answered || this.#own?.isOver !== true) return
    if (!this.#own.isComplete) {
      this.#notCompared('no_answer')
      return
    }
    this.#phase = Phase.comparing
    this.#plan.wheel.cancel(this)
    this.#plan.room.compare(() => this.#compareNow())
  }

  async #compareNow(): Promise<void> {
    if (this.#phase !== Phase.comparing) return
    try {
      const compared = await compareAnswers(this.#own!, this.#mirrored!, this.#plan.compare!)
      // It was dropped meanwhile.
      if (this.#phase !== Phase.comparing) return
      if ('notCompared' in compared) this.#plan.counters.notCompared(compared.notCompared)
      else this.#report(compared)
    } catch (error) {
      this.onDefect(error)
    }
    this.#release()
  }

  #report({ result, differs }: Extract<Compared, { readonly result: string }>): void {
    const { clock, copies, counters, log, route, service } = this.#plan
    counters.compared(result)
    if (result === 'same') return
    const unlogged = copies.mayLog(clock.now())
    if (unlogged === -1) return
    const path = this.#path.slice(0, LOGGED_PATH_MAX)
    const fields = { route, mirror: service.name, method: this.#method, path, result, differs }
    log.warn({ ...fields, unlogged }, 'the mirror answers differently')
  }

  /** A defect of the gateway costs the copy, never the exchange. */
  onDefect(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.#plan.log.error({ route: this.#plan.route, error: text }, 'mirroring failed')
    this.drop()
  }

  #skip(reason: MirrorSkip): void {
    this.#plan.counters.skipped(reason)
    this.#release()
  }

  #notCompared(reason: NotCompared): void {
    this.#plan.counters.notCompared(reason)
    this.#release()
  }

  #release(): void {
    if (this.#phase === Phase.over) return
    this.#phase = Phase.over
    const { copies, room, wheel } = this.#plan
    this.#run = null
    wheel.cancel(this)
    // What still comes of the service's answer is no longer kept.
    this.#own?.end(false)
    this.#own?.release()
    this.#mirrored?.release()
    this.#body?.release()
    copies.remove(this)
    room.giveBack(COPY_BYTES)
  }
}

function send(exchange: MirroredExchange): void {
  try {
    exchange.send()
  } catch (error) {
    exchange.onDefect(error)
  }
}
