// Gives back what a thread that ended held of the state it shared with the others.
import { ConnectionCount, type SharedState } from '../../gateway/shared-state.ts'
import { METRICS_SHAPES } from '../../observability/gateway-metrics.ts'
import type { MetricsReader } from '../../observability/metrics.ts'
import { EndpointTable } from '../../proxy/upstream/endpoint-table.ts'

/** The control plane's hand on the shared state. */
export class SharedCleanup {
  readonly #shared: SharedState
  readonly #table: EndpointTable
  readonly #metrics: MetricsReader

  constructor(shared: SharedState, metrics: MetricsReader) {
    this.#shared = shared
    this.#table = EndpointTable.attach(shared.endpoints, shared.endpoints.threadsMax - 1)
    this.#metrics = metrics
  }

  /** Call it when the thread has ended and before another takes its index. */
  threadEnded(threadIndex: number): void {
    this.#table.releaseThread(threadIndex)
    ConnectionCount.releaseThread(this.#shared.connections, threadIndex)
    this.#metrics.threadEnded(threadIndex, METRICS_SHAPES)
  }
}
