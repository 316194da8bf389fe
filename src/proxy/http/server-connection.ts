// The server's role of HTTP/1: reads requests off one client's socket, one at a time, and writes the
// answers. It knows framing and deadlines; what a request means is its host's business.
import type { Socket } from 'node:net'
import type { ErrorCode } from '../../errors.ts'
import { BodyReader } from './body-reader.ts'
import type { BodySink } from './chunked-decoder.ts'
import { ClientPeer } from './client-peer.ts'
import { type ConnectionHost, requestWaitMs } from './connection-host.ts'
import { findHeadEnd, headStart, wholeHeadEnd } from './head-end.ts'
import { joined } from './joined-bytes.ts'
import { readSocket } from './lent-reads.ts'
import { LINGER_BYTES_MAX, LINGER_TIMEOUT_MS } from './limits.ts'
import { parseRequestHead } from './parse-head.ts'
import type { ClientAddress } from './proxy-protocol.ts'
import { PauseReason, ReadGate } from './read-gate.ts'
import type { RequestSink } from './request-sink.ts'
import { BodyMode, ResponseWriter } from './response-writer.ts'

const Input = { head: 0, body: 1, waiting: 2, discard: 3, linger: 4, tunnel: 5, closed: 6 } as const

const EMPTY = Buffer.alloc(0)

/** One client's connection. */
export class ServerConnection extends ClientPeer implements BodySink {
  readonly host: ConnectionHost<ServerConnection>
  /** Whether this connection ends with the current answer. */
  closing = false
  #requests = 0
  #input: number = Input.head
  #sink: RequestSink | null = null
  #pending: Buffer = EMPTY
  readonly #body = new BodyReader()
  readonly #writer: ResponseWriter
  #discarded = 0
  readonly #gate: ReadGate
  #clientEnded = false
  /** Whether the head of the current answer can no longer be changed. */
  #headSent = false
  /** Whether the client should read on before more is written. */
  #blocked = false

