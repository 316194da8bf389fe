// The attempts of one exchange at the endpoints of one service: pick, connect, send, and try again
// where that can place no order twice.
import type { ErrorCode } from '../../errors.ts'
import type { ClientConnection, ResponseSink } from '../http/client-connection.ts'
import type { ResponseHead } from '../http/message-head.ts'
import type { Endpoint } from '../upstream/endpoint.ts'
import { RetryCause, retryAfterMs } from '../upstream/retries.ts'
import type { Service } from '../upstream/service.ts'
import { isUnwell, isWorthRetry, termsOf, Wait } from './attempt-bounds.ts'
import { inPlaceOf } from './circuit-pass.ts'
import { CurrentAttempt } from './current-attempt.ts'
import type { UpstreamSide } from './exchange-context.ts'
import { type HedgedAttempts, hedgingOf } from './hedging.ts'
import { interimHead } from './response-head.ts'

const NONE_TRIED: readonly Endpoint[] = []

/** Sends one exchange to its service. */
export class Attempts extends CurrentAttempt implements UpstreamSide, ResponseSink, HedgedAttempts {
  #lastError: ErrorCode | null = null
  #isTunnel = false
  /** The upstream has ended its side of the tunnel. */
  #tunnelEnded = false

  /** Begins the first attempt, or answers in place of a service that fails. */
  start(mayFallBack = true): void {
    const { run } = this
    const service = this.service
    const { deadline, hedge } = service.settings
    if (!this.enter(service)) {
      const other = inPlaceOf(run, service, mayFallBack)
      if (other !== null) this.#goTo(other)
      return
    }
    run.upstream = this
    if (!this.hasPlace(service, mayFallBack)) return
    service.budget.countRequest()
    if (hedge !== null) this.hedging = hedgingOf(run, service, this.terms, this)
    if (deadline === null || this.readDeadline(deadline)) this.#next()
    else this.#giveUp('deadline_exceeded', false)
  }

