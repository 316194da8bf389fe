// What every balancing algorithm must do, whatever its idea of a good choice is.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ManualClock } from '../../../lib/clock.ts'
import { Endpoint } from '../endpoint.ts'
import { EndpointTable } from '../endpoint-table.ts'
import type { BalancedRequest, Picker, PickerContext, PickerFactory } from './balancer.ts'

/** Uniform numbers in [0, 1) that are the same for the same seed. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Endpoints '10.0.0.N:80' of one service with the given weights, in a table of their own. */
export function endpointsOf(
  weights: readonly number[],
  clock = new ManualClock(),
): { table: EndpointTable; endpoints: Endpoint[] } {
  const table = EndpointTable.create(
    { endpointsMax: Math.max(1, weights.length), servicesMax: 1, threadsMax: 1 },
    0,
    clock,
  )
  const endpoints = weights.map((weight, slot) => {
    const host = `10.0.${slot >> 8}.${slot & 255}`
    const address = `${host}:80`
    return new Endpoint(table, {
      key: `shop|${address}`,
      address,
      host,
      port: 80,
      secure: false,
      serverName: host,
      weight,
      priority: 0,
      slot,
      serviceSlot: 0,
    })
  })
  return { table, endpoints }
}

/** A context with its own turns and a seeded source of chance. */
export function contextOf(table: EndpointTable, seed = 1): PickerContext {
  return { turns: table.turns(0), random: seededRandom(seed) }
}

/** Requests that differ in all that an algorithm may look at. */
export function requestOf(id: number): BalancedRequest {
  const text = `key-${id}`
  return {
    path: `/things/${id}`,
    clientIp: `192.0.${(id >> 8) & 255}.${id & 255}`,
    requestHeader: () => text,
    cookie: () => text,
  }
}

function counts(picker: Picker, endpoints: readonly Endpoint[], picks: number): number[] {
  const result = endpoints.map(() => 0)
  for (let id = 0; id < picks; id += 1) {
    const picked = picker.pick(requestOf(id), [])
    assert.ok(picked !== null)
    result[endpoints.indexOf(picked)]! += 1
  }
  return result
}

/** Runs the contract. `name` tells the algorithms apart in the report. */
export function balancerContract(name: string, factory: PickerFactory): void {
  describe(`balancer contract: ${name}`, () => {
    for (const count of [1, 2, 100]) {
      test(`picks endpoints of its list out of ${count}, and all of them in time`, () => {
        const { table, endpoints } = endpointsOf(new Array(count).fill(1))
        const seen = counts(factory(endpoints, contextOf(table)), endpoints, count * 100)
        assert.ok(Math.min(...seen) > 0, `some endpoint was never picked: ${seen}`)
      })
    }

    test('skips ejected and tried endpoints, in every combination', () => {
      const { table, endpoints } = endpointsOf([1, 2, 3, 4])
      const picker = factory(endpoints, contextOf(table))
      for (let mask = 0; mask < 81; mask += 1) {
        // Each digit to the base of 3: usable, ejected or tried.
        const states = endpoints.map((_, index) => Math.floor(mask / 3 ** index) % 3)
        states.forEach((state, slot) => {
          endpoints[slot]!.usable = state !== 1
        })
        const tried = endpoints.filter((_, index) => states[index] === 2)
        for (let id = 0; id < 40; id += 1) {
          const picked = picker.pick(requestOf(id), tried)
          if (states.includes(0)) assert.equal(states[endpoints.indexOf(picked!)], 0)
          else assert.equal(picked, null)
        }
      }
    })

    test('a retry goes elsewhere until all were tried', () => {
      const { table, endpoints } = endpointsOf([1, 1, 1, 1, 1])
      const picker = factory(endpoints, contextOf(table))
      for (let id = 0; id < 200; id += 1) {
        const tried: Endpoint[] = []
        for (let attempt = 0; attempt < endpoints.length; attempt += 1) {
          tried.push(picker.pick(requestOf(id), tried)!)
        }
        assert.equal(new Set(tried).size, endpoints.length)
        assert.equal(picker.pick(requestOf(id), tried), null)
      }
    })

    test('the load of an ejected endpoint goes to all others, not to one', () => {
      const { table, endpoints } = endpointsOf(new Array(6).fill(1))
      const picker = factory(endpoints, contextOf(table))
      endpoints[2]!.usable = false
      const seen = counts(picker, endpoints, 30_000)
      assert.equal(seen[2], 0)
      for (const index of [0, 1, 3, 4, 5]) {
        assert.ok(Math.abs(seen[index]! - 6000) < 600, `uneven without the third: ${seen}`)
      }
    })

    for (const weights of [
      [1, 2, 5],
      [1000, 500, 1, 499],
      [0.5, 1.5],
    ]) {
      test(`honours the weights ${weights.join(', ')}`, () => {
        const { table, endpoints } = endpointsOf(weights)
        const picks = 40_000
        const seen = counts(factory(endpoints, contextOf(table)), endpoints, picks)
        const total = weights.reduce((sum, weight) => sum + weight)
        weights.forEach((weight, index) => {
          const expected = (picks * weight) / total
          const slack = Math.max(40, expected * 0.06)
          assert.ok(Math.abs(seen[index]! - expected) < slack, `${weights} became ${seen}`)
        })
      })
    }

    test('the same seed makes the same choices', () => {
      const run = (): (string | undefined)[] => {
        const { table, endpoints } = endpointsOf([1, 3, 2, 2])
        const picker = factory(endpoints, contextOf(table, 7))
        return Array.from({ length: 300 }, (_, id) => picker.pick(requestOf(id), [])?.address)
      }
      assert.deepEqual(run(), run())
    })

    test('works while requests are in flight and answers come back', () => {
      const clock = new ManualClock()
      const { table, endpoints } = endpointsOf([3, 1, 1000], clock)
      const picker = factory(endpoints, contextOf(table))
      const random = seededRandom(3)
      const open: Endpoint[] = []
      for (let id = 0; id < 5000; id += 1) {
        const picked = picker.pick(requestOf(id), [])!
        picked.begin()
        open.push(picked)
        clock.advance(random() * 20)
        if (open.length > 20) open.shift()!.end(random() * 100, random() < 0.05)
      }
      for (const endpoint of open) endpoint.end(1, false)
      for (const endpoint of endpoints) assert.equal(endpoint.inFlight(), 0)
    })
  })
}
