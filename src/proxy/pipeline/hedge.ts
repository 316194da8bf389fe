// A second attempt beside one that takes long: as little of an attempt as there is until the head of its
// answer, or its failure. Whoever sent it takes it from there.
import type { ErrorCode } from '../../errors.ts'
import { WheelTimer } from '../../lib/timer-wheel.ts'
import type { ClientConnection, ResponseSink } from '../http/client-connection.ts'
import type { ResponseHead } from '../http/message-head.ts'
import type { ConnectionPool, ConnectionWaiter } from '../upstream/connection-pool.ts'
import type { Endpoint } from '../upstream/endpoint.ts'
import type { Service } from '../upstream/service.ts'
import { type AttemptTerms, Wait } from './attempt-bounds.ts'
import type { ExchangeRun } from './run.ts'

/** Who sent the hedge, and hears of it exactly once. */
export interface HedgeObserver {
  readonly run: ExchangeRun
  readonly service: Service
  readonly terms: AttemptTerms
  /** The head to send there; '' when the exchange was answered instead. */
  headTo(endpoint: Endpoint, now: number): string
  onHead(hedge: Hedge, head: ResponseHead): void
  onNoConnection(hedge: Hedge, code: ErrorCode): void
  /** It took too long; `waitsFor` says what, as Wait does. */
  onOverdue(hedge: Hedge, waitsFor: number, now: number): void
  /** Sent, but not answered. */
  onFailed(hedge: Hedge, code: ErrorCode): void
}

/** One hedge. */
export class Hedge extends WheelTimer implements ConnectionWaiter, ResponseSink {
  nextWaiter: ConnectionWaiter | null = null
  waitingIn: ConnectionPool | null = null
  readonly endpoint: Endpoint
  readonly pool: ConnectionPool
  connection: ClientConnection | null = null
  sentAt = 0
  readonly #observer: HedgeObserver
  #isReused = false
  #waitsFor: number = Wait.attempt

  constructor(endpoint: Endpoint, observer: HedgeObserver) {
    super()
    this.endpoint = endpoint
    this.pool = observer.service.pool(endpoint)
    this.#observer = observer
  }

  /** Begins it, on a connection of its own if `fresh` says so. */
  begin(fresh: boolean): void {
    const { run, service, terms } = this.#observer
    const { counters, queueTimeoutMs } = service.settings
    const { wheel } = run.context
    const now = run.context.clock.now()
    this.sentAt = now
    this.#isReused = false
    this.#waitsFor = Wait.attempt
    if (terms.attemptTimeoutMs > 0) wheel.arm(this, terms.attemptTimeoutMs, now)
    const idle = fresh ? null : this.pool.takeIdle()
    if (idle !== null) {
      this.onConnection(idle)
      return
    }
    this.pool.request(this)
    if (this.waitingIn === null) return
    counters.queued()
    this.#waitsFor = Wait.queue
    wheel.arm(this, queueTimeoutMs, now)
  }

  /** Nothing may reach it any more; its connection is left as it is. */
  release(): void {
    this.#observer.run.context.wheel.cancel(this)
    this.pool.cancel(this)
  }

  onTimeout(now: number): void {
    this.#observer.onOverdue(this, this.#waitsFor, now)
  }

  onNoConnection(code: ErrorCode): void {
    this.#observer.onNoConnection(this, code)
  }

  onConnection(connection: ClientConnection): void {
    const { run, service, terms } = this.#observer
    const { clock, wheel } = run.context
    const now = clock.now()
    if (this.#waitsFor === Wait.queue) {
      this.#waitsFor = Wait.attempt
      wheel.cancel(this)
      if (terms.attemptTimeoutMs > 0) wheel.arm(this, terms.attemptTimeoutMs, now)
    }
    this.connection = connection
    if (connection.requests > 0) this.#isReused = true
    else service.settings.counters.connectionOpened()
    const head = this.#observer.headTo(this.endpoint, now)
    if (run.isAnswered) return
    this.sentAt = now
    connection.begin(this, head, run.method === 'HEAD', terms.timeouts)
    connection.endRequest()
  }

  /** Interim answers may come of several attempts; only those of the first are passed on. */
  onInterim(): void {}

  onResponseHead(head: ResponseHead): void {
    this.#observer.onHead(this, head)
  }

  onResponseFailed(code: ErrorCode): void {
    this.connection = null
    const isGone = code === 'upstream_closed' || code === 'upstream_reset'
    // The kept connection had died before it could be known.
    if (isGone && this.#isReused) this.begin(true)
    else this.#observer.onFailed(this, code)
  }

  // What follows the head goes to another sink.
  onResponseData(): void {}

  onResponseEnd(): void {}

  onUpstreamDrain(): void {}

  onReadEnd(): void {}
}
