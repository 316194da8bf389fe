import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { ManualClock } from '../../../lib/clock.ts'
import { Endpoint } from '../endpoint.ts'
import { EndpointTable } from '../endpoint-table.ts'
import type { EjectionSettings } from './ejection.ts'
import { FailureRatios } from './failure-ratios.ts'
import { type HealthSettings, ServiceHealth } from './service-health.ts'
import { Blocked } from './shared-health.ts'

const EJECTION: EjectionSettings = {
  failuresInRow: 3,
  failureRatio: 0.5,
  requestsMin: 20,
  windowMs: 10_000,
  timeMs: 1000,
  timeMaxMs: 4000,
  shareMax: 0.5,
}
const CAPACITY = { endpointsMax: 16, servicesMax: 1, threadsMax: 3 }

/** The same service in two threads. */
function pairOf(count: number, settings: Partial<HealthSettings> = {}, priorities: number[] = []) {
  const clock = new ManualClock()
  const first = EndpointTable.create(CAPACITY, 0, clock)
  const tables = [first, EndpointTable.attach(first.buffers, 1, clock)]
  const threads = tables.map((table) => {
    const endpoints = Array.from({ length: count }, (_, slot) => {
      const host = `10.0.0.${slot}`
      const key = `shop|${host}:80`
      const place = { key, address: `${host}:80`, host, port: 80, slot, serviceSlot: 0 }
      const priority = priorities[slot] ?? 0
      return new Endpoint(table, { ...place, secure: false, serverName: '', weight: 1, priority })
    })
    const health = new ServiceHealth(table.health)
    health.configure(
      { ejection: EJECTION, panicBelow: 0.3, slowStartMs: 0, ...settings },
      endpoints,
    )
    const usable = (): number[] => {
      health.update()
      return endpoints.filter((endpoint) => endpoint.usable).map(({ slot }) => slot)
    }
    const fail = (slot: number, times = 1): void => {
      for (let i = 0; i < times; i += 1) health.note(endpoints[slot]!, true)
    }
    const succeed = (slot: number, times = 1): void => {
      for (let i = 0; i < times; i += 1) health.note(endpoints[slot]!, false)
    }
    return { endpoints, health, usable, fail, succeed }
  })
  return { clock, shared: first.health, here: threads[0]!, there: threads[1]! }
}

describe('ejection', () => {
  test('needs failures in a row, counted over all threads, and is seen by all', () => {
    const { here, there } = pairOf(4)
    here.fail(1, 2)
    there.succeed(1)
    here.fail(1, 2)
    assert.deepEqual(there.usable(), [0, 1, 2, 3])
    there.fail(1)
    assert.deepEqual(here.usable(), [0, 2, 3])
    assert.deepEqual(there.usable(), [0, 2, 3])
  })

  test('ends by time, and lasts twice as long each further time, up to a bound', () => {
    const { clock, here, there } = pairOf(4)
    here.fail(1, 3)
    for (const lastsMs of [1000, 2000, 4000, 4000]) {
      clock.advance(lastsMs - 1)
      assert.deepEqual(there.usable(), [0, 2, 3], `still out just before ${lastsMs}`)
      clock.advance(1)
      assert.deepEqual(here.usable(), [0, 1, 2, 3])
      // On probation: a single failure suffices.
      there.fail(1)
      assert.deepEqual(here.usable(), [0, 2, 3])
    }
  })

  test('after a success in between takes as many failures as before; good times are remembered', () => {
    const { clock, here } = pairOf(4)
    here.fail(1, 3)
    clock.advance(1000)
    here.usable()
    here.succeed(1)
    here.fail(1, 2)
    assert.deepEqual(here.usable(), [0, 1, 2, 3])
    clock.advance(61_000)
    here.fail(1)
    assert.deepEqual(here.usable(), [0, 2, 3])
    clock.advance(1000)
    assert.deepEqual(here.usable(), [0, 1, 2, 3], 'a minute of good conduct forgives one')
  })

  test('never takes more than its share, nor the last one', () => {
    const { here, there } = pairOf(4)
    for (const slot of [0, 1, 2, 3]) here.fail(slot, 5)
    assert.deepEqual(there.usable(), [2, 3])
    const alone = pairOf(1)
    alone.here.fail(0, 50)
    assert.deepEqual(alone.here.usable(), [0])
    const two = pairOf(2)
    two.here.fail(0, 3)
    two.here.fail(1, 50)
    assert.deepEqual(two.here.usable(), [1])
  })

  test('a lock that a dead thread held keeps nobody from it', () => {
    const { shared, here, there } = pairOf(4)
    assert.ok(shared.tryLock(0))
    there.fail(1, 3)
    assert.deepEqual(there.usable(), [0, 1, 2, 3])
    shared.releaseThread(0)
    here.fail(1)
    assert.deepEqual(there.usable(), [0, 2, 3])
  })

  test('is over for a place that goes to another address', () => {
    const { shared, here } = pairOf(4)
    here.fail(1, 3)
    shared.clear(1)
    assert.deepEqual(here.usable(), [0, 1, 2, 3])
    here.fail(1, 2)
    assert.deepEqual(here.usable(), [0, 1, 2, 3])
  })

  test('a time that was written an age ago is over', () => {
    const { clock, here } = pairOf(4)
    here.fail(1, 3)
    clock.advance(2 ** 31 + 5000)
    here.health.configure({ ejection: EJECTION, panicBelow: 0, slowStartMs: 0 }, here.endpoints)
    assert.deepEqual(here.usable(), [0, 1, 2, 3])
  })
})

