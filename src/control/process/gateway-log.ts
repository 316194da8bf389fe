// The gateway's log on standard output: what the data-plane threads hand over, written in one place.
import type { GatewayMetrics } from '../../observability/gateway-metrics.ts'
import {
  allocateLogPending,
  batchTaken,
  forgetPending,
  type LogBatch,
} from '../../observability/log-batcher.ts'
import { LogWriter, standardOutput } from '../../observability/log-writer.ts'

/** How long the last lines may take to be written, in milliseconds. */
const CLOSE_TIMEOUT_MS = 1_000

/** Writes the lines of all threads. */
export class GatewayLog {
  /** What every thread has on its way here; part of what a thread is made with. */
  readonly pending: Int32Array
  readonly #writer: LogWriter

  constructor(threads: number, metrics: GatewayMetrics) {
    this.pending = allocateLogPending(threads)
    this.#writer = new LogWriter(standardOutput(), {
      onDropped: (lines) => metrics.logLinesDropped(lines),
    })
  }

  write(threadIndex: number, batch: LogBatch): void {
    batchTaken(this.pending, threadIndex, batch)
    this.#writer.write(batch.text, batch.lines)
  }

  /** The thread is gone, and with it what it had on its way. */
  threadEnded(threadIndex: number): void {
    forgetPending(this.pending, threadIndex)
  }

  close(): Promise<void> {
    return this.#writer.close(CLOSE_TIMEOUT_MS)
  }
}
