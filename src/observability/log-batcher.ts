// The way of log lines out of the thread that serves requests: whole lines, many at a time, and
// never more on the way than a bound.
import type { LogSink } from './log.ts'

const BATCH_LENGTH = 65_536
const BATCH_DELAY_MS = 5
const PENDING_MAX = 1_048_576

/** Lines, each with its line break. */
export interface LogBatch {
  readonly text: string
  readonly lines: number
}

/** What every thread has on its way to the writer, in characters; a cell per thread. */
export function allocateLogPending(threads: number): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer(threads * Int32Array.BYTES_PER_ELEMENT))
}

/** How a thread hands its lines over. */
export interface LogBatcherOptions {
  /** Sends a batch to the writer, which calls `batchTaken` with it. */
  readonly post: (batch: LogBatch) => void
  /** Shared with the writer. */
  readonly pending: Int32Array
  /** The cell of this thread in `pending`. */
  readonly index: number
  /** The most that may be on its way, in characters; further lines are dropped. */
  readonly pendingMax?: number
  readonly onDropped?: (lines: number) => void
}

/** Collects lines for a few milliseconds and posts them together. */
export class LogBatcher implements LogSink {
  readonly #options: LogBatcherOptions
  readonly #pendingMax: number
  #text = ''
  #lines = 0
  #timer: NodeJS.Timeout | null = null

  constructor(options: LogBatcherOptions) {
    this.#options = options
    this.#pendingMax = options.pendingMax ?? PENDING_MAX
  }

  line(json: string): void {
    const { pending, index, onDropped } = this.#options
    const length = this.#text.length + json.length + 1
    if (Atomics.load(pending, index) + length > this.#pendingMax) {
      onDropped?.(1)
      return
    }
    this.#text += `${json}\n`
    this.#lines++
    if (length >= BATCH_LENGTH) this.flush()
    else if (this.#lines === 1) this.#startTimer()
  }

  /** Posts what has been collected. */
  flush(): void {
    if (this.#lines === 0) return
    const { post, pending, index } = this.#options
    const batch = { text: this.#text, lines: this.#lines }
    this.#text = ''
    this.#lines = 0
    Atomics.add(pending, index, batch.text.length)
    post(batch)
  }

  /** Posts what has been collected and forgets the timer; lines may still come. */
  close(): void {
    this.flush()
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  /** One timer for the life of the thread, set again by the first line of every batch. */
  #startTimer(): void {
    if (this.#timer === null) {
      this.#timer = setTimeout(() => this.flush(), BATCH_DELAY_MS)
      this.#timer.unref()
    } else this.#timer.refresh()
  }
}

/** The writer has taken a batch of that thread, or dropped it. */
export function batchTaken(pending: Int32Array, index: number, batch: LogBatch): void {
  Atomics.sub(pending, index, batch.text.length)
}

/** A thread is gone, and its batches with it. */
export function forgetPending(pending: Int32Array, index: number): void {
  Atomics.store(pending, index, 0)
}
