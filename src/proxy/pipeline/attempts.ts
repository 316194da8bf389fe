// The attempts of one exchange at the endpoints of one service: pick, connect, send, and try again
// where that can place no order twice.
import type { ErrorCode } from '../../errors.ts'
import type { ClientConnection, ResponseSink, UpstreamTimeouts } from '../http/client-connection.ts'
import type { ResponseHead } from '../http/message-head.ts'
import type { ConnectionPool, ConnectionWaiter } from '../upstream/connection-pool.ts'
import type { Endpoint } from '../upstream/endpoint.ts'
import { RetryCause, retryAfterMs } from '../upstream/retries.ts'
import type { Service } from '../upstream/service.ts'
import { AttemptBounds, Wait } from './attempt-bounds.ts'
import { inPlaceOf } from './circuit-pass.ts'
import type { UpstreamSide } from './exchange-context.ts'
import { ForwardedBody } from './forwarded-body.ts'
import { requestHead } from './request-head.ts'
import { interimHead } from './response-head.ts'
import { Retrying } from './retrying.ts'
import type { ExchangeRun } from './run.ts'

/** How the forwarded request differs from the received one. */
export interface Rewrite {
  /** The new target, query included; null keeps the received one. */
  readonly target: ((run: ExchangeRun) => string) | null
  /** The new Host; null leaves it to the service. */
  readonly host: string | null
}

/** The body of an answer that is not passed on is read up to this size, to keep its connection. */
const DISCARDED_BYTES_MAX = 65536
const NONE_TRIED: readonly Endpoint[] = []

