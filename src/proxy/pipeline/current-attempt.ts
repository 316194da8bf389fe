// The attempt of an exchange that is under way, if one is: where it goes, what is known of it, and how it
// is given up. What follows from that is decided in attempts.ts.
import type { ErrorCode } from '../../errors.ts'
import type { ClientConnection } from '../http/client-connection.ts'
import type { ConnectionPool, ConnectionWaiter } from '../upstream/connection-pool.ts'
import type { Endpoint } from '../upstream/endpoint.ts'
import type { Service } from '../upstream/service.ts'
import { AttemptBounds, type AttemptTerms } from './attempt-bounds.ts'
import { ForwardedBody } from './forwarded-body.ts'
import type { Hedge } from './hedge.ts'
import type { Hedging } from './hedging.ts'
import { type Rewrite, requestHead } from './request-head.ts'
import { Retrying } from './retrying.ts'
import type { ExchangeRun } from './run.ts'

/** One attempt after the other of one exchange. */
export abstract class CurrentAttempt extends AttemptBounds implements ConnectionWaiter {
  nextWaiter: ConnectionWaiter | null = null
  waitingIn: ConnectionPool | null = null
  /** Null while no attempt is under way. */
  endpoint: Endpoint | null = null
  protected readonly service: Service
  protected readonly rewrite: Rewrite
  protected readonly terms: AttemptTerms
  /** Whether sending it twice is as good as once. */
  protected readonly isRepeatable: boolean
  protected readonly body: ForwardedBody | null
  /** Null where none are configured, and for requests that get none. */
  protected hedging: Hedging | null = null
  protected lastEndpoint: Endpoint | null = null
  protected pool: ConnectionPool | null = null
  protected connection: ClientConnection | null = null
  protected sentAt = 0
  /** Below 0 before the head of the answer. */
  protected latencyMs = -1
  protected isReused = false
  protected isUnwell = false
  readonly #isChunked: boolean
  #retrying: Retrying | null = null

  constructor(run: ExchangeRun, service: Service, rewrite: Rewrite, terms: AttemptTerms) {
    super(run)
    this.service = service
    this.rewrite = rewrite
    this.terms = terms
    const { retries } = terms
    this.isRepeatable =
      retries.methods.has(run.method) ||
      (retries.honoursIdempotencyKey && run.requestHeader('idempotency-key') !== null)
    this.#isChunked =
      run.request.isChunked || (run.requestHasBody && run.plan.transformsRequestBody)
    const keptBytesMax = this.isRepeatable ? retries.bodyBytesMax : -1
    this.body = run.requestHasBody
      ? new ForwardedBody(this.#isChunked, keptBytesMax, run.context.clock)
      : null
  }

  abstract onConnection(connection: ClientConnection): void
  abstract onNoConnection(code: ErrorCode): void

  /** What comes after the first attempt. */
  further(): Retrying {
    this.#retrying ??= new Retrying(this.run, this.service, this.terms.retries)
    return this.#retrying
  }

  /** Whether the first attempt was the only one so far. */
  protected get isFirst(): boolean {
    return this.#retrying === null
  }

  /** The head that an attempt at this endpoint begins with. */
  headTo(endpoint: Endpoint, now: number): string {
    const head = requestHead(this.run, this.service, endpoint, this.rewrite, this.#isChunked)
    return this.deadline === null ? head : `${head.slice(0, -2)}${this.deadline.line(now)}\r\n`
  }

  onRequestData(data: Buffer): boolean {
    return this.connection?.sendData(data) ?? true
  }

  onRequestEnd(): void {
    this.connection?.endTunnel()
  }

  pauseResponse(): void {
    this.connection?.pause()
  }

  resumeResponse(): void {
    this.connection?.resume()
  }

  abort(): void {
    this.release()
    this.hedging?.end(Number.POSITIVE_INFINITY)
    this.#retrying?.endDiscarded()
    this.pool?.cancel(this)
    this.connection?.abort()
    this.connection = null
    this.body?.detach()
    this.leaveEndpoint(null)
  }

  /** The exchange's own time is over. The service has failed if it had at least half of that. */
  expire(): void {
    const { run, body } = this
    const now = run.context.clock.now()
    // The time in which the client still sends is not the service's.
    if (run.isAnswered || body?.isComplete === false) return
    const fairMs = run.plan.exchangeTimeoutMs / 2
    const since = body === null ? this.sentAt : Math.max(this.sentAt, body.endedAt)
    const hasFailed = this.endpoint !== null && now - since >= fairMs
    if (hasFailed || this.#retrying?.hasRetried === true) this.settle(true)
    this.hedging?.expire(now, fairMs)
    if (!hasFailed || this.waitingIn !== null) return
    this.countFailure('exchange_timeout')
    this.leaveEndpoint('exchange_timeout')
  }

  /** A hedge is the attempt from now on; the one under way is given up. */
  adopt(hedge: Hedge, now: number): void {
    const { endpoint, connection } = this
    if (endpoint !== null) {
      this.pool?.cancel(this)
      if (connection === null) endpoint.cancel()
      else this.hedging?.outrun(endpoint, now - this.sentAt)
      connection?.abort()
    }
    this.disarm()
    this.endpoint = hedge.endpoint
    this.run.endpoint = hedge.endpoint.address
    this.pool = hedge.pool
    this.connection = hedge.connection
    this.sentAt = hedge.sentAt
    this.latencyMs = -1
    this.isUnwell = false
    this.isReused = false
  }

  /** Whether a hedge may still be answered better than this attempt was; then this one is over. */
  protected letsHedgesDecide(): boolean {
    if (this.hedging?.isRunning !== true) return false
    this.letGo()
    return true
  }

  /** The answer that has begun goes to nobody. */
  protected letGo(): void {
    this.further().letGo(this.connection!)
    this.connection = null
    this.leaveEndpoint(null)
  }

  protected countFailure(code: ErrorCode): void {
    const { counters } = this.service.settings
    counters.attempt(0, this.run.context.clock.now() - this.sentAt)
    counters.error(code)
  }

  /** This attempt no longer counts at its endpoint. `code` says how the endpoint failed, if it did. */
  protected leaveEndpoint(code: ErrorCode | null): void {
    const { endpoint, service } = this
    if (endpoint === null) return
    this.lastEndpoint = endpoint
    this.endpoint = null
    if (code !== null) service.ended(endpoint, this.run.context.clock.now() - this.sentAt, true)
    else if (this.latencyMs >= 0) service.ended(endpoint, this.latencyMs, this.isUnwell)
    else endpoint.cancel()
  }
}