describe('an endpoint that comes back', () => {
  /** Which of these moments, each so many ms after the one before, a request may go there. */
  function taken(pair: ReturnType<typeof pairOf>, stepsMs: readonly number[]): boolean[] {
    const { clock, here, there } = pair
    return stepsMs.map((ms, index) => {
      clock.advance(ms)
      const { health, endpoints } = index % 2 === 0 ? here : there
      health.update()
      return health.takes(endpoints[1]!, 0.5, false)
    })
  }

  test('gets one request a second over all threads, until one succeeds', () => {
    const pair = pairOf(4)
    pair.here.fail(1, 3)
    pair.clock.advance(1000)
    assert.deepEqual(pair.here.usable(), [0, 1, 2, 3])
    assert.ok(pair.here.health.isRamping)
    assert.deepEqual(taken(pair, [0, 0, 999, 1, 0, 1000]), [true, false, false, true, false, true])
    assert.ok(!pair.here.health.takes(pair.here.endpoints[1]!, 0.5, true), 'a retry is no trial')
    pair.there.succeed(1)
    assert.deepEqual(pair.here.usable(), [0, 1, 2, 3])
    assert.ok(!pair.here.health.isRamping)
    pair.there.usable()
    assert.ok(!pair.there.health.isRamping)
  })

  test('begins its slow start when it has shown that it works', () => {
    const pair = pairOf(4, { slowStartMs: 10_000 })
    pair.here.fail(1, 3)
    pair.clock.advance(1000)
    pair.here.usable()
    assert.deepEqual(taken(pair, [0, 0]), [true, false])
    pair.clock.advance(1500)
    pair.here.succeed(1)
    pair.here.usable()
    const takes = (random: number) => pair.here.health.takes(pair.here.endpoints[1]!, random, false)
    assert.deepEqual([0.05, 0.12].map(takes), [true, false])
  })

  test('does not send the next tier home before', () => {
    const { clock, here } = pairOf(2, {}, [0, 1])
    here.usable()
    here.fail(0, 3)
    assert.deepEqual(here.usable(), [1])
    clock.advance(1000)
    assert.deepEqual(here.usable(), [0, 1])
    here.succeed(0)
    assert.deepEqual(here.usable(), [0])
  })

  test('is judged by what it does now, not by how slow it was', () => {
    const { clock, here, there } = pairOf(4)
    const [, back] = here.endpoints
    for (let i = 0; i < 3; i += 1) {
      back!.begin()
      back!.end(250, true)
    }
    here.usable()
    there.fail(1, 3)
    assert.deepEqual(here.usable(), [0, 2, 3])
    assert.ok(back!.latencyMs() > 250)
    clock.advance(1000)
    here.usable()
    assert.ok(back!.latencyMs() < 0, 'it knows nothing of it')
  })
})

describe('what checks say', () => {
  test('counts beside ejection, and panic puts all to use but those held back', () => {
    const { shared, here } = pairOf(5)
    for (const slot of [0, 1, 2]) shared.setBlocked(slot, Blocked.failing, true)
    assert.deepEqual(here.usable(), [3, 4])
    shared.setBlocked(4, Blocked.held, true)
    assert.deepEqual(here.usable(), [0, 1, 2, 3])
    shared.setBlocked(0, Blocked.failing, false)
    assert.deepEqual(here.usable(), [0, 3])
  })

  test('with panic off the few that are left take all', () => {
    const { shared, here } = pairOf(5, { panicBelow: 0 })
    for (const slot of [0, 1, 2, 3]) shared.setBlocked(slot, Blocked.failing, true)
    assert.deepEqual(here.usable(), [4])
    shared.setBlocked(4, Blocked.failing, true)
    assert.deepEqual(here.usable(), [])
  })
})