/** Sends one exchange to its service. */
export class Attempts
  extends AttemptBounds
  implements UpstreamSide, ResponseSink, ConnectionWaiter
{
  nextWaiter: ConnectionWaiter | null = null
  waitingIn: ConnectionPool | null = null
  readonly #service: Service
  readonly #rewrite: Rewrite
  readonly #timeouts: UpstreamTimeouts
  /** Whether sending it twice is as good as once. */
  readonly #isRepeatable: boolean
  readonly #body: ForwardedBody | null
  readonly #isChunked: boolean
  #retrying: Retrying | null = null
  #endpoint: Endpoint | null = null
  #lastEndpoint: Endpoint | null = null
  #lastError: ErrorCode | null = null
  #pool: ConnectionPool | null = null
  #connection: ClientConnection | null = null
  #sentAt = 0
  #latencyMs = -1
  #isReused = false
  #isUnwell = false
  #isTunnel = false
  /** The upstream has ended its side of the tunnel. */
  #tunnelEnded = false
  /** The bytes that may still come of an answer that is not passed on; -1 while none is. */
  #discardedBytesLeft = -1

  constructor(run: ExchangeRun, service: Service, rewrite: Rewrite, timeouts: UpstreamTimeouts) {
    super(run)
    this.#service = service
    this.#rewrite = rewrite
    this.#timeouts = timeouts
    const { retries } = service.settings
    this.#isRepeatable =
      retries.methods.has(run.method) ||
      (retries.honoursIdempotencyKey && run.requestHeader('idempotency-key') !== null)
    this.#isChunked =
      run.request.isChunked || (run.requestHasBody && run.plan.transformsRequestBody)
    this.#body = run.requestHasBody
      ? new ForwardedBody(this.#isChunked, this.#isRepeatable ? retries.bodyBytesMax : -1)
      : null
  }

  /** Begins the first attempt, or answers in place of a service that fails. */
  start(mayFallBack = true): void {
    const { run } = this
    const service = this.#service
    const { deadline } = service.settings
    if (!this.enter(service)) {
      const other = inPlaceOf(run, service, mayFallBack)
      if (other !== null) this.#goTo(other)
      return
    }
    run.upstream = this
    service.budget.countRequest()
    if (deadline === null || this.readDeadline(deadline)) this.#next()
    else this.#giveUp('deadline_exceeded', false)
  }

  #goTo(other: Service): void {
    this.run.service = other.name
    new Attempts(this.run, other, this.#rewrite, other.settings.pool.timeouts).start(false)
  }

  #next(): void {
    const retrying = this.#retrying
    const endpoint = retrying === null ? this.#service.pick(this.run, NONE_TRIED) : retrying.pick()
    if (endpoint === null) this.#giveUp(this.#lastError ?? 'no_endpoint', true)
    else this.#attempt(endpoint, false)
  }

  #attempt(endpoint: Endpoint, fresh: boolean): void {
    const { run } = this
    const { counters, queueTimeoutMs, attemptTimeoutMs } = this.#service.settings
    run.attempts++
    run.endpoint = endpoint.address
    endpoint.begin()
    this.#endpoint = endpoint
    const pool = this.#service.pool(endpoint)
    this.#pool = pool
    const now = run.context.clock.now()
    this.#sentAt = now
    this.#latencyMs = -1
    this.#isUnwell = false
    if (attemptTimeoutMs > 0) this.arm(Wait.attempt, attemptTimeoutMs, now)
    const idle = fresh ? null : pool.takeIdle()
    if (idle !== null) {
      this.#isReused = true
      this.onConnection(idle)
      return
    }
    this.#isReused = false
    pool.request(this)
    if (this.waitingIn !== null) {
      counters.queued()
      this.arm(Wait.queue, queueTimeoutMs, now)
    }
  }

  onTimeout(now: number): void {
    if (this.waitsFor === Wait.backoff) {
      this.#endDiscard()
      this.disarm()
      this.#next()
    } else if (this.waitsFor === Wait.attempt) this.#onAttemptTimeout(now)
    else if (this.waitsFor === Wait.deadline) this.#giveUp('deadline_exceeded', false)
    else {
      this.#service.settings.counters.queueTimeout()
      this.#giveUp('queue_timeout', true)
    }
  }

  #onAttemptTimeout(now: number): void {
    const connection = this.#connection
    if (connection !== null && this.#body?.isComplete === false) {
      // It is the client that takes its time.
      this.arm(Wait.attempt, this.#service.settings.attemptTimeoutMs, now)
      return
    }
    this.#pool?.cancel(this)
    connection?.abort()
    if (connection === null) this.#onFailed('connect_timeout', RetryCause.connect)
    else this.#onFailed('upstream_timeout', RetryCause.timeout)
  }

  onNoConnection(code: ErrorCode): void {
    if (code === 'queue_full') {
      this.#countFailure(code)
      this.#giveUp(code, true)
    } else this.#onFailed(code, RetryCause.connect)
  }

  onConnection(connection: ClientConnection): void {
    const { run } = this
    const { attemptTimeoutMs, counters } = this.#service.settings
    const now = run.context.clock.now()
    if (this.armed && this.waitsFor === Wait.queue) {
      this.disarm()
      if (attemptTimeoutMs > 0) this.arm(Wait.attempt, attemptTimeoutMs, now)
    }
    this.#connection = connection
    if (connection.requests > 0) this.#isReused = true
    else counters.connectionOpened()
    let head = requestHead(run, this.#service, this.#endpoint!, this.#rewrite, this.#isChunked)
    if (run.isAnswered) {
      // A policy's onForward failed and that was answered.
      this.abort()
      return
    }
    this.#sentAt = now
    const deadline = this.deadline
    if (deadline !== null) head = `${head.slice(0, -2)}${deadline.line(now)}\r\n`
    const body = this.#body
    const waitsForBody = body !== null && !run.request.expectsContinue
    connection.begin(this, waitsForBody ? '' : head, run.method === 'HEAD', this.#timeouts)
    if (body === null) connection.endRequest()
    else {
      body.attach(connection, waitsForBody ? head : '')
      run.body?.open(body)
    }
  }

  onRequestData(data: Buffer): boolean {
    return this.#connection?.sendData(data) ?? true
  }

  onRequestEnd(): void {
    this.#connection?.endTunnel()
  }

  pauseResponse(): void {
    this.#connection?.pause()
  }

  resumeResponse(): void {
    this.#connection?.resume()
  }

  abort(): void {
    this.release()
    this.#pool?.cancel(this)
    this.#connection?.abort()
    this.#connection = null
    this.#body?.detach()
    this.#leaveEndpoint(null)
  }

  onInterim(head: ResponseHead): void {
    const { run } = this
    // HTTP/1.0 knows no interim answers (RFC 9110 15.2).
    if (run.isAnswered || run.request.minorVersion === 0) return
    run.connection.writeInterim(interimHead(head))
  }

  onResponseHead(head: ResponseHead): void {
    const { run } = this
    const { status } = head
    const { counters, failureStatuses, retries } = this.#service.settings
    this.#latencyMs = run.context.clock.now() - this.#sentAt
    // Answers of a service that cannot serve: quick ones must not make it look like the best choice.
    this.#isUnwell = status >= 500 && failureStatuses.has(status)
    run.upstreamDurationMs = this.#latencyMs
    counters.attempt(status, this.#latencyMs)
    if (this.armed) this.disarm()
    if (status >= 400 && retries.statuses.has(status) && this.#discard(head)) return
    this.settle(this.#isUnwell)
    const cookie = this.#service.stickyCookie(run, this.#endpoint!)
    if (cookie !== null) run.addResponseHeader('Set-Cookie', cookie)
    if (status === 101) this.#switchProtocols(head)
    else run.beginResponse(head)
  }

  /** Lets this answer go and tries again, if that may be. */
  #discard(head: ResponseHead): boolean {
    const { retryAfterMaxMs } = this.#service.settings.retries
    const wallTime = this.run.context.clock.wallTime()
    const askedMs = retryAfterMs(head.field('retry-after'), wallTime)
    if (askedMs > retryAfterMaxMs || !this.#canRepeat()) return false
    if (!this.#mayRetry(this.#endpoint!, askedMs)) return false
    this.#discardedBytesLeft = DISCARDED_BYTES_MAX
    this.#leaveEndpoint(null)
    this.#retry(askedMs)
    return true
  }

  #endDiscard(): void {
    if (this.#discardedBytesLeft === -1) return
    this.#discardedBytesLeft = -1
    this.#connection?.abort()
    this.#connection = null
  }

  #switchProtocols(head: ResponseHead): void {
    const { run } = this
    const agreed = head.upgrade?.toLowerCase() ?? ''
    if (run.upgrade === null || !head.connectionUpgrade || agreed !== run.upgrade.toLowerCase()) {
      this.#leaveEndpoint('upstream_upgrade_failed')
      run.fail('upstream_upgrade_failed')
      return
    }
    this.#isTunnel = true
    run.context.wheel.cancel(this)
    run.beginTunnel(head, run.upgrade)
  }

  onResponseData(data: Buffer): void {
    if (this.#discardedBytesLeft === -1) this.run.sendResponseData(data)
    else if (data.length > this.#discardedBytesLeft) this.#endDiscard()
    else this.#discardedBytesLeft -= data.length
  }

  onReadEnd(): void {
    if (this.#discardedBytesLeft === -1) this.run.flushResponse()
  }

  onResponseEnd(trailers: string): void {
    if (this.#isTunnel) {
      this.#tunnelEnded = true
      this.run.endResponse('')
      return
    }
    this.#connection = null
    if (this.#discardedBytesLeft !== -1) {
      this.#discardedBytesLeft = -1
      return
    }
    if (this.armed) this.run.context.wheel.cancel(this)
    this.#leaveEndpoint(null)
    this.run.endResponse(trailers)
  }

  onUpstreamDrain(): void {
    this.run.connection.resumeRequest()
  }

  onResponseFailed(code: ErrorCode): void {
    const { run } = this
    this.#connection = null
    if (this.#discardedBytesLeft !== -1) {
      this.#discardedBytesLeft = -1
      return
    }
    if (this.#isTunnel) {
      this.#leaveEndpoint(null)
      run.endTunnel(this.#tunnelEnded)
      return
    }
    if (this.#latencyMs >= 0) {
      this.#service.settings.counters.error(code)
      this.#leaveEndpoint(code)
      run.fail(code)
      return
    }
    const endpoint = this.#endpoint
    const isGone = code === 'upstream_closed' || code === 'upstream_reset'
    if (!isGone || !this.#isReused || run.isAnswered || endpoint === null) {
      this.#onFailed(code, isGone ? RetryCause.reset : RetryCause.none)
      return
    }
    // The kept connection had died before it could be known; that is no failure of the endpoint.
    this.#countFailure(code)
    this.#leaveEndpoint(null)
    if (!this.#canRepeat()) {
      this.#giveUp(code, true)
      return
    }
    this.run.body?.close()
    this.#body?.detach()
    run.attempts--
    this.#attempt(endpoint, true)
  }

  /** The attempt failed before any answer. */
  #onFailed(code: ErrorCode, cause: number): void {
    this.#connection = null
    this.disarm()
    this.#countFailure(code)
    this.#leaveEndpoint(code)
    this.#lastError = code
    const { retries } = this.#service.settings
    const isSafe = cause === RetryCause.connect || this.#canRepeat()
    const mayTry = (retries.causes & cause) !== 0 && isSafe && !this.run.isAnswered
    if (mayTry && this.#mayRetry(this.#lastEndpoint!, 0)) this.#retry(0)
    else this.#giveUp(code, true)
  }

  #countFailure(code: ErrorCode): void {
    const { counters } = this.#service.settings
    counters.attempt(0, this.run.context.clock.now() - this.#sentAt)
    counters.error(code)
  }

  #canRepeat(): boolean {
    return this.#isRepeatable && this.#body?.canReplay !== false
  }

  #mayRetry(last: Endpoint, waitMs: number): boolean {
    this.#retrying ??= new Retrying(this.run, this.#service)
    return this.#retrying.mayRetry(last, waitMs, this.deadline)
  }

  #retry(waitMs: number): void {
    this.run.body?.close()
    this.#body?.detach()
    const delayMs = this.#retrying!.begin(this.#lastEndpoint!, waitMs)
    if (delayMs < 1 && this.#discardedBytesLeft === -1) this.#next()
    else this.arm(Wait.backoff, delayMs, this.run.context.clock.now())
  }

  /** The exchange has no answer of the service; `isFailure` says that this is the service's doing. */
  #giveUp(code: ErrorCode, isFailure: boolean): void {
    if (isFailure) this.settle(true)
    this.run.fail(code)
  }

  /** This attempt no longer counts at its endpoint. `code` says how the endpoint failed, if it did. */
  #leaveEndpoint(code: ErrorCode | null): void {
    const endpoint = this.#endpoint
    if (endpoint === null) return
    this.#lastEndpoint = endpoint
    this.#endpoint = null
    const service = this.#service
    if (code !== null) service.ended(endpoint, this.run.context.clock.now() - this.#sentAt, true)
    else if (this.#latencyMs >= 0) service.ended(endpoint, this.#latencyMs, this.#isUnwell)
    else endpoint.cancel()
  }
}
