// A service that keeps every byte it was sent, per connection, and answers as a script says:
// exact bytes, at exact moments, with resets and closes wherever a test wants them.
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { ByteLog } from './byte-log.ts'
import { Changes, nextTurn, printable } from './changes.ts'
import type { Ending } from './raw-client.ts'
import { readRequest, type WireRequest } from './strict-http.ts'

/** What a service does with one connection. Errors it throws fail `close()` of the upstream. */
export type Script = (connection: UpstreamConnection) => void | Promise<void>

/** One connection, seen from the service. */
export class UpstreamConnection {
  /** 0, 1, 2, ... in the order of their coming. */
  readonly index: number
  readonly socket: Socket
  readonly #changes: Changes
  readonly #log = new ByteLog()
  #read = 0
  #ending: Ending = 'open'
  #closed = false

  constructor(index: number, socket: Socket, changes: Changes) {
    this.index = index
    this.socket = socket
    this.#changes = changes
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => {
      this.#log.append(chunk)
      changes.notify()
    })
    socket.on('end', () => {
      if (this.#ending === 'open') this.#ending = 'fin'
      changes.notify()
    })
    socket.on('error', () => {
      this.#ending = 'reset'
      changes.notify()
    })
    socket.on('close', () => {
      this.#closed = true
      changes.notify()
    })
  }

  /** Every byte received on this connection. */
  get received(): Buffer {
    return this.#log.bytes
  }
  get text(): string {
    return this.received.toString('latin1')
  }
  get ending(): Ending {
    return this.#ending
  }
  get isClosed(): boolean {
    return this.#closed
  }

  /** The next complete request. */
  request(): Promise<WireRequest> {
    return this.#changes.until(
      () => {
        const request = this.#takeRequest()
        if (request !== null) return request
        if (this.#ending === 'open' && !this.#closed) return null
        throw new Error(`connection ${this.index} ended (${this.#ending}) instead of a request`)
      },
      () =>
        `a request on connection ${this.index}; it got ${printable(this.text.slice(this.#read))}`,
    )
  }

  /** The next complete request, or null when the connection ended without one. */
  nextRequest(): Promise<WireRequest | null> {
    return this.#changes
      .until<{ request: WireRequest | null }>(
        () => {
          const request = this.#takeRequest()
          if (request !== null) return { request }
          return this.#ending !== 'open' || this.#closed ? { request: null } : null
        },
        () => `a request or the end of connection ${this.index}`,
        24 * 3600 * 1000,
      )
      .then((found) => found.request)
  }

  #takeRequest(): WireRequest | null {
    const read = readRequest(this.received, this.#read)
    if (read === null) return null
    this.#read = read.end
    return read.message
  }

