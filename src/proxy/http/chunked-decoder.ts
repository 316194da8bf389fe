// Takes chunked bodies apart (RFC 9112 7.1), byte by byte where it is framing, slice by slice where
// it is data. Strict: what it takes, every other reader frames alike.
import { CHUNK_EXTENSION_BYTES_MAX, TRAILER_BYTES_MAX } from './limits.ts'
import { isTrailerSection } from './trailers.ts'

/** Where a decoded body goes. `data` is the caller's memory and good only until the call returns. */
export interface BodySink {
  onBodyData(data: Buffer): void
}

const State = {
  size: 0,
  extension: 1,
  sizeLineFeed: 2,
  data: 3,
  dataReturn: 4,
  dataLineFeed: 5,
  trailer: 6,
  done: 7,
  failed: 8,
} as const

/** 13 hex digits say up to 2^52; more only pad with zeros or overflow. */
const SIZE_DIGITS_MAX = 13

/** Decodes one body. */
export class ChunkedDecoder {
  #state: number = State.size
  #remaining = 0
  #digits = 0
  #extensionBytes = 0
  /** The trailer section so far: lines with CRLF, without the final empty line once done. */
  #trailers = ''

  /** Whether the last chunk and the trailer section have been read. */
  get isDone(): boolean {
    return this.#state === State.done
  }

  /** The trailer section's lines, each with CRLF; '' if there are none. Valid once done. */
  get trailers(): string {
    return this.#trailers
  }

  /**
   * Reads on from `offset`, handing data to the sink.
   * @returns where it stopped: the end of `bytes`, or just behind the body; -1 when it is malformed.
   */
  decode(bytes: Buffer, offset: number, sink: BodySink): number {
    let i = offset
    while (i < bytes.length && this.#state !== State.done) {
      if (this.#state === State.data) {
        const end = Math.min(bytes.length, i + this.#remaining)
        this.#remaining -= end - i
        if (this.#remaining === 0) this.#state = State.dataReturn
        const data = bytes.subarray(i, end)
        i = end
        sink.onBodyData(data)
        continue
      }
      if (this.#state === State.trailer) {
        i = this.#readTrailers(bytes, i)
        if (i < 0) return this.#fail()
        continue
      }
      if (!this.#step(bytes[i]!)) return this.#fail()
      i++
    }
    return this.#state === State.failed ? -1 : i
  }

  #fail(): number {
    this.#state = State.failed
    return -1
  }

  /** One byte of framing. */
  #step(byte: number): boolean {
    switch (this.#state) {
      case State.size:
        return this.#stepSize(byte)
      case State.extension:
        if (byte === 0x0d) this.#state = State.sizeLineFeed
        else if (byte === 0x7f || (byte < 0x20 && byte !== 0x09)) return false
        else if (++this.#extensionBytes > CHUNK_EXTENSION_BYTES_MAX) return false
        return true
      case State.sizeLineFeed:
        if (byte !== 0x0a) return false
        this.#digits = 0
        this.#state = this.#remaining === 0 ? State.trailer : State.data
        return true
      case State.dataReturn:
        this.#state = State.dataLineFeed
        return byte === 0x0d
      case State.dataLineFeed:
        this.#state = State.size
        return byte === 0x0a
      default:
        return false
    }
  }

  #stepSize(byte: number): boolean {
    const lower = byte | 0x20
    const digit =
      byte >= 0x30 && byte <= 0x39
        ? byte - 0x30
        : lower >= 0x61 && lower <= 0x66
          ? lower - 0x57
          : -1
    if (digit >= 0) {
      if (++this.#digits > SIZE_DIGITS_MAX) return false
      this.#remaining = this.#digits === 1 ? digit : this.#remaining * 16 + digit
      return true
    }
    if (this.#digits === 0) return false
    if (byte === 0x0d) this.#state = State.sizeLineFeed
    else if (byte === 0x3b) this.#state = State.extension
    else return false
    return true
  }

  /** Gathers trailer lines up to the empty line; the bound covers the whole section. */
  #readTrailers(bytes: Buffer, start: number): number {
    const room = TRAILER_BYTES_MAX + 2 - this.#trailers.length
    const before = this.#trailers.length
    const text =
      this.#trailers + bytes.toString('latin1', start, Math.min(bytes.length, start + room))
    let end = text.startsWith('\r\n') ? 0 : text.indexOf('\r\n\r\n', Math.max(0, before - 3))
    if (end === -1) {
      this.#trailers = text
      return text.length > TRAILER_BYTES_MAX || hasBareLineBreak(text) ? -1 : bytes.length
    }
    if (end > 0) end += 2
    this.#trailers = text.slice(0, end)
    if (!isTrailerSection(this.#trailers)) return -1
    this.#state = State.done
    return start + end + 2 - before
  }
}

/** Whether a CR or LF stands alone; a CR at the very end may still get its LF. */
export function hasBareLineBreak(text: string): boolean {
  for (let i = text.indexOf('\n'); i !== -1; i = text.indexOf('\n', i + 1)) {
    if (i === 0 || text.charCodeAt(i - 1) !== 0x0d) return true
  }
  for (let i = text.indexOf('\r'); i !== -1; i = text.indexOf('\r', i + 1)) {
    if (i + 1 < text.length && text.charCodeAt(i + 1) !== 0x0a) return true
  }
  return false
}
