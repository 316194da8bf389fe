// A client that sends exactly the bytes it is told to, cut where it is told to, and reads answers
// with the strict reader.
import { connect as connectTcp, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { ByteLog } from './byte-log.ts'
import { Changes, nextTurn, printable } from './changes.ts'
import { readResponse, type WireResponse } from './strict-http.ts'

/** How the other side let go of the connection. */
export type Ending = 'open' | 'fin' | 'reset'

/** Options of a connection. */
export interface ClientOptions {
  readonly host?: string
  /** TLS options; absent for plain TCP. */
  readonly tls?: ConnectionOptions
  /** The address to connect from, e.g. 127.0.0.2, to be another client. */
  readonly localAddress?: string
}

/** One connection, seen from the client. Strings are sent as latin1: one character, one byte. */
export class RawClient {
  readonly socket: Socket
  readonly #changes = new Changes()
  readonly #log = new ByteLog()
  #read = 0
  #ending: Ending = 'open'
  #closed = false

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => {
      this.#log.append(chunk)
      this.#changes.notify()
    })
    socket.on('end', () => {
      if (this.#ending === 'open') this.#ending = 'fin'
      this.#changes.notify()
    })
    socket.on('error', () => {
      this.#ending = 'reset'
      this.#changes.notify()
    })
    socket.on('close', () => {
      this.#closed = true
      this.#changes.notify()
    })
  }

  /** Connects; resolves when the connection (and its TLS) stands. */
  static connect(port: number, options: ClientOptions = {}): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const host = options.host ?? '127.0.0.1'
      const { localAddress } = options
      const to = {
        port,
        host,
        allowHalfOpen: true,
        ...(localAddress === undefined ? {} : { localAddress }),
      }
      const socket: Socket =
        options.tls === undefined
          ? connectTcp(to)
          : connectTls({ ...to, ...options.tls } as ConnectionOptions)
      socket.once('error', reject)
      socket.once(options.tls === undefined ? 'connect' : 'secureConnect', () => {
        socket.off('error', reject)
        resolve(new RawClient(socket))
      })
    })
  }

  /** Everything received so far. */
  get received(): Buffer {
    return this.#log.bytes
  }

  /** What was received and not yet taken as a response. */
  get unread(): Buffer {
    return this.received.subarray(this.#read)
  }

  get ending(): Ending {
    return this.#ending
  }

  /** Sends bytes in one write; errors of a connection that the gateway closed are no concern here. */
  send(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  /** Sends bytes in pieces of `step`, each read by the other side before the next is written. */
  async sendSplit(bytes: string | Buffer, step = 1): Promise<void> {
    const all = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes
    for (let at = 0; at < all.length && this.socket.writable; at += step) {
      this.socket.write(all.subarray(at, at + step))
      await nextTurn()
    }
  }

  /** The next final response to a request with this method. */
  async response(method = 'GET'): Promise<WireResponse> {
    return this.#changes.until(
      () => {
        const ended = this.#ending === 'fin'
        const read = readResponse(this.received, this.#read, method, ended)
        if (read !== null) {
          this.#read = read.end
          return read.message
        }
        if (this.#ending === 'open' && !this.#closed) return null
        throw new Error(
          `the connection ended (${this.#ending}) instead of an answer; unread: ${printable(this.unread)}`,
        )
      },
      () => `a response; unread: ${printable(this.unread)}`,
    )
  }

  /** As many responses as there are methods, in order. */
  async responses(methods: readonly string[]): Promise<WireResponse[]> {
    const all: WireResponse[] = []
    for (const method of methods) all.push(await this.response(method))
    return all
  }

  /** Sends and takes the response, for the common case of one at a time. */
  async exchange(bytes: string | Buffer, method?: string): Promise<WireResponse> {
    this.send(bytes)
    const text = typeof bytes === 'string' ? bytes : bytes.toString('latin1', 0, 100)
    return this.response(method ?? text.slice(0, text.indexOf(' ')))
  }

  /** Resolves when at least so many unread bytes are there. */
  async bytes(count: number): Promise<Buffer> {
    return this.#changes.until(
      () => (this.#log.length - this.#read >= count ? this.unread : null),
      () => `${count} bytes; unread: ${printable(this.unread)}`,
    )
  }

  /** Resolves when this text was received after the last response taken. */
  async receives(text: string): Promise<void> {
    await this.#changes.until(
      () => (this.unread.includes(text, 0, 'latin1') ? true : null),
      () => `${printable(text)}; unread: ${printable(this.unread)}`,
    )
  }

  /** Resolves when the other side has ended or reset the connection, and says which. */
  async closed(): Promise<Ending> {
    return this.#changes.until(
      () => (this.#ending !== 'open' || this.#closed ? this.#ending : null),
      () => `the connection to be closed; unread: ${printable(this.unread)}`,
    )
  }

  /** Half-closes: no more bytes from here, still reading. */
  end(): void {
    this.socket.end()
  }

  /** Closes with RST, as a crashed client does. */
  reset(): void {
    this.socket.resetAndDestroy()
  }

  /** Stops or goes on reading, so that the gateway's writes back up. */
  pause(): void {
    this.socket.pause()
  }
  resume(): void {
    this.socket.resume()
  }

  /** Closes and waits until the socket is gone. */
  async destroy(): Promise<void> {
    this.socket.destroy()
    await this.#changes.until(
      () => (this.#closed ? true : null),
      () => 'the own socket to close',
    )
  }
}
