// The attempts of one exchange at the endpoints of one service: pick, connect, send, and try again
// where that can place no order twice.
import type { ErrorCode } from '../../errors.ts'
import { WheelTimer } from '../../lib/timer-wheel.ts'
import type { ClientConnection, ResponseSink, UpstreamTimeouts } from '../http/client-connection.ts'
import type { ResponseHead } from '../http/message-head.ts'
import type { ConnectionPool, ConnectionWaiter } from '../upstream/connection-pool.ts'
import type { Endpoint } from '../upstream/endpoint.ts'
import type { Service } from '../upstream/service.ts'
import type { UpstreamSide } from './exchange-context.ts'
import { requestHead } from './request-head.ts'
import { interimHead } from './response-head.ts'
import type { ExchangeRun } from './run.ts'

/** How the forwarded request differs from the received one. */
export interface Rewrite {
  /** The new target, query included; null keeps the received one. */
  readonly target: ((run: ExchangeRun) => string) | null
  /** The new Host; null leaves it to the service. */
  readonly host: string | null
}

/** A body up to this size is kept, so that it can be sent again to another endpoint. */
const REPLAY_BYTES_MAX = 65536
/** Body data up to this size joins the head in one write. */
const JOINED_BYTES_MAX = 16384
const NONE_TRIED: readonly Endpoint[] = []

/** Sends one exchange to its service. */
export class Attempts extends WheelTimer implements UpstreamSide, ResponseSink, ConnectionWaiter {
  nextWaiter: ConnectionWaiter | null = null
  waitingIn: ConnectionPool | null = null
  readonly #run: ExchangeRun
  readonly #service: Service
  readonly #rewrite: Rewrite
  readonly #timeouts: UpstreamTimeouts
  readonly #isIdempotent: boolean
  readonly #isChunked: boolean
  #tried: Endpoint[] | null = null
  #endpoint: Endpoint | null = null
  #lastEndpoint: Endpoint | null = null
  #lastError: ErrorCode | null = null
  #pool: ConnectionPool | null = null
  #connection: ClientConnection | null = null
  #retriesLeft: number
  /** A head that waits for the first data, to leave in one write with it. */
  #head = ''
  #sentAt = 0
  #latencyMs = -1
  #isReused = false
  #isUnwell = false
  #replay: Buffer[] | null = []
  #replayBytes = 0
  #requestEnded = false
  #trailers = ''
  #isTunnel = false
  /** The upstream has ended its side of the tunnel. */
  #tunnelEnded = false

  constructor(run: ExchangeRun, service: Service, rewrite: Rewrite, timeouts: UpstreamTimeouts) {
    super()
    this.#run = run
    this.#service = service
    this.#rewrite = rewrite
    this.#timeouts = timeouts
    this.#isIdempotent = isIdempotent(run.method)
    this.#isChunked =
      run.request.isChunked || (run.requestHasBody && run.plan.transformsRequestBody)
    this.#retriesLeft = service.settings.retriesMax
  }

  /** Begins the first attempt. */
  start(): void {
    this.#run.upstream = this
    this.#next()
  }

  // ---- choosing and connecting --------------------------------------------------------------------

