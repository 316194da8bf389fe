// The log of a data-plane thread: lines leave in batches, and the level may change with the configuration.
import { GatewayMetrics } from '../../observability/gateway-metrics.ts'
import { createLog, type Log, type LogLevel } from '../../observability/log.ts'
import { type LogBatch, LogBatcher } from '../../observability/log-batcher.ts'
import { MetricsWriter } from '../../observability/metrics.ts'
import type { PolicyLog } from '../../proxy/pipeline/policy.ts'
import type { ThreadData } from './thread-protocol.ts'

/** Writes through the control plane. */
export class ThreadLog implements PolicyLog {
  readonly #batcher: LogBatcher
  #log: Log

  constructor(
    { shared, threadIndex, logPending, logLevel }: ThreadData,
    post: (batch: LogBatch) => void,
  ) {
    const metrics = new GatewayMetrics(new MetricsWriter(shared.metrics, threadIndex))
    this.#batcher = new LogBatcher({
      post,
      pending: logPending,
      index: threadIndex,
      onDropped: (lines) => metrics.logLinesDropped(lines),
    })
    this.#log = createLog(this.#batcher, logLevel)
  }

  /** Lines below this level are not written from now on. */
  setLevel(level: LogLevel): void {
    this.#log = createLog(this.#batcher, level)
  }

  /** Hands over what has been collected. */
  flush(): void {
    this.#batcher.flush()
  }

  info(fields: Readonly<Record<string, unknown>>, message: string): void {
    this.#log.info(fields, message)
  }

  warn(fields: Readonly<Record<string, unknown>>, message: string): void {
    this.#log.warn(fields, message)
  }

  error(fields: Readonly<Record<string, unknown>>, message: string): void {
    this.#log.error(fields, message)
  }

  line(json: string): void {
    this.#batcher.line(json)
  }
}
