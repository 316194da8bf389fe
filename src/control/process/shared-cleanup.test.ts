import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { ConnectionCount, createSharedState } from '../../gateway/shared-state.ts'
import { ThreadMetrics } from '../../observability/gateway-metrics.ts'
import { MetricsReader, MetricsWriter } from '../../observability/metrics.ts'
import { EndpointTable } from '../../proxy/upstream/endpoint-table.ts'
import { SharedMemoryStore } from '../../state/shared-memory-store.ts'
import type { Limit } from '../../state/store.ts'
import { SharedCleanup } from './shared-cleanup.ts'

const LIMIT: Limit = { algorithm: 'gcra', limit: 10, periodMs: 60_000, burst: 10 }

test('what a thread held when it died is there for the others again: places, counts and locks', async () => {
  const shared = createSharedState(2)
  const thread = new Worker(new URL('./shared-cleanup.test-support.ts', import.meta.url), {
    workerData: { shared, threadIndex: 1 },
  })
  await once(thread, 'message')
  const endpoints = EndpointTable.attach(shared.endpoints, 0)
  const connections = new ConnectionCount(shared.connections, 0)
  const store = new SharedMemoryStore(shared.store, 0)
  const failures = new SharedMemoryStore(shared.failedAttempts, 0)
  const take = () => store.take([LIMIT], ['key'], 1, 'deny').allowed

  assert.equal(endpoints.inFlight(3), 1)
  assert.equal(endpoints.tryReserveConnection(3, 1), false)
  assert.equal(endpoints.health.tryLock(0), false)
  assert.equal(connections.tryEnter(1), false)
  assert.equal(take(), false, 'the lock is held')

  await thread.terminate()
  const reader = new MetricsReader(shared.metrics)
  new SharedCleanup(shared, reader).threadEnded(1)

  assert.equal(endpoints.inFlight(3), 0)
  assert.equal(endpoints.waiters(3), 0)
  assert.equal(endpoints.tryReserveConnection(3, 1), true)
  assert.equal(endpoints.health.tryLock(0), true)
  assert.equal(connections.tryEnter(1), true)
  assert.equal(take(), true)
  assert.equal(store.enter('somebody', 1), true, 'its place is free')
  assert.equal(store.spend('month', 1, 10, 60_000).allowed, true)
  assert.equal(failures.increment('an address', 1, 60_000), 1)
  // A new block needs the directory's lock. What the dead thread accepted stays counted, what it had open not.
  const own = new ThreadMetrics(new MetricsWriter(shared.metrics, 0))
  assert.equal(reader.sum(own.start), 0)
  const dead = new MetricsWriter(shared.metrics, 1)
  const { start } = new ThreadMetrics(dead)
  assert.deepEqual([reader.sum(start), reader.sum(start + 1)], [1, 0])
})
