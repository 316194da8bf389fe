// Hedges of one exchange: while its attempt takes long, another endpoint is asked as well, and the first
// good answer counts. Made only for exchanges that may be hedged.
import type { ErrorCode } from '../../errors.ts'
import { WheelTimer } from '../../lib/timer-wheel.ts'
import type { ResponseSink } from '../http/client-connection.ts'
import type { ResponseHead } from '../http/message-head.ts'
import type { Endpoint } from '../upstream/endpoint.ts'
import type { Service } from '../upstream/service.ts'
import { type AttemptTerms, isUnwell, isWorthRetry, Wait } from './attempt-bounds.ts'
import { Hedge, type HedgeObserver } from './hedge.ts'
import type { Retrying } from './retrying.ts'
import type { ExchangeRun } from './run.ts'

/** What is hedged: the attempts of the exchange itself, one at a time. */
export interface HedgedAttempts extends ResponseSink {
  /** Where the one under way goes; null while there is none. */
  readonly endpoint: Endpoint | null
  further(): Retrying
  headTo(endpoint: Endpoint, now: number): string
  /** The hedge is the attempt from now on; the one under way is given up. */
  adopt(hedge: Hedge, now: number): void
  onNoConnection(code: ErrorCode): void
  onOverdue(waitsFor: number, now: number): void
}

/** Whether sending it twice means nothing to anybody (RFC 9110 9.2.1). */
function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
}

/** The hedges of an exchange, or null if it gets none. */
export function hedgingOf(
  run: ExchangeRun,
  service: Service,
  terms: AttemptTerms,
  attempts: HedgedAttempts,
): Hedging | null {
  if (!terms.mayHedge || run.requestHasBody || run.upgrade !== null || !isSafe(run.method)) {
    return null
  }
  return new Hedging(run, service, terms, attempts)
}

/** When they are sent, and what becomes of them. */
export class Hedging extends WheelTimer implements HedgeObserver {
  readonly run: ExchangeRun
  readonly service: Service
  readonly terms: AttemptTerms
  readonly #attempts: HedgedAttempts
  readonly #delayMs: number
  /** How many may still be sent. */
  #left: number
  readonly #running: Hedge[] = []

  constructor(run: ExchangeRun, service: Service, terms: AttemptTerms, attempts: HedgedAttempts) {
    super()
    this.run = run
    this.service = service
    this.terms = terms
    this.#attempts = attempts
    const { afterMs, max } = service.settings.hedge!
    this.#delayMs = service.latencies === null ? afterMs : service.latencies.valueMs()
    this.#left = this.#delayMs < 0 ? 0 : max
  }

  /** Whether some hedge is under way. */
  get isRunning(): boolean {
    return this.#running.length > 0
  }

