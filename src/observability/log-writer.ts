// The one place that writes the log to standard output. A reader that is slow or stuck costs lines,
// never memory, a request or the end of the process.
import { createWriteStream, fstatSync } from 'node:fs'
import type { Writable } from 'node:stream'
import type { LogSink } from './log.ts'

const WAITING_BYTES_MAX = 8_388_608

/** How a log is written. */
export interface LogWriterOptions {
  /** The most that may wait for the reader, in bytes; further lines are dropped. */
  readonly waitingBytesMax?: number
  readonly onDropped?: (lines: number) => void
}

/**
 * Standard output as a stream that does not block. Not through a thread pool for pipes: a write
 * that waits there for its reader keeps the process from ending.
 */
export function standardOutput(): Writable {
  return fstatSync(1).isFile() ? createWriteStream('', { fd: 1, autoClose: false }) : process.stdout
}

/** Writes lines to a stream as fast as its reader takes them. */
export class LogWriter implements LogSink {
  readonly #stream: Writable
  readonly #waitingBytesMax: number
  readonly #onDropped: ((lines: number) => void) | undefined
  #isBroken = false

  constructor(stream: Writable, options: LogWriterOptions = {}) {
    this.#stream = stream
    this.#waitingBytesMax = options.waitingBytesMax ?? WAITING_BYTES_MAX
    this.#onDropped = options.onDropped
    // The reader has gone, or the disk is full: the gateway goes on without a log.
    stream.on('error', () => {
      this.#isBroken = true
    })
  }

  line(json: string): void {
    this.write(`${json}\n`, 1)
  }

  /** Writes whole lines with their line breaks, all or none of them. */
  write(text: string, lines: number): void {
    const waiting = this.#stream.writableLength
    if (this.#isBroken || this.#stream.destroyed || waiting + text.length > this.#waitingBytesMax) {
      this.#onDropped?.(lines)
    } else this.#stream.write(text, 'latin1')
  }

  /** Resolves when everything is written, or nothing more can be, or after `timeoutMs`. */
  async close(timeoutMs: number): Promise<void> {
    const stream = this.#stream
    if (stream.writableLength === 0 || this.#isBroken || stream.destroyed) return
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer)
        stream.off('drain', done)
        stream.off('error', done)
        resolve()
      }
      const timer = setTimeout(done, timeoutMs)
      stream.on('drain', done)
      stream.on('error', done)
      // Also called when less waits than the stream's mark, where no drain follows.
      stream.write('', done)
    })
  }
}