  /** Resolves when this text has been received. */
  async receives(text: string): Promise<void> {
    await this.#changes.until(
      () => (this.received.includes(text, 0, 'latin1') ? true : null),
      () => `${printable(text)} on connection ${this.index}; it got ${printable(this.text)}`,
    )
  }

  /** Resolves when a complete head has been received. */
  head(): Promise<void> {
    return this.receives('\r\n\r\n')
  }

  /** Resolves when the gateway ended or reset the connection, and says which. */
  closed(): Promise<Ending> {
    return this.#changes.until(
      () => (this.#ending !== 'open' || this.#closed ? this.#ending : null),
      () => `connection ${this.index} to be closed; it got ${printable(this.text)}`,
    )
  }

  /** Writes exactly these bytes; resolves when the kernel has them. */
  send(bytes: string | Buffer): Promise<void> {
    const all = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes
    return new Promise((resolve) => {
      this.socket.write(all, () => resolve())
    })
  }

  /** Writes bytes one by one, each read by the other side before the next is written. */
  async sendSplit(bytes: string): Promise<void> {
    for (const byte of bytes) {
      if (!this.socket.writable) return
      this.socket.write(byte, 'latin1')
      await nextTurn()
    }
  }

  /** A 200 with this body and a length. */
  answer(body: string, fields = ''): Promise<void> {
    const length = Buffer.byteLength(body, 'latin1')
    return this.send(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n${fields}\r\n${body}`)
  }

  end(): void {
    this.socket.end()
  }
  reset(): void {
    this.socket.resetAndDestroy()
  }
}

/** A listening service with a record of all its connections. */
export class RecordingUpstream {
  readonly connections: UpstreamConnection[] = []
  readonly #server: Server
  readonly #changes = new Changes()
  readonly #failures: unknown[] = []
  readonly #sockets = new Set<Socket>()
  readonly #marks = new Map<UpstreamConnection, number>()
  #port = 0

  private constructor(server: Server) {
    this.#server = server
    // Also sockets whose TLS handshake failed, which never become connections.
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
  }

  /** Starts a service that treats each connection as `script` says; over TLS if options are given. */
  static async start(script: Script, tls?: TlsOptions): Promise<RecordingUpstream> {
    const server =
      tls === undefined
        ? createServer({ allowHalfOpen: true })
        : createTlsServer({ allowHalfOpen: true, ...tls })
    const upstream = new RecordingUpstream(server)
    server.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
      const connection = upstream.#record(socket)
      Promise.resolve()
        .then(() => script(connection))
        .catch((error: unknown) => upstream.#failures.push(error))
    })
    await upstream.#listen()
    return upstream
  }

  /** Starts a service whose requests node's own parser reads; every byte is recorded all the same. */
  static async startHttp(
    listener: (request: IncomingMessage, response: ServerResponse) => void = echo,
  ): Promise<RecordingUpstream> {
    const server = createHttpServer({ keepAliveTimeout: 0, requestTimeout: 0 }, listener)
    const upstream = new RecordingUpstream(server)
    server.on('connection', (socket: Socket) => upstream.#record(socket))
    await upstream.#listen()
    return upstream
  }

  /** Starts a service that records nothing and hands out its sockets as they are, for large streams. */
  static async startRaw(onSocket: (socket: Socket) => void): Promise<RecordingUpstream> {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {})
      onSocket(socket)
    })
    const upstream = new RecordingUpstream(server)
    await upstream.#listen()
    return upstream
  }

  #record(socket: Socket): UpstreamConnection {
    const connection = new UpstreamConnection(this.connections.length, socket, this.#changes)
    this.connections.push(connection)
    this.#changes.notify()
    return connection
  }

  async #listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(0, '127.0.0.1', resolve)
    })
    this.#port = (this.#server.address() as AddressInfo).port
  }

  get port(): number {
    return this.#port
  }

  /** The address as a configuration names it. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** Everything received, over all connections. */
  get text(): string {
    return this.connections.map((connection) => connection.text).join('')
  }

  /** From now on `since` leaves out what has been received so far. */
  mark(): void {
    for (const connection of this.connections)
      this.#marks.set(connection, connection.received.length)
  }

  /** What each connection received since the mark, where it is anything. */
  since(): Buffer[] {
    return this.connections
      .map((connection) => connection.received.subarray(this.#marks.get(connection) ?? 0))
      .filter((bytes) => bytes.length > 0)
  }

  /** Connections that the other side still holds. */
  get open(): number {
    return this.connections.filter(
      (connection) => !connection.isClosed && connection.ending === 'open',
    ).length
  }

  /** The connection with this index, as soon as it exists. */
  connection(index: number): Promise<UpstreamConnection> {
    return this.#changes.until(
      () => this.connections[index] ?? null,
      () => `connection ${index}; there are ${this.connections.length}`,
    )
  }

  /** Resolves when nothing is connected any more. */
  async idle(): Promise<void> {
    await this.#changes.until(
      () => (this.open === 0 ? true : null),
      () => `${this.open} connections to be closed`,
    )
  }

  /** Closes everything. @throws what a script threw. */
  async close(): Promise<void> {
    for (const connection of this.connections) connection.socket.destroy()
    for (const socket of this.#sockets) socket.destroy()
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve())
    })
    if (this.#failures.length > 0) throw this.#failures[0]
  }
}

/** What the echoing service answers: what it saw. Strings are latin1. */
export interface Echo {
  readonly method: string
  readonly url: string
  readonly version: string
  /** name, value, name, value, ... as received */
  readonly fields: readonly string[]
  readonly body: string
  readonly trailers: readonly string[]
}

/** Answers 200 with an `Echo` as JSON. */
export function echo(request: IncomingMessage, response: ServerResponse): void {
  const parts: Buffer[] = []
  request.on('data', (part: Buffer) => parts.push(part))
  request.on('error', () => {})
  request.on('end', () => {
    const seen: Echo = {
      method: request.method ?? '',
      url: request.url ?? '',
      version: request.httpVersion,
      fields: request.rawHeaders,
      body: Buffer.concat(parts).toString('latin1'),
      trailers: request.rawTrailers,
    }
    const body = Buffer.from(JSON.stringify(seen))
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': body.length })
    response.end(body)
  })
}

/** Answers every request of a connection with 200 and `ok`, for as long as it lasts. */
export async function answersOk(connection: UpstreamConnection): Promise<void> {
  while ((await connection.nextRequest()) !== null) await connection.answer('ok')
}