  constructor(
    socket: Socket,
    host: ConnectionHost<ServerConnection>,
    tlsVersion: string | null,
    client: ClientAddress | null,
  ) {
    super(socket, tlsVersion, client)
    this.#gate = new ReadGate(socket)
    this.#writer = new ResponseWriter(socket)
    this.host = host
    readSocket(socket, host.readBuffer, {
      onOwned: (data) => this.#onData(data),
      onLent: (data, size) => this.#onLent(data, size),
      onDefect: (error) => host.onDefect(error),
    })
    socket.on('end', () => this.#onEnd())
    socket.on('drain', () => this.#onDrain())
    socket.on('finish', () => {
      this.#blocked = false
      if (this.#input === Input.linger) host.wheel.arm(this, LINGER_TIMEOUT_MS)
    })
    socket.on('error', () => {})
    socket.on('close', () => this.#onClose())
    host.wheel.arm(this, host.limits.headTimeoutMs)
  }

  /** Begins the answer. `head` is complete, in latin1; it leaves with the first data or `flush`. */
  startResponse(head: string, bodyMode: number): void {
    this.#headSent = true
    this.#writer.begin(head, bodyMode)
  }

  /** Writes an interim answer (1xx) at once. */
  writeInterim(head: string): void {
    this.#writer.add(head)
    this.#writer.flush()
  }

  /**
   * Writes a piece of the answer's body; see ResponseWriter.data.
   * @returns false when the client should catch up first; `onClientDrain` follows.
   */
  writeData(data: Buffer, isOwned: boolean): boolean {
    if (this.#input === Input.closed || data.length === 0) return true
    this.#writer.data(data, isOwned)
    return this.#checkBlocked()
  }

  /** Sends what was gathered. @returns false when the client should catch up first. */
  flush(): boolean {
    if (this.#input !== Input.closed) this.#writer.flush()
    return this.#checkBlocked()
  }

  /** The answer is complete: sends it and turns to the next request, or closes. */
  endResponse(trailers: string): void {
    if (this.#input === Input.closed) return
    this.#writer.end(trailers)
    this.flush()
    this.#sink = null
    this.#gate.resume(PauseReason.receiver)
    if (this.closing || this.#input === Input.waiting) this.#turnToNext()
    else {
      // The answer came before the whole request did: a small rest is read and thrown away.
      this.#input = Input.discard
      this.#discarded = 0
      if (!this.#blocked) this.host.wheel.arm(this, LINGER_TIMEOUT_MS)
    }
  }

  /** Waits for the next request, but reads none while the client does not take its answers. */
  #turnToNext(): void {
    this.#input = Input.head
    if (this.closing || (this.#clientEnded && this.#pending.length === 0)) this.#closeGently()
    else if (this.#blocked) this.#gate.pause(PauseReason.unread)
    else if (this.#pending.length > 0) process.nextTick(() => this.#readPending())
    else this.#awaitRequest()
  }

  /** Nothing has arrived of the next request. */
  #awaitRequest(): void {
    const waitMs = requestWaitMs(this.host, this.#requests === 0)
    if (waitMs > 0) this.host.wheel.arm(this, waitMs)
    else this.#closeGently()
  }

  /** Ends the connection so that the client can tell that the answer is not complete. */
  abort(): void {
    if (this.#input === Input.closed) return
    this.flush()
    this.#sink = null
    this.#input = Input.closed
    this.socket.resetAndDestroy()
  }

  /** The answer was a 101: from now on bytes go through as they are. */
  startTunnel(): void {
    this.flush()
    this.#input = Input.tunnel
    this.#blocked = false
    this.#writer.begin('', BodyMode.tunnel)
    this.host.wheel.cancel(this)
    this.#gate.resume(PauseReason.receiver)
    if (this.#pending.length > 0) process.nextTick(() => this.#readPending())
  }

  /** The upstream's side of a tunnel has ended: passes the FIN on. */
  endTunnel(): void {
    this.flush()
    this.socket.end()
  }

  /** Nothing more goes through a tunnel in either direction. */
  closeTunnel(): void {
    if (this.#input !== Input.closed) this.#closeGently()
  }

  /** The receiver of the body needs time. */
  pauseRequest(): void {
    this.#gate.pause(PauseReason.receiver)
    if (this.#input === Input.body && !this.#blocked) this.host.wheel.cancel(this)
  }

  resumeRequest(): void {
    this.#gate.resume(PauseReason.receiver)
    if (this.#input === Input.body && !this.#blocked) this.#expectBody()
  }

  /** From now on the client has to send its body, at a decent pace. */
  #expectBody(): void {
    const { clock, limits, wheel } = this.host
    const now = clock.now()
    this.#body.pace.begin(now)
    wheel.arm(this, limits.bodyIdleTimeoutMs, now)
  }

  /** Its host takes last requests now. An answer that has begun cannot say so: one more follows it. */
  drain(): void {
    if (this.#sink !== null) this.closing ||= !this.#headSent
    else if (this.#input === Input.head && this.#pending.length === 0 && !this.#blocked) {
      this.#awaitRequest()
    }
  }

  /** Ends it now; an exchange is answered if that can still be. @returns whether there was one. */
  cut(): boolean {
    this.closing = true
    const sink = this.#sink
    if (sink === null) this.socket.destroy()
    else sink.onRequestFailed('draining')
    return sink !== null
  }

  /** Nothing that outlives the call stays in lent memory: all of it is read here, or copied. */
  #onLent(data: Buffer, size: number): void {
    const { limits } = this.host
    const isFresh = this.#input === Input.head && this.#pending.length === 0
    const end = isFresh ? wholeHeadEnd(data, size, limits.headBytesMax) : -1
    if (end === -1) this.#onData(Buffer.from(data.subarray(0, size)))
    else this.#begin(data, end, end === size ? EMPTY : Buffer.from(data.subarray(end, size)))
  }

  #onData(data: Buffer): void {
    if (this.#input === Input.head) {
      this.#readHead(joined(this.#pending, data), this.#pending.length)
    } else if (this.#input === Input.body) this.#readBody(data, 0)
    else if (this.#input === Input.waiting) this.#hold(data)
    else if (this.#input === Input.tunnel) this.#sink?.onRequestData(data)
    else this.#discard(data)
  }

  /** Takes up bytes that arrived while the connection was busy with something else. */
  #readPending(): void {
    const pending = this.#pending
    const isTunnel = this.#input === Input.tunnel
    if (pending.length === 0 || !(isTunnel || this.#input === Input.head)) return
    this.#pending = EMPTY
    if (isTunnel) this.#sink?.onRequestData(pending)
    else this.#readHead(pending, 0)
    if (this.#pending.length === 0) this.#gate.resume(PauseReason.pipelined)
    if (this.#clientEnded) this.#onEnd()
  }

  #readHead(data: Buffer, searched: number): void {
    const { limits, wheel } = this.host
    const end = findHeadEnd(data, headStart(data), searched, limits.headBytesMax)
    if (typeof end === 'string') this.#refuse(end)
    else if (end === -1) {
      if (this.#pending.length === 0) wheel.arm(this, limits.headTimeoutMs)
      this.#pending = data
      this.#gate.resume(PauseReason.pipelined)
    } else {
      this.#pending = EMPTY
      this.#begin(data, end, end === data.length ? EMPTY : data.subarray(end))
    }
  }

  /** @param rest what came behind the head. */
  #begin(data: Buffer, end: number, rest: Buffer): void {
    const { host } = this
    const head = parseRequestHead(data.toString('latin1', headStart(data), end), host.limits)
    if (typeof head === 'string') {
      this.#refuse(head)
      return
    }
    host.wheel.cancel(this)
    this.#requests++
    this.#headSent = false
    const isLast = this.#requests >= host.limits.requestsPerConnectionMax
    if (isLast || !head.keepAlive || host.lastRequests !== null) this.closing = true
    this.#body.begin(head.isChunked, Math.max(0, head.contentLength))
    this.#input = this.#body.isDone ? Input.waiting : Input.body
    // What follows a complete request is the next: kept, unread, until this one has its answer.
    if (this.#input === Input.body) this.#expectBody()
    else if (rest.length > 0) this.#hold(rest)
    const hasBody = this.#input === Input.body
    this.#sink = host.begin(this, head)
    this.#sink.start()
    if (hasBody && rest.length > 0) this.#onData(rest)
  }

  #readBody(data: Buffer, start: number): void {
    const end = this.#body.read(data, start, this)
    if (end === -1) this.#failRequest('bad_chunk')
    else if (this.#body.isDone) this.#endRequest(data, end, this.#body.trailers)
    else if (this.#gate.isOpen && this.#input === Input.body && !this.#blocked) {
      const { clock, limits, wheel } = this.host
      const now = clock.now()
      if (!this.#body.pace.keeps(data.length - start, now, limits))
        this.#failRequest('body_timeout')
      else wheel.arm(this, limits.bodyIdleTimeoutMs, now)
    }
  }

  /** A piece of the request's body; from the reader. */
  onBodyData(data: Buffer): void {
    if (this.#input === Input.body) this.#sink?.onRequestData(data)
    else this.#discarded += data.length
  }

  #endRequest(data: Buffer, end: number, trailers: string): void {
    const wasDiscarding = this.#input !== Input.body
    if (!this.#blocked) this.host.wheel.cancel(this)
    this.#input = Input.waiting
    if (end < data.length) this.#hold(data.subarray(end))
    if (wasDiscarding) this.#turnToNext()
    else this.#sink?.onRequestEnd(trailers)
  }

  /** The body cannot be read any further, so nothing after it can be read either. */
  #failRequest(code: ErrorCode): void {
    if (!this.#blocked) this.host.wheel.cancel(this)
    if (this.#input !== Input.body) {
      this.#closeGently()
      return
    }
    this.closing = true
    this.#input = Input.linger
    this.#discarded = 0
    this.#sink?.onRequestFailed(code)
  }

  #hold(data: Buffer): void {
    this.#pending = joined(this.#pending, data)
    this.#gate.pause(PauseReason.pipelined)
  }

  #discard(data: Buffer): void {
    if (this.#input === Input.discard) this.#readBody(data, 0)
    else this.#discarded += data.length
    if (this.#discarded <= LINGER_BYTES_MAX) return
    if (this.#input === Input.discard) this.#closeGently()
    else if (this.#input === Input.linger && this.#sink === null) this.socket.destroy()
  }

  #refuse(code: ErrorCode): void {
    this.#writer.add(this.host.refuse(this, code))
    this.#closeGently()
  }

  /** FIN after the last byte, then discard for a while: a RST could take the answer with it. */
  #closeGently(): void {
    this.flush()
    this.#sink = null
    this.#input = Input.linger
    this.#discarded = 0
    this.#pending = EMPTY
    this.socket.end()
    // A slow reader gets its time first; from the last byte on, which `finish` reports, a second.
    if (this.socket.writableLength > 0) this.#expectReading()
    else this.host.wheel.arm(this, LINGER_TIMEOUT_MS)
    if (this.#clientEnded) this.socket.destroySoon()
    else this.#gate.resume(PauseReason.any)
  }

  #onEnd(): void {
    this.#clientEnded = true
    if (this.#input === Input.head) {
      // A request cut off in its head gets no answer: nobody waits for one.
      if (!this.#blocked) this.#closeGently()
    } else if (this.#input === Input.body) this.#failRequest('client_closed')
    else if (this.#input === Input.tunnel) this.#sink?.onRequestEnd('')
    else if (this.#input !== Input.waiting) this.socket.destroySoon()
  }

  #checkBlocked(): boolean {
    if (!this.#writer.isBlocked) return true
    if (!this.#blocked && this.#input !== Input.tunnel) this.#expectReading()
    return false
  }

  /** From now on the client has to take what was written, at a decent pace. */
  #expectReading(): void {
    const { clock, limits, wheel } = this.host
    const now = clock.now()
    this.#blocked = true
    this.#writer.pace.begin(now)
    wheel.arm(this, limits.bodyIdleTimeoutMs, now)
  }

  #onDrain(): void {
    if (this.#blocked) {
      this.#blocked = false
      const isWaitedFor = this.#input === Input.discard || this.#input === Input.linger
      if (isWaitedFor) this.host.wheel.arm(this, LINGER_TIMEOUT_MS)
      else this.host.wheel.cancel(this)
      if (this.#input === Input.body && this.#gate.isOpen) this.#expectBody()
      else if (this.#input === Input.head) {
        this.#gate.resume(PauseReason.unread)
        this.#turnToNext()
      }
    }
    this.#sink?.onClientDrain()
  }

  onTimeout(now: number): void {
    const { limits, wheel } = this.host
    if (this.#blocked && this.#writer.pace.keeps(now, limits)) {
      wheel.arm(this, limits.bodyIdleTimeoutMs, now)
    } else if (this.#blocked) this.socket.destroy()
    else if (this.#input === Input.body) this.#failRequest('body_timeout')
    else if (this.#input === Input.head && this.#pending.length > 0) this.#refuse('head_timeout')
    else if (this.#input === Input.head || this.#input === Input.discard) this.#closeGently()
    else this.socket.destroy()
  }

  #onClose(): void {
    const sink = this.#sink
    this.#input = Input.closed
    this.#sink = null
    this.#pending = EMPTY
    this.host.wheel.cancel(this)
    sink?.onRequestFailed('client_closed')
    this.host.onClosed(this)
  }
}
