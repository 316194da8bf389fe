import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { ManualClock } from '../../lib/clock.ts'
import { Endpoint, EndpointRegistry, type EndpointSettings } from './endpoint.ts'
import { EndpointTable } from './endpoint-table.ts'
import { SlotRegistry } from './slot-registry.ts'

const CAPACITY = { endpointsMax: 20, servicesMax: 2, threadsMax: 3 }

function threads(): [EndpointTable, EndpointTable, EndpointTable] {
  const first = EndpointTable.create(CAPACITY)
  return [first, EndpointTable.attach(first.buffers, 1), EndpointTable.attach(first.buffers, 2)]
}

function settingsOf(slot: number, changes: Partial<EndpointSettings> = {}): EndpointSettings {
  const address = `10.0.0.${slot}:80`
  return {
    key: `shop|${address}`,
    address,
    host: `10.0.0.${slot}`,
    port: 80,
    secure: false,
    serverName: '',
    weight: 1,
    priority: 0,
    slot,
    serviceSlot: 0,
    ...changes,
  }
}

/** A thread that opens connections and then waits to be told how to end. */
function connectionHolder(table: EndpointTable, threadIndex: number, slot: number): Worker {
  const code = `
    const { parentPort, workerData } = require('node:worker_threads')
    import(workerData.module).then(({ EndpointTable }) => {
      const table = EndpointTable.attach(workerData.buffers, ${threadIndex})
      table.changeInFlight(${slot}, 1)
      while (table.tryReserveConnection(${slot}, 5)) {}
      table.addWaiter(${slot})
      parentPort.once('message', () => table.releaseConnection(${slot}))
      parentPort.postMessage('holding')
    })`
  return new Worker(code, {
    eval: true,
    workerData: {
      buffers: table.buffers,
      module: new URL('./endpoint-table.ts', import.meta.url).href,
    },
  })
}

describe('endpoint table', () => {
  test('sums what all threads have in flight', () => {
    const [a, b, c] = threads()
    a.changeInFlight(7, 1)
    b.changeInFlight(7, 1)
    c.changeInFlight(7, 1)
    c.changeInFlight(7, 1)
    c.changeInFlight(8, 1)
    for (const table of [a, b, c]) assert.equal(table.inFlight(7), 4)
    assert.equal(c.inFlightHere(7), 2)
    assert.equal(a.inFlight(6), 0)
  })

  test('the bound on connections holds over all threads', () => {
    const tables = threads()
    let open = 0
    for (let round = 0; round < 5; round += 1) {
      for (const table of tables) if (table.tryReserveConnection(3, 7)) open += 1
    }
    assert.equal(open, 7)
    tables[1].releaseConnection(3)
    assert.equal(tables[0].tryReserveConnection(3, 7), true)
    assert.equal(tables[2].tryReserveConnection(3, 7), false)
    assert.equal(tables[2].connections(3), 7)
  })

  test('turns are the same for all', () => {
    const [a, b] = threads()
    assert.deepEqual(
      [a.turns(1).next(), b.turns(1).next(), a.turns(0).next(), a.turns(1).next()],
      [0, 1, 0, 2],
    )
  })

  test('a waiter in one thread hears of a release in another', async () => {
    const table = EndpointTable.create(CAPACITY)
    const worker = connectionHolder(table, 1, 4)
    await once(worker, 'message')
    assert.equal(table.waiters(4), 1)
    assert.equal(table.tryReserveConnection(4, 5), false)
    const released = new Promise<void>((resolve) => table.onConnectionReleased(4, resolve))
    worker.postMessage('release')
    await released
    assert.equal(table.tryReserveConnection(4, 5), true)
    await worker.terminate()
  })

  test('a release between the failed try and the wait is not lost', async () => {
    const [a, b] = threads()
    assert.ok(b.tryReserveConnection(2, 1))
    assert.ok(!a.tryReserveConnection(2, 1))
    b.releaseConnection(2)
    await new Promise<void>((resolve) => a.onConnectionReleased(2, resolve))
    assert.ok(a.tryReserveConnection(2, 1))
  })

  test('what a dead thread held is given back, and those who waited for it are woken', async () => {
    const table = EndpointTable.create(CAPACITY)
    const worker = connectionHolder(table, 2, 4)
    await once(worker, 'message')
    table.changeInFlight(4, 1)
    assert.equal(table.inFlight(4), 2)
    assert.equal(table.tryReserveConnection(4, 5), false)
    const released = new Promise<void>((resolve) => table.onConnectionReleased(4, resolve))
    await worker.terminate()
    table.releaseThread(2)
    await released
    assert.equal(table.inFlight(4), 1)
    assert.equal(table.connections(4), 0)
    assert.equal(table.waiters(4), 0)
    table.changeInFlight(4, -1)
    assert.ok(table.isQuiet(4))
  })

  test('a thread index without a row is refused', () => {
    const table = EndpointTable.create(CAPACITY)
    assert.throws(() => EndpointTable.attach(table.buffers, 3), /thread 3 is outside/)
  })
})

