// Gives back what a thread that ended held of the state it shared with the others.
import { ConnectionCount, type SharedState } from '../../gateway/shared-state.ts'
import { METRICS_SHAPES } from '../../observability/gateway-metrics.ts'
import type { MetricsReader } from '../../observability/metrics.ts'
import { EndpointTable } from '../../proxy/upstream/endpoint-table.ts'
import { SharedMemoryStore } from '../../state/shared-memory-store.ts'

/** The control plane's hand on the shared state. */
export class SharedCleanup {
  readonly #shared: SharedState
  readonly #table: EndpointTable
  readonly #metrics: MetricsReader
  readonly #store: SharedMemoryStore
  readonly #failures: SharedMemoryStore

  constructor(shared: SharedState, metrics: MetricsReader) {
    this.#shared = shared
    this.#table = EndpointTable.attach(shared.endpoints, shared.endpoints.threadsMax - 1)
    this.#metrics = metrics
    this.#store = new SharedMemoryStore(shared.store, 0)
    this.#failures = new SharedMemoryStore(shared.failedAttempts, 0)
  }

  /** How often a limit, a count or a place found no room for another key. */
  get noRoom(): number {
    return this.#store.noRoom + this.#failures.noRoom
  }

  /** Call it when the thread has ended and before another takes its index. */
  threadEnded(threadIndex: number): void {
    this.#table.releaseThread(threadIndex)
    ConnectionCount.releaseThread(this.#shared.connections, threadIndex)
    this.#store.releaseThread(threadIndex)
    this.#failures.releaseThread(threadIndex)
    this.#metrics.threadEnded(threadIndex, METRICS_SHAPES)
  }
}
