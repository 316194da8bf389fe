// Reads the PROXY header off an accepted socket and leaves the socket as if it had just been accepted,
// for the TLS handshake or the first request that follows.
import type { Socket } from 'node:net'
import { type TimerWheel, WheelTimer } from '../../lib/timer-wheel.ts'
import { joined } from './joined-bytes.ts'
import { type ClientAddress, parseProxyHeader } from './proxy-protocol.ts'

const EMPTY = Buffer.alloc(0)

/** Waits for one header. */
export class ProxyHeaderReader extends WheelTimer {
  readonly #socket: Socket
  readonly #wheel: TimerWheel
  readonly #onDone: (client: ClientAddress | null | false) => void
  #bytes: Buffer = EMPTY
  #done = false

  /**
   * @param timeoutMs until the header must be complete.
   * @param onDone runs once: with the client, null when the header names none, or false when there was
   *   no header in time; not when the connection ended before. The socket is paused then.
   */
  constructor(
    socket: Socket,
    wheel: TimerWheel,
    timeoutMs: number,
    onDone: (client: ClientAddress | null | false) => void,
  ) {
    super()
    this.#socket = socket
    this.#wheel = wheel
    this.#onDone = onDone
    socket.on('data', this.#onData)
    socket.on('end', this.#onEnd)
    socket.on('close', this.#stop)
    wheel.arm(this, timeoutMs)
  }

  onTimeout(): void {
    this.#finish(false)
  }

  readonly #onData = (data: Buffer): void => {
    this.#bytes = joined(this.#bytes, data)
    const header = parseProxyHeader(this.#bytes)
    if (header === null) return
    if (header === false) {
      this.#finish(false)
      return
    }
    this.#socket.pause()
    const rest = this.#bytes.subarray(header.bytes)
    if (rest.length > 0) this.#socket.unshift(rest)
    this.#finish(header.client)
  }

  readonly #onEnd = (): void => {
    this.#stop()
    this.#socket.destroy()
  }

  readonly #stop = (): void => {
    this.#done = true
    this.#bytes = EMPTY
    this.#wheel.cancel(this)
    this.#socket.off('data', this.#onData)
    this.#socket.off('end', this.#onEnd)
    this.#socket.off('close', this.#stop)
  }

  #finish(client: ClientAddress | null | false): void {
    if (this.#done) return
    this.#stop()
    this.#socket.pause()
    this.#onDone(client)
  }
}