  #goTo(other: Service): void {
    this.run.service = other.name
    new Attempts(this.run, other, this.rewrite, termsOf(other.settings)).start(false)
  }

  #next(): void {
    const endpoint = this.isFirst ? this.service.pick(this.run, NONE_TRIED) : this.further().pick()
    if (endpoint === null) this.#giveUp(this.#lastError ?? 'no_endpoint', true)
    else this.#attempt(endpoint, false)
  }

  #attempt(endpoint: Endpoint, fresh: boolean): void {
    const { run } = this
    const { counters, queueTimeoutMs } = this.service.settings
    const { attemptTimeoutMs } = this.terms
    run.attempts++
    run.endpoint = endpoint.address
    endpoint.begin()
    this.endpoint = endpoint
    const pool = this.service.pool(endpoint)
    this.pool = pool
    const now = run.context.clock.now()
    this.sentAt = now
    this.latencyMs = -1
    this.isUnwell = false
    this.hedging?.watch(now)
    if (attemptTimeoutMs > 0) this.arm(Wait.attempt, attemptTimeoutMs, now)
    const idle = fresh ? null : pool.takeIdle()
    if (idle !== null) {
      this.isReused = true
      this.onConnection(idle)
      return
    }
    this.isReused = false
    pool.request(this)
    if (this.waitingIn !== null) {
      counters.queued()
      this.arm(Wait.queue, queueTimeoutMs, now)
    }
  }

  onTimeout(now: number): void {
    this.onOverdue(this.waitsFor, now)
  }

  onOverdue(waitsFor: number, now: number): void {
    if (waitsFor === Wait.backoff) {
      this.further().endDiscarded()
      this.disarm()
      this.#next()
    } else if (waitsFor === Wait.attempt) this.#onAttemptTimeout(now)
    else if (waitsFor === Wait.deadline) this.#giveUp('deadline_exceeded', false)
    else {
      this.service.settings.counters.queueTimeout()
      this.#turnAway('queue_timeout')
    }
  }

  #onAttemptTimeout(now: number): void {
    const connection = this.connection
    if (connection !== null && this.body?.isComplete === false) {
      // It is the client that takes its time.
      this.arm(Wait.attempt, this.terms.attemptTimeoutMs, now)
      return
    }
    this.pool?.cancel(this)
    connection?.abort()
    if (connection === null) this.#onFailed('connect_timeout', RetryCause.connect)
    else this.#onFailed('upstream_timeout', RetryCause.timeout)
  }

  onNoConnection(code: ErrorCode): void {
    if (code === 'queue_full') {
      this.countFailure(code)
      this.#turnAway(code)
    } else this.#onFailed(code, RetryCause.connect)
  }

  onConnection(connection: ClientConnection): void {
    const { run } = this
    const { attemptTimeoutMs, timeouts } = this.terms
    const now = run.context.clock.now()
    if (this.armed && this.waitsFor !== Wait.attempt) {
      this.disarm()
      if (attemptTimeoutMs > 0) this.arm(Wait.attempt, attemptTimeoutMs, now)
    }
    this.connection = connection
    if (connection.requests > 0) this.isReused = true
    else this.service.settings.counters.connectionOpened()
    const head = this.headTo(this.endpoint!, now)
    if (run.isAnswered) {
      // A policy's onForward failed and that was answered.
      this.abort()
      return
    }
    this.sentAt = now
    const body = this.body
    const waitsForBody = body !== null && !run.request.expectsContinue
    connection.begin(this, waitsForBody ? '' : head, run.method === 'HEAD', timeouts)
    if (body === null) connection.endRequest()
    else {
      body.attach(connection, waitsForBody ? head : '')
      run.body?.open(body)
    }
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
    const service = this.service
    this.latencyMs = run.context.clock.now() - this.sentAt
    // Quick answers of a service that cannot serve must not make it look like the best choice.
    this.isUnwell = isUnwell(status, service)
    run.upstreamDurationMs = this.latencyMs
    service.settings.counters.attempt(status, this.latencyMs)
    if (this.armed) this.disarm()
    const isBad = this.isUnwell || isWorthRetry(status, this.terms)
    if (isBad && this.letsHedgesDecide()) return
    if (isWorthRetry(status, this.terms) && this.#discard(head)) return
    this.hedging?.settle(this.latencyMs, this.isUnwell)
    this.settle(this.isUnwell)
    const cookie = service.stickyCookie(run, this.endpoint!)
    if (cookie !== null) run.addResponseHeader('Set-Cookie', cookie)
    if (status === 101) this.#switchProtocols(head)
    else run.beginResponse(head)
  }

  /** Lets this answer go and tries again, if that may be. */
  #discard(head: ResponseHead): boolean {
    const { retryAfterMaxMs } = this.terms.retries
    const wallTime = this.run.context.clock.wallTime()
    const askedMs = retryAfterMs(head.field('retry-after'), wallTime)
    if (askedMs > retryAfterMaxMs || !this.#canRepeat()) return false
    if (!this.#mayRetry(this.endpoint!, askedMs)) return false
    this.letGo()
    this.#retry(askedMs)
    return true
  }

  #switchProtocols(head: ResponseHead): void {
    const { run } = this
    const agreed = head.upgrade?.toLowerCase() ?? ''
    if (run.upgrade === null || !head.connectionUpgrade || agreed !== run.upgrade.toLowerCase()) {
      this.leaveEndpoint('upstream_upgrade_failed')
      run.fail('upstream_upgrade_failed')
      return
    }
    this.#isTunnel = true
    run.context.wheel.cancel(this)
    run.beginTunnel(head, run.upgrade)
  }

  onResponseData(data: Buffer): void {
    this.run.sendResponseData(data)
  }

  onReadEnd(): void {
    this.run.flushResponse()
  }

  onResponseEnd(trailers: string): void {
    if (this.#isTunnel) {
      this.#tunnelEnded = true
      this.run.endResponse('')
      return
    }
    this.connection = null
    if (this.armed) this.run.context.wheel.cancel(this)
    if (!this.isFirst) this.further().endDiscarded()
    this.leaveEndpoint(null)
    this.run.endResponse(trailers)
  }

  onUpstreamDrain(): void {
    this.run.connection.resumeRequest()
  }

  onResponseFailed(code: ErrorCode): void {
    const { run } = this
    this.connection = null
    if (this.#isTunnel) {
      this.leaveEndpoint(null)
      run.endTunnel(this.#tunnelEnded)
      return
    }
    if (this.latencyMs >= 0) {
      this.service.settings.counters.error(code)
      this.leaveEndpoint(code)
      run.fail(code)
      return
    }
    const { endpoint } = this
    const isGone = code === 'upstream_closed' || code === 'upstream_reset'
    if (!isGone || !this.isReused || run.isAnswered || endpoint === null) {
      this.#onFailed(code, isGone ? RetryCause.reset : RetryCause.none)
      return
    }
    // The kept connection had died before it could be known; that is no failure of the endpoint.
    this.countFailure(code)
    this.leaveEndpoint(null)
    if (!this.#canRepeat()) {
      this.disarm()
      if (this.hedging?.isRunning !== true) this.#giveUp(code, true)
      return
    }
    this.run.body?.close()
    this.body?.detach()
    run.attempts--
    this.#attempt(endpoint, true)
  }

  /** The attempt failed before any answer. */
  #onFailed(code: ErrorCode, cause: number): void {
    this.connection = null
    this.disarm()
    this.countFailure(code)
    this.leaveEndpoint(code)
    this.#lastError = code
    if (this.hedging?.isRunning === true) return
    const { retries } = this.terms
    const isSafe = cause === RetryCause.connect || this.#canRepeat()
    const mayTry = (retries.causes & cause) !== 0 && isSafe && !this.run.isAnswered
    if (mayTry && this.#mayRetry(this.lastEndpoint!, 0)) this.#retry(0)
    else this.#giveUp(code, true)
  }

  #canRepeat(): boolean {
    return this.isRepeatable && this.body?.canReplay !== false
  }

  #mayRetry(last: Endpoint, waitMs: number): boolean {
    return this.further().mayRetry(last, waitMs, this.deadline)
  }

  #retry(waitMs: number): void {
    this.hedging?.pause()
    this.run.body?.close()
    this.body?.detach()
    const further = this.further()
    const delayMs = further.begin(this.lastEndpoint!, waitMs)
    if (delayMs < 1 && !further.hasLetGo) this.#next()
    else this.arm(Wait.backoff, delayMs, this.run.context.clock.now())
  }

  /** The endpoint has no room for this attempt. */
  #turnAway(code: ErrorCode): void {
    if (this.hedging?.isRunning !== true) {
      this.#giveUp(code, true)
      return
    }
    this.#lastError = code
    this.disarm()
    this.pool?.cancel(this)
    this.leaveEndpoint(null)
  }

  /** The exchange has no answer of the service; `isFailure` says that this is the service's doing. */
  #giveUp(code: ErrorCode, isFailure: boolean): void {
    if (isFailure) this.settle(true)
    this.run.fail(code)
  }
}
