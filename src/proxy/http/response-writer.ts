// Gathers what goes to a client so that it leaves in as few writes as possible.
import type { Socket } from 'node:net'
import { ReadingPace } from './pace.ts'

/** How the body of an answer is framed. */
export const BodyMode = { none: 0, length: 1, chunked: 2, untilClose: 3, tunnel: 4 } as const

/** Data up to this size joins what was gathered in one string, and so in one write. */
const JOINED_BYTES_MAX = 16384

/** The output side of one client's connection. */
export class ResponseWriter {
  /** How fast the client reads. */
  readonly pace: ReadingPace
  readonly #socket: Socket
  /** What waits for the next write, in latin1. */
  #out = ''
  #mode: number = BodyMode.none

  constructor(socket: Socket) {
    this.pace = new ReadingPace(socket)
    this.#socket = socket
  }

  /** Whether the client should catch up before more is written. */
  get isBlocked(): boolean {
    return this.#socket.writableNeedDrain
  }

  /** Adds a complete head, in latin1, and frames what follows as `mode` says. */
  begin(head: string, mode: number): void {
    this.#out += head
    this.#mode = mode
  }

  /** Adds text in latin1, unframed. */
  add(text: string): void {
    this.#out += text
  }

  /**
   * Adds a piece of the body; small ones wait for `flush`.
   * @param isOwned whether the memory stays untouched from now on; if not it is copied when needed.
   */
  data(data: Buffer, isOwned: boolean): void {
    if (this.#mode === BodyMode.chunked) this.#out += `${data.length.toString(16)}\r\n`
    if (this.#out.length + data.length <= JOINED_BYTES_MAX) {
      this.#out += data.toString('latin1')
      if (this.#mode === BodyMode.chunked) this.#out += '\r\n'
      return
    }
    const socket = this.#socket
    const out = this.#out
    this.#out = this.#mode === BodyMode.chunked ? '\r\n' : ''
    if (out === '') {
      socket.write(isOwned ? data : Buffer.from(data))
      return
    }
    socket.cork()
    socket.write(out, 'latin1')
    socket.write(isOwned ? data : Buffer.from(data))
    socket.uncork()
  }

  /** Adds the end of the body. `trailers` are lines with CRLF. */
  end(trailers: string): void {
    if (this.#mode === BodyMode.chunked) this.#out += `0\r\n${trailers}\r\n`
  }

  /** Writes what was gathered. */
  flush(): void {
    if (this.#out === '') return
    const out = this.#out
    this.#out = ''
    this.#socket.write(out, 'latin1')
  }
}