  /** An attempt begins. */
  watch(now: number): void {
    if (this.#left > 0) this.run.context.wheel.arm(this, this.#delayMs, now)
  }

  /** There is nothing to hedge for now. */
  pause(): void {
    this.run.context.wheel.cancel(this)
  }

  override onTimeout(now: number): void {
    if (this.#send()) this.watch(now)
  }

  #send(): boolean {
    const { run, service } = this
    const { breaker, budget, settings } = service
    const { endpoint } = this.#attempts
    if (breaker !== null && !breaker.isClosed) return false
    const further = this.#attempts.further()
    if (endpoint !== null) further.addTried(endpoint)
    if (!service.hasOther(further.tried, null)) return false
    if (!budget.take()) {
      settings.counters.hedgeRefused()
      return false
    }
    const other = service.pick(run, further.tried)
    if (other === null) return false
    further.addTried(other)
    this.#left--
    settings.counters.hedge()
    run.attempts++
    other.begin()
    const hedge = new Hedge(other, this)
    this.#running.push(hedge)
    hedge.begin(false)
    return !run.isAnswered
  }

  headTo(endpoint: Endpoint, now: number): string {
    this.run.endpoint = endpoint.address
    return this.#attempts.headTo(endpoint, now)
  }

  // ---- what hedges report -------------------------------------------------------------------------

  onHead(hedge: Hedge, head: ResponseHead): void {
    const { counters } = this.service.settings
    const now = this.run.context.clock.now()
    const unwell = isUnwell(head.status, this.service)
    const isGood = !unwell && !isWorthRetry(head.status, this.terms)
    if (isGood) counters.hedgeWon()
    else if (!this.#isLast(hedge)) {
      this.#remove(hedge)
      const latencyMs = now - hedge.sentAt
      counters.attempt(head.status, latencyMs)
      this.#attempts.further().letGo(hedge.connection!)
      this.service.ended(hedge.endpoint, latencyMs, unwell)
      return
    }
    this.#handOver(hedge, now)
    this.#attempts.onResponseHead(head)
  }

  onNoConnection(hedge: Hedge, code: ErrorCode): void {
    const now = this.run.context.clock.now()
    if (!this.#isLast(hedge)) this.#fail(hedge, code, code !== 'queue_full', now)
    else {
      this.#handOver(hedge, now)
      this.#attempts.onNoConnection(code)
    }
  }

  onFailed(hedge: Hedge, code: ErrorCode): void {
    const now = this.run.context.clock.now()
    if (!this.#isLast(hedge)) this.#fail(hedge, code, true, now)
    else {
      this.#handOver(hedge, now)
      this.#attempts.onResponseFailed(code)
    }
  }

  onOverdue(hedge: Hedge, waitsFor: number, now: number): void {
    if (this.#isLast(hedge)) {
      this.#handOver(hedge, now)
      this.#attempts.onOverdue(waitsFor, now)
      return
    }
    const { connection } = hedge
    connection?.abort()
    if (waitsFor === Wait.queue) {
      this.service.settings.counters.queueTimeout()
      this.#fail(hedge, 'queue_timeout', false, now)
    } else
      this.#fail(hedge, connection === null ? 'connect_timeout' : 'upstream_timeout', true, now)
  }

  // ---- how they end -------------------------------------------------------------------------------

  /**
   * The exchange has its answer, whose endpoint took `latencyMs` for it: the others are given up.
   * @param unwell whether the answer is that of an endpoint that cannot serve.
   */
  settle(latencyMs: number, unwell: boolean): void {
    if (!unwell) this.service.latencies?.record(latencyMs)
    this.run.endpoint = this.#attempts.endpoint!.address
    this.end(latencyMs)
  }

  /** The attempt that was hedged is given up after `waitedMs`, because a hedge was answered first. */
  outrun(endpoint: Endpoint, waitedMs: number): void {
    // Else what is slow would be what is never measured.
    this.service.latencies?.record(waitedMs)
    endpoint.outrun(waitedMs)
  }

  /** Gives all up. Those that had as long as the answer took, and more, were slow. */
  end(latencyMs: number): void {
    this.pause()
    if (this.#running.length === 0) return
    const now = this.run.context.clock.now()
    for (let i = 0; i < this.#running.length; i++) {
      const hedge = this.#running[i]!
      const waitedMs = now - hedge.sentAt
      hedge.release()
      if (hedge.connection !== null && waitedMs > latencyMs) hedge.endpoint.outrun(waitedMs)
      else hedge.endpoint.cancel()
      hedge.connection?.abort()
    }
    this.#running.length = 0
  }

  /** The exchange's time is over: hedges that had `fairMs` of it have failed. */
  expire(now: number, fairMs: number): void {
    for (let i = this.#running.length - 1; i >= 0; i--) {
      const hedge = this.#running[i]!
      if (hedge.waitingIn !== null || now - hedge.sentAt < fairMs) continue
      hedge.connection?.abort()
      this.#fail(hedge, 'exchange_timeout', true, now)
    }
  }

  /** Whether nothing else is under way that could still be answered. */
  #isLast(hedge: Hedge): boolean {
    return (
      this.#attempts.endpoint === null && this.#running.length === 1 && this.#running[0] === hedge
    )
  }

  #handOver(hedge: Hedge, now: number): void {
    this.#remove(hedge)
    this.#attempts.adopt(hedge, now)
    hedge.connection?.passTo(this.#attempts)
  }

  #fail(hedge: Hedge, code: ErrorCode, isEndpoints: boolean, now: number): void {
    const { service } = this
    const elapsedMs = now - hedge.sentAt
    this.#remove(hedge)
    service.settings.counters.attempt(0, elapsedMs)
    service.settings.counters.error(code)
    if (isEndpoints) service.ended(hedge.endpoint, elapsedMs, true)
    else hedge.endpoint.cancel()
  }

  #remove(hedge: Hedge): void {
    hedge.release()
    const index = this.#running.indexOf(hedge)
    if (index !== -1) this.#running.splice(index, 1)
  }
}