test('tiers: the next one joins when too few before it are left', () => {
  const { shared, here } = pairOf(6, { panicBelow: 0.5 }, [0, 0, 0, 1, 1, 2])
  assert.deepEqual(here.usable(), [0, 1, 2])
  shared.setBlocked(0, Blocked.failing, true)
  assert.deepEqual(here.usable(), [1, 2])
  shared.setBlocked(1, Blocked.failing, true)
  assert.deepEqual(here.usable(), [2, 3, 4])
  for (const slot of [2, 3, 4]) shared.setBlocked(slot, Blocked.failing, true)
  assert.deepEqual(here.usable(), [5])
  shared.setBlocked(5, Blocked.failing, true)
  assert.deepEqual(here.usable(), [0, 1, 2, 3, 4, 5])
})

test('slow start: a tenth at first, all of its share in the end', () => {
  const { clock, shared, here } = pairOf(3, { slowStartMs: 10_000 })
  const [, back] = here.endpoints
  here.usable()
  assert.ok(!here.health.isRamping)
  here.fail(1, 3)
  clock.advance(1000)
  here.usable()
  here.succeed(1)
  here.usable()
  assert.ok(here.health.isRamping)
  assert.deepEqual(
    [0.05, 0.2].map((random) => here.health.takes(back!, random, false)),
    [true, false],
  )
  clock.advance(5000)
  assert.deepEqual(
    [0.4, 0.6].map((random) => here.health.takes(back!, random, false)),
    [true, false],
  )
  assert.ok(here.health.takes(here.endpoints[0]!, 0.99, false))
  clock.advance(5000)
  here.usable()
  assert.ok(!here.health.isRamping)
  shared.startUse(2)
  clock.advance(1)
  here.health.configure({ ejection: null, panicBelow: 0, slowStartMs: 10_000 }, here.endpoints)
  here.usable()
  assert.ok(here.health.isRamping)
})

describe('failure ratios', () => {
  function rated(count: number) {
    const made = pairOf(count)
    const ratios = new FailureRatios(made.shared)
    const slots = made.here.endpoints.map(({ slot }) => slot)
    ratios.configure([{ serviceSlot: 0, slots, settings: EJECTION }])
    /** A second in which each endpoint gets ten requests, of which so many fail, never two in a row. */
    const second = (failures: number[]): void => {
      failures.forEach((failed, slot) => {
        for (let i = 0; i < 5; i += 1) {
          const thread = i % 2 === 0 ? made.here : made.there
          if (i < failed) thread.fail(slot)
          else thread.succeed(slot)
          thread.succeed(slot)
        }
      })
      made.clock.advance(1000)
      ratios.sweep()
    }
    return { ...made, second }
  }

  test('eject what fails half the time while its neighbours do not', () => {
    const { here, second } = rated(3)
    second([0, 0, 0])
    assert.deepEqual(here.usable(), [0, 1, 2])
    for (let i = 0; i < 2; i += 1) second([0, 5, 1])
    assert.deepEqual(here.usable(), [0, 2])
  })

  test('leave alone what fails everywhere alike, or seldom', () => {
    const { here, second } = rated(3)
    for (let i = 0; i < 12; i += 1) second([5, 5, 4])
    assert.deepEqual(here.usable(), [0, 1, 2])
    for (let i = 0; i < 12; i += 1) second([0, 4, 0])
    assert.deepEqual(here.usable(), [0, 1, 2])
  })

  test('judge anew after an ejection, and after a thread was replaced', () => {
    const { clock, here, shared, second } = rated(3)
    for (let i = 0; i < 3; i += 1) second([0, 5, 0])
    assert.deepEqual(here.usable(), [0, 2])
    clock.advance(1000)
    second([0, 0, 0])
    assert.deepEqual(here.usable(), [0, 1, 2])
    shared.releaseThread(0)
    for (let i = 0; i < 3; i += 1) second([0, 0, 0])
    assert.deepEqual(here.usable(), [0, 1, 2])
  })
})

test('all threads of a process have one time', async () => {
  const table = EndpointTable.create(CAPACITY)
  const code = `
    const { parentPort, workerData } = require('node:worker_threads')
    import(workerData.module).then(({ EndpointTable }) => {
      const table = EndpointTable.attach(workerData.buffers, 1)
      parentPort.postMessage(table.health.now())
    })`
  const module = new URL('../endpoint-table.ts', import.meta.url).href
  await new Promise((resolve) => setTimeout(resolve, 50))
  const before = table.health.now()
  const worker = new Worker(code, { eval: true, workerData: { buffers: table.buffers, module } })
  const [there] = (await once(worker, 'message')) as [number]
  const after = table.health.now()
  assert.ok(((there - before) | 0) >= 0 && ((after - there) | 0) >= 0, `${[before, there, after]}`)
  await worker.terminate()
})
