// One copy on its way to the mirror: sent once and whole, after the request itself, with what its service
// has for every request: balancer, pools, timeouts, health and breaker.
import type { ErrorCode } from '../../../errors.ts'
import { WheelTimer } from '../../../lib/timer-wheel.ts'
import type { ClientConnection, ResponseSink } from '../../http/client-connection.ts'
import type { ResponseHead } from '../../http/message-head.ts'
import type { ConnectionPool, ConnectionWaiter } from '../../upstream/connection-pool.ts'
import type { Endpoint } from '../../upstream/endpoint.ts'
import type { CircuitPass } from '../circuit-pass.ts'
import type { MirrorPlan } from './mirror-plan.ts'

/** What a copy says and where it goes. */
export interface CopiedRequest {
  readonly method: string
  /** Head in latin1. */
  readonly head: string
  readonly body: Buffer
  readonly endpoint: Endpoint
  /** Null where the service has no breaker. */
  readonly pass: CircuitPass | null
}

/** Who sent it. */
export interface CopyOwner {
  /** The mirror's answer begins. */
  onMirrorHead(head: ResponseHead): void
  /** A piece of its body; the memory is only lent. */
  onMirrorData(data: Buffer): void
  /** The mirror has nothing more to say; `isComplete` when it said all, or all that is listened to. */
  onMirrorEnd(isComplete: boolean): void
}

/** An answer is read up to this size, to keep its connection; a longer one is cut off. */
const ANSWER_BYTES_MAX = 1024 ** 2
/** A body up to this size joins the head in one write. */
const JOINED_BYTES_MAX = 16384

/** One copy at one endpoint. Its timer bounds all of it. */
export class MirroredCopy extends WheelTimer implements ResponseSink, ConnectionWaiter {
  nextWaiter: ConnectionWaiter | null = null
  waitingIn: ConnectionPool | null = null
  readonly #plan: MirrorPlan
  readonly #owner: CopyOwner
  readonly #request: CopiedRequest
  #pool: ConnectionPool | null = null
  #endpoint: Endpoint | null = null
  #connection: ClientConnection | null = null
  #isReused = false
  #sentAt = 0
  #latencyMs = -1
  #isUnwell = false
  #bytesLeft = ANSWER_BYTES_MAX

  constructor(plan: MirrorPlan, owner: CopyOwner, request: CopiedRequest) {
    super()
    this.#plan = plan
    this.#owner = owner
    this.#request = request
  }

  send(): void {
    const { wheel, clock, timeoutMs } = this.#plan
    wheel.arm(this, timeoutMs, clock.now())
    this.#connect(false)
  }

  /** Gives it up: that says nothing of the endpoint. The owner hears nothing. */
  abort(): void {
    this.#plan.wheel.cancel(this)
    this.#request.pass?.cancel()
    this.#pool?.cancel(this)
    this.#connection?.abort()
    this.#connection = null
    this.#leaveEndpoint(false)
  }

  #connect(fresh: boolean): void {
    const { service, clock } = this.#plan
    const { endpoint } = this.#request
    endpoint.begin()
    this.#endpoint = endpoint
    this.#sentAt = clock.now()
    const pool = service.pool(endpoint)
    this.#pool = pool
    const idle = fresh ? null : pool.takeIdle()
    this.#isReused = idle !== null
    if (idle !== null) this.onConnection(idle)
    else {
      pool.request(this)
      if (this.waitingIn !== null) service.settings.counters.queued()
    }
  }

  onConnection(connection: ClientConnection): void {
    const { method, head, body } = this.#request
    const { counters, pool } = this.#plan.service.settings
    if (connection.requests > 0) this.#isReused = true
    else counters.connectionOpened()
    this.#connection = connection
    this.#sentAt = this.#plan.clock.now()
    const isHead = method === 'HEAD'
    if (body.length <= JOINED_BYTES_MAX) {
      connection.begin(this, head + body.toString('latin1'), isHead, pool.timeouts)
    } else {
      connection.cork()
      connection.begin(this, head, isHead, pool.timeouts)
      connection.sendData(body)
      connection.uncork()
    }
    connection.endRequest()
  }

  onNoConnection(code: ErrorCode): void {
    this.#countFailure(code)
    this.#end(code !== 'queue_full', false)
  }

  onTimeout(): void {
    const connection = this.#connection
    this.#connection = null
    this.#pool?.cancel(this)
    connection?.abort()
    const isSilent = this.#latencyMs < 0
    if (isSilent) this.#countFailure(connection === null ? 'connect_timeout' : 'upstream_timeout')
    // Without a connection it may be the queue, and in the middle of an answer merely its length.
    this.#end(isSilent && connection !== null, false)
  }

  onInterim(): void {}

  onResponseHead(head: ResponseHead): void {
    const { clock, service } = this.#plan
    const { counters, failureStatuses } = service.settings
    const { status } = head
    this.#latencyMs = clock.now() - this.#sentAt
    this.#isUnwell = status >= 500 && failureStatuses.has(status)
    counters.attempt(status, this.#latencyMs)
    this.#request.pass?.settle(this.#latencyMs, this.#isUnwell)
    if (status !== 101) this.#owner.onMirrorHead(head)
    else {
      // Nobody asked for an upgrade.
      this.#connection?.abort()
      this.onResponseFailed('upstream_invalid')
    }
  }

  onResponseData(data: Buffer): void {
    this.#owner.onMirrorData(data)
    this.#bytesLeft -= data.length
    if (this.#bytesLeft >= 0) return
    this.#connection?.abort()
    this.#connection = null
    this.#end(false, true)
  }

  onResponseEnd(): void {
    this.#connection = null
    this.#end(false, true)
  }

  onResponseFailed(code: ErrorCode): void {
    this.#connection = null
    if (this.#latencyMs >= 0) {
      this.#plan.service.settings.counters.error(code)
      this.#end(true, false)
      return
    }
    this.#countFailure(code)
    const { methods } = this.#plan.service.settings.retries
    const isGone = code === 'upstream_closed' || code === 'upstream_reset'
    if (isGone && this.#isReused && methods.has(this.#request.method)) {
      // The kept connection had died before it could be known; that is no failure of the endpoint.
      this.#leaveEndpoint(false)
      this.#connect(true)
    } else this.#end(true, false)
  }

  onUpstreamDrain(): void {}

  onReadEnd(): void {}

  #countFailure(code: ErrorCode): void {
    const { service, clock } = this.#plan
    service.settings.counters.attempt(0, clock.now() - this.#sentAt)
    service.settings.counters.error(code)
  }

  /** @param failed whether it is the endpoint that failed. */
  #end(failed: boolean, isComplete: boolean): void {
    this.#plan.wheel.cancel(this)
    const { pass } = this.#request
    if (failed) pass?.settle(this.#plan.clock.now() - this.#sentAt, true)
    else pass?.cancel()
    this.#leaveEndpoint(failed)
    this.#owner.onMirrorEnd(isComplete)
  }

  #leaveEndpoint(failed: boolean): void {
    const endpoint = this.#endpoint
    if (endpoint === null) return
    this.#endpoint = null
    const { service, clock } = this.#plan
    if (failed) service.ended(endpoint, clock.now() - this.#sentAt, true)
    else if (this.#latencyMs >= 0) service.ended(endpoint, this.#latencyMs, this.#isUnwell)
    else endpoint.cancel()
  }
}
