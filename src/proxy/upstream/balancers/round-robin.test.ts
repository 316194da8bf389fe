import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { EndpointTable } from '../endpoint-table.ts'
import { contextOf, endpointsOf, requestOf } from './balancer.contract.ts'
import { roundRobin } from './round-robin.ts'

const THREADS = 4

async function countsOverThreads(weights: readonly number[], picks: number): Promise<number[]> {
  const table = EndpointTable.create({ endpointsMax: 8, servicesMax: 1, threadsMax: THREADS })
  const settings = weights.map((weight, slot) => ({
    key: `shop|host-${slot}:80`,
    address: `host-${slot}:80`,
    host: `host-${slot}`,
    port: 80,
    secure: false,
    serverName: `host-${slot}`,
    weight,
    slot,
  }))
  const workers = Array.from({ length: THREADS }, (_, threadIndex) => {
    // Uneven shares of the load: the threads of a gateway are never equally busy.
    const own = threadIndex === 0 ? picks / 2 : picks / 6
    return new Worker(new URL('./round-robin-worker.test-support.ts', import.meta.url), {
      workerData: { buffers: table.buffers, threadIndex, settings, picks: own },
    })
  })
  await Promise.all(workers.map((worker) => once(worker, 'message')))
  const results = workers.map((worker) => once(worker, 'message'))
  for (const worker of workers) worker.postMessage('go')
  const sums = weights.map(() => 0)
  for (const [counts] of await Promise.all(results)) {
    for (const [index, count] of counts.entries()) sums[index]! += count
  }
  await Promise.all(workers.map((worker) => worker.terminate()))
  for (const { slot } of settings) assert.equal(table.inFlight(slot), 0)
  return sums
}

describe('round robin', () => {
  test('30,000 picks over 4 threads and 3 endpoints are equal to within one', async () => {
    const counts = await countsOverThreads([1, 1, 1], 30_000)
    assert.equal(counts[0]! + counts[1]! + counts[2]!, 30_000)
    assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, `${counts}`)
  })

  test('over 4 threads the weights hold to within one', async () => {
    assert.deepEqual(await countsOverThreads([3, 2, 1], 30_000), [15_000, 10_000, 5000])
  })

  test('three endpoints answer strictly in turn', () => {
    const { table, endpoints } = endpointsOf([1, 1, 1])
    const picker = roundRobin(endpoints, contextOf(table))
    const order = Array.from({ length: 7 }, (_, id) => picker.pick(requestOf(id), [])!.slot)
    assert.deepEqual(order, [0, 1, 2, 0, 1, 2, 0])
  })

  test('the turns of two ejected neighbours are shared to within one by all others', () => {
    const { table, endpoints } = endpointsOf([1, 1, 1, 1, 1])
    const picker = roundRobin(endpoints, contextOf(table))
    endpoints[1]!.usable = false
    endpoints[2]!.usable = false
    const counts = endpoints.map(() => 0)
    for (let id = 0; id < 1000; id += 1) counts[picker.pick(requestOf(id), [])!.slot]! += 1
    assert.equal(counts[1]! + counts[2]!, 0)
    const used = [counts[0]!, counts[3]!, counts[4]!]
    assert.ok(Math.max(...used) - Math.min(...used) <= 1, `${counts}`)
  })

  test('retries take nobody else out of turn', () => {
    const { table, endpoints } = endpointsOf([1, 1, 1])
    const picker = roundRobin(endpoints, contextOf(table))
    for (let id = 0; id < 30; id += 1) {
      const first = picker.pick(requestOf(id), [])!
      assert.equal(first.slot, id % 3)
      assert.notEqual(picker.pick(requestOf(id), [first]), first)
    }
  })
})
