// Reads one body after another off a connection, however each is framed (RFC 9112 6.3).
import { type BodySink, ChunkedDecoder } from './chunked-decoder.ts'
import { Pace } from './pace.ts'

/** The length of a body that ends with its connection. */
export const UNTIL_CLOSE = -1

/** The body being read on one connection. */
export class BodyReader {
  readonly pace = new Pace()
  #remaining = 0
  #decoder: ChunkedDecoder | null = null

  /** Turns to the next body: chunked, of a known length, or UNTIL_CLOSE. */
  begin(isChunked: boolean, length: number): void {
    this.#decoder = isChunked ? new ChunkedDecoder() : null
    this.#remaining = length
  }

  /** Whether all of it has been read. */
  get isDone(): boolean {
    return this.#decoder === null ? this.#remaining === 0 : this.#decoder.isDone
  }

  /** Whether the end of the connection is the end of the body. */
  get endsWithConnection(): boolean {
    return this.#decoder === null && this.#remaining === UNTIL_CLOSE
  }

  /** Raw trailer lines; valid once done. */
  get trailers(): string {
    return this.#decoder === null ? '' : this.#decoder.trailers
  }

  /**
   * Reads on from `offset`, handing data to the sink.
   * @returns where the body's bytes end, or -1 when its framing is broken.
   */
  read(bytes: Buffer, offset: number, sink: BodySink): number {
    if (this.#decoder !== null) return this.#decoder.decode(bytes, offset, sink)
    if (this.#remaining === UNTIL_CLOSE) {
      sink.onBodyData(offset === 0 ? bytes : bytes.subarray(offset))
      return bytes.length
    }
    const end = Math.min(bytes.length, offset + this.#remaining)
    this.#remaining -= end - offset
    sink.onBodyData(offset === 0 && end === bytes.length ? bytes : bytes.subarray(offset, end))
    return end
  }
}
