import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { EndpointTable } from '../endpoint-table.ts'

const THREADS = 4
const REQUESTS = 3000

/** Lets four threads ask for places at once; resolves with the most that were ever taken. */
async function mostInFlight(limit: number): Promise<number> {
  const table = EndpointTable.create({ endpointsMax: 1, servicesMax: 1, threadsMax: THREADS + 1 })
  const settings = { limit, adaptive: null, queueMax: 1000, queueTimeoutMs: 60_000 }
  const crowd = new Int32Array(new SharedArrayBuffer(4))
  const workers = Array.from(
    { length: THREADS },
    (_, threadIndex) =>
      new Worker(new URL('./gate-worker.test-support.ts', import.meta.url), {
        workerData: { buffers: table.buffers, threadIndex, settings, requests: REQUESTS, crowd },
      }),
  )
  await Promise.all(workers.map((worker) => once(worker, 'message')))
  const results = workers.map((worker) => once(worker, 'message'))
  for (const worker of workers) worker.postMessage('go')
  let most = 0
  for (const [result] of await Promise.all(results)) {
    assert.equal(result.ended, REQUESTS)
    most = Math.max(most, result.most)
  }
  await Promise.all(workers.map((worker) => worker.terminate()))
  assert.ok(table.concurrency.isQuiet(0), 'everything was given back')
  return most
}

for (const limit of [1, 7]) {
  test(`four threads never have more than ${limit} in flight, and all get their turn`, async () => {
    assert.equal(await mostInFlight(limit), limit)
  })
}
