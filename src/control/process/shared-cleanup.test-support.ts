// A thread that takes one of everything that threads share, and never gives it back.
import { parentPort, workerData } from 'node:worker_threads'
import { ConnectionCount, type SharedState } from '../../gateway/shared-state.ts'
import { ThreadMetrics } from '../../observability/gateway-metrics.ts'
import { MetricsWriter } from '../../observability/metrics.ts'
import { EndpointTable } from '../../proxy/upstream/endpoint-table.ts'
import { CellTable } from '../../state/cell-table.ts'
import { SharedMemoryStore } from '../../state/shared-memory-store.ts'

const { shared, threadIndex } = workerData as { shared: SharedState; threadIndex: number }

const endpoints = EndpointTable.attach(shared.endpoints, threadIndex)
endpoints.changeInFlight(3, 1)
endpoints.tryReserveConnection(3, 10)
endpoints.addWaiter(3)
endpoints.health.tryLock(0)

new ConnectionCount(shared.connections, threadIndex).tryEnter(10)
new ThreadMetrics(new MetricsWriter(shared.metrics, threadIndex)).connectionAccepted()
// The lock of the directory, which is its first word.
Atomics.store(new Int32Array(shared.metrics.directory), 0, threadIndex + 1)

for (const store of [shared.store, shared.failedAttempts]) {
  new SharedMemoryStore(store, threadIndex).enter('somebody', 1)
  for (const buffers of [store.cells, store.places, store.lasting]) {
    const table = new CellTable(buffers, threadIndex)
    for (let index = 0; index < table.buckets; index++) table.lock(table.bucketAt(index))
  }
}

parentPort!.postMessage('taken')
for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
