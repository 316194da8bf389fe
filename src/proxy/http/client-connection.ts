// The client's role of HTTP/1: one connection to an endpoint, one request on it at a time, and the
// answer pushed into whoever asked.
import type net from 'node:net'
import type { ErrorCode } from '../../errors.ts'
import { type TimerWheel, WheelTimer } from '../../lib/timer-wheel.ts'
import { BodyReader } from './body-reader.ts'
import { type BodySink, hasBareLineBreak } from './chunked-decoder.ts'
import { INTERIM_RESPONSES_MAX, RESPONSE_HEAD_BYTES_MAX } from './limits.ts'
import type { ResponseHead } from './message-head.ts'
import { parseResponseHead } from './parse-head.ts'
import {
  type ConnectTarget,
  connectFailure,
  connectionFailure,
  hasEndedCleanly,
  openSocket,
} from './upstream-socket.ts'

/** What receives the answer to one request. Data is only lent: it must be copied or written out. */
export interface ResponseSink {
  /** An interim answer (1xx, but not 101). */
  onInterim(head: ResponseHead): void
  /** The final head; with 101 the connection has become a tunnel. */
  onResponseHead(head: ResponseHead): void
  onResponseData(data: Buffer): void
  /** The answer, or the upstream's side of a tunnel, is complete. `trailers` are raw lines. */
  onResponseEnd(trailers: string): void
  /** No answer, or no more of it, will come. The connection is gone. */
  onResponseFailed(code: ErrorCode): void
  /** What was sent has left; see `sendData`. */
  onUpstreamDrain(): void
  /** All that arrived at once has been handed over: the moment to write it on. */
  onReadEnd(): void
}

/** Who keeps the connection while nobody uses it. */
export interface ConnectionOwner {
  readonly wheel: TimerWheel
  /** Lent to every connection of the thread for the time of one read. */
  readonly readBuffer: Buffer
  readonly timeouts: UpstreamTimeouts
  onConnected(connection: ClientConnection): void
  onConnectFailed(connection: ClientConnection, code: ErrorCode): void
  /** The exchange on it is over and the connection is good for another. */
  onReusable(connection: ClientConnection): void
  onClosed(connection: ClientConnection): void
  /** A defect of the gateway: this connection is lost, the thread goes on. */
  onDefect(error: unknown): void
}

/** Bounds in time of one attempt. */
export interface UpstreamTimeouts {
  readonly connectMs: number
  /** From the last byte sent to the response head. */
  readonly responseMs: number
  /** Between two reads of a body, or of a tunnel. */
  readonly idleMs: number
}

const Input = { connecting: 0, idle: 1, head: 2, body: 3, tunnel: 4, closed: 5 } as const
const EMPTY = Buffer.alloc(0)
const HEAD_END = Buffer.from('\r\n\r\n')

/** One connection to an endpoint. */
export class ClientConnection extends WheelTimer implements BodySink {
  readonly socket: net.Socket
  readonly owner: ConnectionOwner
  readonly #isTls: boolean
  /** Those of the current exchange. */
  timeouts: UpstreamTimeouts
  /** Exchanges begun on it so far. */
  requests = 0
  #input: number = Input.connecting
  #sink: ResponseSink | null = null
  #isHead = false
  #requestEnded = false
  #keepAlive = true
  #pending: Buffer = EMPTY
  readonly #body = new BodyReader()
  #interims = 0
  #paused = false
  /** The answer has ended within the current read. */
  #isOver = false
  #failure: ErrorCode | null = null