describe('slot registry', () => {
  test('a key keeps its place, also when it comes back', () => {
    const registry = new SlotRegistry('endpoints', 3)
    assert.equal(registry.acquire('a'), 0)
    assert.equal(registry.acquire('b'), 1)
    assert.equal(registry.acquire('a'), 0)
    registry.release('a')
    assert.equal(registry.acquire('c'), 2)
    assert.equal(registry.acquire('a'), 0)
    assert.deepEqual([...registry.keys()].sort(), ['a', 'b', 'c'])
  })

  test('places are reused oldest first, and only when nobody holds anything of them', () => {
    const held = new Set([0])
    const registry = new SlotRegistry('endpoints', 3, (slot) => !held.has(slot))
    for (const key of ['a', 'b', 'c']) registry.acquire(key)
    for (const key of ['a', 'c', 'b']) registry.release(key)
    assert.equal(registry.acquire('d'), 2)
    assert.equal(registry.acquire('e'), 1)
    assert.throws(() => registry.acquire('f'), {
      name: 'RangeError',
      message: 'no room for more than 3 endpoints (1 removed ones are still in use)',
    })
    held.clear()
    assert.equal(registry.acquire('f'), 0)
    assert.throws(() => registry.acquire('g'), /no room for more than 3 endpoints$/)
  })
})

describe('endpoint', () => {
  test('counts in flight over all threads; a cancelled attempt says nothing of the latency', () => {
    const [a, b] = threads()
    const here = new Endpoint(a, settingsOf(5))
    const there = new Endpoint(b, settingsOf(5))
    here.begin()
    there.begin()
    assert.equal(here.inFlight(), 2)
    here.cancel()
    assert.equal(there.inFlight(), 1)
    assert.ok(here.latencyMs() < 0)
    there.end(30, false)
    assert.equal(there.latencyMs() > 0, true)
    assert.ok(here.latencyMs() < 0, 'latency is each thread its own')
  })

  test('a rise in latency shows at once, a fall over time', () => {
    const clock = new ManualClock()
    const endpoint = new Endpoint(EndpointTable.create(CAPACITY, 0, clock), settingsOf(1))
    const answer = (latencyMs: number): number => {
      clock.advance(100)
      endpoint.begin()
      endpoint.end(latencyMs, false)
      return endpoint.latencyMs()
    }
    assert.equal(answer(10), 10)
    assert.equal(answer(200), 200)
    assert.ok(answer(10) > 150)
    for (let count = 0; count < 600; count += 1) answer(10)
    assert.ok(answer(10) < 13)
  })

  test('latency fades while nothing is sent, and stands while a request is out', () => {
    const clock = new ManualClock()
    const endpoint = new Endpoint(EndpointTable.create(CAPACITY, 0, clock), settingsOf(1))
    endpoint.begin()
    endpoint.end(1000, false)
    clock.advance(30_000)
    assert.ok(endpoint.latencyMs() < 60)
    endpoint.begin()
    assert.equal(endpoint.latencyMs(), 1000)
    endpoint.cancel()
  })

  test('an attempt that was outrun can make it look slower, and never faster', () => {
    const clock = new ManualClock()
    const table = EndpointTable.create(CAPACITY, 0, clock)
    const endpoint = new Endpoint(table, settingsOf(1))
    const outrun = (waitedMs: number): number => {
      endpoint.begin()
      endpoint.outrun(waitedMs)
      return endpoint.latencyMs()
    }
    endpoint.begin()
    endpoint.end(100, false)
    assert.equal(outrun(20), 100)
    assert.equal(outrun(300), 300)
    assert.equal(endpoint.inFlight(), 0)
  })

  test('a failure counts as slow, however fast it was, within bounds', () => {
    const clock = new ManualClock()
    const endpoint = new Endpoint(EndpointTable.create(CAPACITY, 0, clock), settingsOf(1))
    const fail = (latencyMs: number): number => {
      endpoint.begin()
      endpoint.end(latencyMs, true)
      return endpoint.latencyMs()
    }
    assert.equal(fail(0.1), 100)
    assert.equal(fail(0.1), 400)
    for (let count = 0; count < 10; count += 1) fail(0.1)
    assert.equal(fail(0.1), 10_000)
    assert.equal(fail(12_000), 12_000)
  })
})

describe('endpoint registry', () => {
  test('the same address is the same endpoint after a reload, with its new weight', () => {
    const registry = new EndpointRegistry(EndpointTable.create(CAPACITY))
    const before = registry.get(settingsOf(1))
    before.begin()
    const after = registry.get(settingsOf(1, { weight: 5 }))
    assert.equal(after, before)
    assert.equal(after.weight, 5)
    assert.equal(after.inFlight(), 1)
  })

  test('another place, TLS or certificate name is another endpoint', () => {
    const registry = new EndpointRegistry(EndpointTable.create(CAPACITY))
    for (const change of [{ slot: 2 }, { secure: true }, { serverName: 'shop.test' }]) {
      const before = registry.get(settingsOf(1))
      assert.notEqual(registry.get(settingsOf(1, change)), before)
    }
  })

  test('forgets what no snapshot uses', () => {
    const registry = new EndpointRegistry(EndpointTable.create(CAPACITY))
    const [kept, gone] = [registry.get(settingsOf(1)), registry.get(settingsOf(2))]
    assert.deepEqual(registry.retain(new Set([kept])), [gone])
    assert.equal(registry.get(settingsOf(1)), kept)
    assert.notEqual(registry.get(settingsOf(2)), gone)
  })
})