  #next(): void {
    const run = this.#run
    const endpoint = this.#service.pick(run, this.#tried ?? NONE_TRIED)
    if (endpoint === null) {
      run.fail(run.attempts === 0 ? 'no_endpoint' : (this.#lastError ?? 'no_endpoint'))
      return
    }
    this.#attempt(endpoint, false)
  }

  #attempt(endpoint: Endpoint, fresh: boolean): void {
    const run = this.#run
    run.attempts++
    run.endpoint = endpoint.address
    endpoint.begin()
    this.#endpoint = endpoint
    const pool = this.#service.pool(endpoint)
    this.#pool = pool
    this.#sentAt = run.context.clock.now()
    this.#isUnwell = false
    const idle = fresh ? null : pool.takeIdle()
    if (idle !== null) {
      this.#isReused = true
      this.onConnection(idle)
      return
    }
    this.#isReused = false
    pool.request(this)
    if (this.waitingIn !== null) {
      this.#service.settings.counters.queued()
      run.context.wheel.arm(this, this.#service.settings.queueTimeoutMs)
    }
  }

  /** The queue's deadline. */
  onTimeout(): void {
    this.#pool?.cancel(this)
    this.#service.settings.counters.queueTimeout()
    this.#leaveEndpoint(null)
    this.#run.fail('queue_timeout')
  }

  onNoConnection(code: ErrorCode): void {
    this.#run.context.wheel.cancel(this)
    this.#countFailure(code)
    this.#leaveEndpoint(code === 'queue_full' ? null : code)
    if (code === 'queue_full') this.#run.fail(code)
    else this.#tryElsewhere(code)
  }

  onConnection(connection: ClientConnection): void {
    const run = this.#run
    run.context.wheel.cancel(this)
    this.#connection = connection
    if (connection.requests > 0) this.#isReused = true
    else this.#service.settings.counters.connectionOpened()
    const head = requestHead(run, this.#service, this.#endpoint!, this.#rewrite, this.#isChunked)
    if (run.isAnswered) {
      // A policy's onForward failed and that was answered.
      this.abort()
      return
    }
    this.#sentAt = run.context.clock.now()
    const waitsForBody = run.requestHasBody && !run.request.expectsContinue
    this.#head = waitsForBody ? head : ''
    connection.begin(this, waitsForBody ? '' : head, run.method === 'HEAD', this.#timeouts)
    if (this.#replayBytes > 0 || this.#requestEnded) this.#sendAgain()
    if (run.body === null) this.onRequestEnd('')
    else run.body.open(this)
    // Body that came with the head has joined it by the end of this turn; later body is not waited for.
    if (this.#head !== '') process.nextTick(sendHead, this)
  }

  /** Sends the head if no data took it along. */
  sendHead(): void {
    const head = this.#head
    this.#head = ''
    if (head !== '') this.#connection?.sendData(head)
  }

  /** What of the body the last attempt sent already. */
  #sendAgain(): void {
    const pieces = this.#replay ?? []
    for (const data of pieces) this.#send(data)
    if (this.#requestEnded) this.#sendEnd()
  }

  // ---- the request --------------------------------------------------------------------------------

  onRequestData(data: Buffer): boolean {
    if (this.#isTunnel) return this.#connection?.sendData(data) ?? true
    if (this.#replay !== null) {
      this.#replayBytes += data.length
      if (this.#isIdempotent && this.#replayBytes <= REPLAY_BYTES_MAX) this.#replay.push(data)
      else this.#replay = null
    }
    return this.#send(data)
  }

  #send(data: Buffer): boolean {
    const connection = this.#connection
    if (connection === null) return true
    const size = this.#isChunked ? `${data.length.toString(16)}\r\n` : ''
    const end = this.#isChunked ? '\r\n' : ''
    const head = this.#head
    this.#head = ''
    if (data.length <= JOINED_BYTES_MAX) {
      if (head === '' && !this.#isChunked) return connection.sendData(data)
      return connection.sendData(head + size + data.toString('latin1') + end)
    }
    connection.cork()
    if (head !== '' || size !== '') connection.sendData(head + size)
    let takesMore = connection.sendData(data)
    if (end !== '') takesMore = connection.sendData(end)
    connection.uncork()
    return takesMore
  }

  onRequestEnd(trailers: string): void {
    if (this.#isTunnel) {
      this.#connection?.endTunnel()
      return
    }
    this.#requestEnded = true
    this.#trailers = trailers
    this.#sendEnd()
  }

  #sendEnd(): void {
    const connection = this.#connection
    if (connection === null) return
    const head = this.#head
    this.#head = ''
    if (this.#isChunked) connection.sendData(`${head}0\r\n${this.#trailers}\r\n`)
    else if (head !== '') connection.sendData(head)
    connection.endRequest()
  }

  pauseResponse(): void {
    this.#connection?.pause()
  }

  resumeResponse(): void {
    this.#connection?.resume()
  }

  abort(): void {
    this.#run.context.wheel.cancel(this)
    this.#pool?.cancel(this)
    this.#connection?.abort()
    this.#connection = null
    this.#leaveEndpoint(null)
  }

  // ---- the answer ---------------------------------------------------------------------------------

  onInterim(head: ResponseHead): void {
    const run = this.#run
    // HTTP/1.0 knows no interim answers (RFC 9110 15.2).
    if (run.isAnswered || run.request.minorVersion === 0) return
    run.connection.writeInterim(interimHead(head))
  }

  onResponseHead(head: ResponseHead): void {
    const run = this.#run
    this.#latencyMs = run.context.clock.now() - this.#sentAt
    // Answers of a service that cannot serve: quick ones must not make it look like the best choice.
    this.#isUnwell = head.status >= 502 && head.status <= 504
    run.upstreamDurationMs = this.#latencyMs
    this.#service.settings.counters.attempt(head.status, this.#latencyMs)
    const cookie = this.#service.stickyCookie(run, this.#endpoint!)
    if (cookie !== null) run.addResponseHeader('Set-Cookie', cookie)
    if (head.status === 101) this.#switchProtocols(head)
    else run.beginResponse(head)
  }

  #switchProtocols(head: ResponseHead): void {
    const run = this.#run
    const agreed = head.upgrade?.toLowerCase() ?? ''
    if (run.upgrade === null || !head.connectionUpgrade || agreed !== run.upgrade.toLowerCase()) {
      this.#connection?.abort()
      this.#connection = null
      this.#leaveEndpoint('upstream_upgrade_failed')
      run.fail('upstream_upgrade_failed')
      return
    }
    this.#isTunnel = true
    run.beginTunnel(head, run.upgrade)
  }

  onResponseData(data: Buffer): void {
    this.#run.sendResponseData(data)
  }

  onReadEnd(): void {
    this.#run.flushResponse()
  }

  onResponseEnd(trailers: string): void {
    if (this.#isTunnel) {
      this.#tunnelEnded = true
      this.#run.endResponse('')
      return
    }
    this.#connection = null
    this.#leaveEndpoint(null)
    this.#run.endResponse(trailers)
  }

  onUpstreamDrain(): void {
    this.#run.connection.resumeRequest()
  }

  onResponseFailed(code: ErrorCode): void {
    const run = this.#run
    this.#connection = null
    if (this.#isTunnel) {
      this.#leaveEndpoint(null)
      run.endTunnel(this.#tunnelEnded)
      return
    }
    const endpoint = this.#endpoint
    const hadHead = this.#latencyMs >= 0
    if (hadHead) this.#service.settings.counters.error(code)
    else this.#countFailure(code)
    this.#leaveEndpoint(code)
    if (hadHead || run.isAnswered) {
      run.fail(code)
      return
    }
    const isGone = code === 'upstream_closed' || code === 'upstream_reset'
    const canReplay = this.#isIdempotent && this.#replay !== null
    if (!isGone || !canReplay) {
      run.fail(code)
      return
    }
    if (this.#isReused && endpoint !== null) {
      // The kept connection had died before it could be known; that is no failure of the endpoint.
      run.body?.close()
      run.attempts--
      this.#attempt(endpoint, true)
      return
    }
    this.#tryElsewhere(code)
  }

  #countFailure(code: ErrorCode): void {
    const { counters } = this.#service.settings
    counters.attempt(0, this.#run.context.clock.now() - this.#sentAt)
    counters.error(code)
  }

  /** Another endpoint, if one is left and the service allows a retry; nothing was processed so far. */
  #tryElsewhere(code: ErrorCode): void {
    const run = this.#run
    this.#lastError = code
    if (this.#retriesLeft <= 0) {
      run.fail(code)
      return
    }
    this.#retriesLeft--
    this.#service.settings.counters.retry()
    if (this.#tried === null) this.#tried = [this.#lastEndpoint!]
    else this.#tried.push(this.#lastEndpoint!)
    run.body?.close()
    this.#next()
  }

  /** This attempt no longer counts at its endpoint. `code` says how the endpoint failed, if it did. */
  #leaveEndpoint(code: ErrorCode | null): void {
    const endpoint = this.#endpoint
    if (endpoint === null) return
    this.#lastEndpoint = endpoint
    this.#endpoint = null
    if (code !== null) endpoint.end(this.#run.context.clock.now() - this.#sentAt, true)
    else if (this.#latencyMs >= 0) endpoint.end(this.#latencyMs, this.#isUnwell)
    else endpoint.cancel()
  }
}

function sendHead(attempts: Attempts): void {
  attempts.sendHead()
}

/** RFC 9110 9.2.2. */
function isIdempotent(method: string): boolean {
  return (
    method === 'GET' ||
    method === 'HEAD' ||
    method === 'PUT' ||
    method === 'DELETE' ||
    method === 'OPTIONS'
  )
}