  constructor(target: ConnectTarget, owner: ConnectionOwner) {
    super()
    this.owner = owner
    this.timeouts = owner.timeouts
    this.#isTls = target.tls !== null
    this.socket = openSocket(
      target,
      owner.readBuffer,
      (size, buffer) => this.#guard(size, buffer as Buffer),
      () => this.#onConnected(),
    )
    this.socket.on('end', () => this.#onEnd())
    this.socket.on('drain', () => {
      if (this.#input === Input.head && !this.#requestEnded) owner.wheel.cancel(this)
      this.#sink?.onUpstreamDrain()
    })
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      const isConnecting = this.#input === Input.connecting
      this.#failure ??= isConnecting ? connectFailure(error, this.socket) : connectionFailure(error)
      // TLS reports a broken record and leaves the rest to us.
      this.socket.destroy()
    })
    this.socket.on('close', () => this.#onClose())
    owner.wheel.arm(this, owner.timeouts.connectMs)
  }

  /** Whether it could take a request right now. */
  get isIdle(): boolean {
    return this.#input === Input.idle
  }

  // ---- the request ------------------------------------------------------------------------------

  /** Begins an exchange: sends the request head, in latin1, with as much body as was joined to it. */
  begin(sink: ResponseSink, head: string, isHead: boolean, timeouts: UpstreamTimeouts): void {
    this.timeouts = timeouts
    this.requests++
    this.#sink = sink
    this.#isHead = isHead
    this.#requestEnded = false
    this.#keepAlive = true
    this.#interims = 0
    this.#failure = null
    this.#input = Input.head
    // The time to answer counts from the end of the request; a slow client must not use it up.
    this.owner.wheel.cancel(this)
    if (head !== '') this.socket.write(head, 'latin1')
  }

  /**
   * Sends a piece of the body, already framed. The memory must stay untouched.
   * @returns false when the upstream should catch up first; `onUpstreamDrain` follows.
   */
  sendData(data: Buffer | string): boolean {
    if (this.#input === Input.tunnel) this.owner.wheel.arm(this, this.timeouts.idleMs)
    const { socket } = this
    const takesMore = typeof data === 'string' ? socket.write(data, 'latin1') : socket.write(data)
    if (!takesMore && this.#input === Input.head) this.owner.wheel.arm(this, this.timeouts.idleMs)
    return takesMore
  }

  /** Somebody else takes what is left of the answer. */
  passTo(sink: ResponseSink): void {
    this.#sink = sink
  }

  cork(): void {
    this.socket.cork()
  }

  uncork(): void {
    this.socket.uncork()
  }

  /** The request is complete. */
  endRequest(): void {
    this.#requestEnded = true
    if (this.#input === Input.head) this.owner.wheel.arm(this, this.timeouts.responseMs)
  }

  /** The client's side of a tunnel has ended: passes the FIN on. */
  endTunnel(): void {
    this.socket.end()
  }

  /** Leaves the exchange and the connection: whatever arrives from now on goes nowhere. */
  abort(): void {
    this.#sink = null
    this.socket.destroy()
  }

  pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.socket.pause()
    this.owner.wheel.cancel(this)
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.socket.resume()
    if (this.#input !== Input.closed) this.owner.wheel.arm(this, this.timeouts.idleMs)
  }

  /** Keeps the idle connection for another request, for `idleMs`. */
  keep(idleMs: number): void {
    this.owner.wheel.arm(this, idleMs)
  }

  // ---- the answer -------------------------------------------------------------------------------

  #guard(size: number, buffer: Buffer): boolean {
    try {
      return this.#onRead(size, buffer)
    } catch (error) {
      this.owner.onDefect(error)
      this.#fail('internal')
      return false
    }
  }

  #onRead(size: number, buffer: Buffer): boolean {
    let offset = 0
    let bytes = buffer
    if (this.#pending.length > 0) {
      bytes = Buffer.concat([this.#pending, buffer.subarray(0, size)])
      this.#pending = EMPTY
      size = bytes.length
    }
    while (offset < size) {
      if (this.#input === Input.head) offset = this.#readHead(bytes, offset, size)
      else if (this.#input === Input.body) offset = this.#readBody(bytes, offset, size)
      else if (this.#input === Input.tunnel) {
        this.owner.wheel.arm(this, this.timeouts.idleMs)
        this.#sink?.onResponseData(bytes.subarray(offset, size))
        offset = size
      } else {
        // Bytes nobody asked for: they must never be taken for the answer to the next request.
        this.socket.destroy()
        return false
      }
    }
    if (!this.#isOver) this.#sink?.onReadEnd()
    else if (this.#isTls) setImmediate(release, this)
    else this.release()
    return !this.#paused
  }

  #readHead(bytes: Buffer, offset: number, size: number): number {
    const end = bytes.indexOf(HEAD_END, offset)
    if (end === -1 || end + 4 > size || end - offset > RESPONSE_HEAD_BYTES_MAX) {
      if (size - offset > RESPONSE_HEAD_BYTES_MAX) this.#fail('upstream_head_too_large')
      else if (isHopeless(bytes, offset, size)) this.#fail('upstream_invalid')
      else this.#pending = Buffer.from(bytes.subarray(offset, size))
      return size
    }
    const head = parseResponseHead(bytes.toString('latin1', offset, end + 4))
    if (head === null) return this.#fail('upstream_invalid', size)
    if (head.status < 200 && head.status !== 101) {
      if (++this.#interims > INTERIM_RESPONSES_MAX) return this.#fail('upstream_invalid', size)
      this.#sink?.onInterim(head)
    } else this.#onHead(head)
    return end + 4
  }

  #onHead(head: ResponseHead): void {
    const sink = this.#sink
    if (!head.keepAlive) this.#keepAlive = false
    if (head.status === 101) {
      this.#input = Input.tunnel
      this.#keepAlive = false
      this.owner.wheel.arm(this, this.timeouts.idleMs)
      sink?.onResponseHead(head)
      return
    }
    const hasBody = !this.#isHead && head.status !== 204 && head.status !== 304
    const isChunked = hasBody && head.isChunked
    this.#body.begin(isChunked, hasBody ? head.contentLength : 0)
    if (this.#body.endsWithConnection) this.#keepAlive = false
    this.#input = Input.body
    if (!this.#body.isDone) this.owner.wheel.arm(this, this.timeouts.idleMs)
    sink?.onResponseHead(head)
    if (this.#body.isDone) this.#end('')
  }

  #readBody(bytes: Buffer, offset: number, size: number): number {
    const end = this.#body.read(
      size === bytes.length ? bytes : bytes.subarray(0, size),
      offset,
      this,
    )
    // The receiver may have ended the exchange meanwhile.
    if (this.#input !== Input.body || this.#sink === null) return size
    if (end === -1) return this.#fail('upstream_truncated', size)
    if (this.#body.isDone) this.#end(this.#body.trailers)
    else if (!this.#paused) this.owner.wheel.arm(this, this.timeouts.idleMs)
    return end
  }

  /** A piece of the body, from the reader. */
  onBodyData(data: Buffer): void {
    this.#sink?.onResponseData(data)
  }

  #end(trailers: string): void {
    const sink = this.#sink
    this.#sink = null
    this.#input = Input.idle
    this.#isOver = true
    sink?.onResponseEnd(trailers)
  }

  /**
   * Gives the connection back, but only once all that arrived with the end of the answer was looked
   * at: bytes beyond it have destroyed the connection by now, and can reach no other exchange. What TLS
   * received at once comes record by record, so it is given back only when that is over.
   */
  release(): void {
    this.#isOver = false
    if (this.#paused) {
      // The client is slower than this answer; the next exchange must not wait for it.
      this.#paused = false
      this.socket.resume()
    }
    if (this.#keepAlive && this.#requestEnded && !this.socket.destroyed) this.owner.onReusable(this)
    else this.socket.destroy()
  }

  #fail(code: ErrorCode, consumed = 0): number {
    const sink = this.#sink
    this.#sink = null
    this.#failure = code
    this.socket.destroy()
    this.owner.wheel.cancel(this)
    sink?.onResponseFailed(code)
    return consumed
  }

  // ---- events -----------------------------------------------------------------------------------

  #onConnected(): void {
    this.#input = Input.idle
    this.owner.wheel.cancel(this)
    // Held by `pause` and `resume` from now on; with `onread` the socket would not begin by itself.
    this.socket.resume()
    this.owner.onConnected(this)
  }

  #onEnd(): void {
    if (this.#input === Input.tunnel) this.#sink?.onResponseEnd('')
    else if (this.#input === Input.body && this.#body.endsWithConnection) {
      // Paused, TCP is not read: what ended then was close_notify.
      if (this.#paused || hasEndedCleanly(this.socket)) {
        this.#end('')
        this.release()
      } else this.#fail('upstream_truncated')
    } else if (this.#input === Input.head) this.#fail('upstream_closed')
    else if (this.#input === Input.body) this.#fail('upstream_truncated')
    else this.socket.destroy()
  }

  onTimeout(): void {
    if (this.#input === Input.connecting) this.#failure = 'connect_timeout'
    else if (this.#input === Input.head) this.#fail('upstream_timeout')
    else if (this.#input === Input.body || this.#input === Input.tunnel) this.#fail('upstream_idle')
    this.socket.destroy()
  }

  #onClose(): void {
    const wasConnecting = this.#input === Input.connecting
    const isTruncated = this.#input === Input.body || this.#input === Input.tunnel
    const sink = this.#sink
    this.#input = Input.closed
    this.#sink = null
    this.#pending = EMPTY
    this.owner.wheel.cancel(this)
    if (wasConnecting) this.owner.onConnectFailed(this, this.#failure ?? 'connect_failed')
    else {
      this.owner.onClosed(this)
      sink?.onResponseFailed(
        isTruncated ? 'upstream_truncated' : (this.#failure ?? 'upstream_closed'),
      )
    }
  }
}

function release(connection: ClientConnection): void {
  connection.release()
}

/** Whether what has arrived cannot become a head any more, however much follows. */
function isHopeless(bytes: Buffer, offset: number, size: number): boolean {
  const start = 'HTTP/1.'
  const text = bytes.toString('latin1', offset, size)
  const seen = Math.min(text.length, start.length)
  return text.slice(0, seen) !== start.slice(0, seen) || hasBareLineBreak(text)
}
