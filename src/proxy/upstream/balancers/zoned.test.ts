// Zones: who gets the requests of a gateway while endpoints of its own zone fail, whatever the algorithm.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ManualClock } from '../../../lib/clock.ts'
import { Endpoint } from '../endpoint.ts'
import { EndpointTable } from '../endpoint-table.ts'
import { ServiceHealth } from '../health/service-health.ts'
import { Blocked } from '../health/shared-health.ts'
import { requestOf, seededRandom } from './balancer.contract.ts'
import type { BalanceSettings } from './registry.ts'
import { BALANCERS, pickerFactory } from './registry.ts'

const CAPACITY = { endpointsMax: 16, servicesMax: 1, threadsMax: 2 }
const REQUESTS = 4000
const BALANCE = Object.keys(BALANCERS) as (keyof typeof BALANCERS)[]

interface Setup {
  /** The zone of each endpoint. */
  readonly zones: readonly (string | null)[]
  readonly priorities?: readonly number[]
  readonly balance?: BalanceSettings
  readonly own?: string | null
  readonly spillBelow?: number
  readonly panicBelow?: number
}

/** One service in two threads. */
function serviceOf(setup: Setup) {
  const { zones, priorities = [], balance = 'random', own = 'here' } = setup
  const { spillBelow = 0.7, panicBelow = 0.3 } = setup
  const first = EndpointTable.create(CAPACITY, 0, new ManualClock())
  const tables = [first, EndpointTable.attach(first.buffers, 1, new ManualClock())]
  const threads = tables.map((table, index) => {
    const endpoints = zones.map((zone, slot) => {
      const address = `10.0.0.${slot}:80`
      const place = { key: `shop|${address}`, address, host: `10.0.0.${slot}`, port: 80 }
      const more = { secure: false, serverName: '', weight: 1, slot, serviceSlot: 0 }
      return new Endpoint(table, { ...place, ...more, priority: priorities[slot] ?? 0, zone })
    })
    const health = new ServiceHealth(table.health)
    const located = own === null ? null : { own, spillBelow }
    health.configure({ ejection: null, panicBelow, slowStartMs: 0, zones: located }, endpoints)
    const picker = pickerFactory(balance)(endpoints, {
      turns: table.turns(0),
      random: seededRandom(index + 1),
      zones: health.zones,
    })
    /** Parts of the requests by endpoint, in hundredths. */
    const shares = (): number[] => {
      const counts = zones.map(() => 0)
      for (let id = 0; id < REQUESTS; id += 1) {
        health.update()
        const picked = picker.pick(requestOf(id), [])
        if (picked !== null) counts[picked.slot]! += 1
      }
      return counts.map((count) => Math.round((count * 100) / REQUESTS))
    }
    const pick = (tried: Endpoint[]) => {
      health.update()
      return picker.pick(requestOf(1), tried)
    }
    return { endpoints, shares, pick }
  })
  const fail = (...slots: number[]): void => {
    for (const slot of slots) first.health.setBlocked(slot, Blocked.failing, true)
  }
  return { fail, here: threads[0]!, there: threads[1]! }
}

function isNear(actual: readonly number[], expected: readonly number[]): void {
  const text = `${actual} and not about ${expected}`
  assert.ok(
    actual.every((share, index) => Math.abs(share - expected[index]!) <= 4),
    text,
  )
}

const THREE_AND_THREE = ['here', 'here', 'here', 'there', 'there', null]

for (const balance of BALANCE) {
  test(`${balance}: all stays in the own zone, and leaves it in proportion to what fails there`, () => {
    const { fail, here, there } = serviceOf({ zones: THREE_AND_THREE, balance })
    isNear(here.shares(), [33, 33, 33, 0, 0, 0])
    fail(0)
    // Two thirds of 0.7 are 95 %.
    for (const thread of [here, there]) isNear(thread.shares(), [0, 48, 48, 2, 2, 2])
    fail(1)
    for (const thread of [here, there]) isNear(thread.shares(), [0, 0, 48, 17, 17, 17])
    fail(2)
    for (const thread of [here, there]) isNear(thread.shares(), [0, 0, 0, 33, 33, 33])
  })
}

describe('the own zone', () => {
  test('is not heeded by a hash: a key has one place', () => {
    const balance = { hash: { by: 'path' } } as const
    const [zoned, plain] = [null, 'here'].map((own) =>
      serviceOf({ zones: THREE_AND_THREE, balance, own }).here.shares(),
    )
    assert.deepEqual(zoned, plain)
  })

  test('without endpoints, or with all of them, changes nothing', () => {
    isNear(serviceOf({ zones: ['a', 'b'] }).here.shares(), [50, 50])
    isNear(serviceOf({ zones: ['here', 'here'] }).here.shares(), [50, 50])
    isNear(serviceOf({ zones: ['here', 'there'], own: null }).here.shares(), [50, 50])
  })

  test('is left by the further attempts of a request when nobody there is left to try', () => {
    const { here } = serviceOf({ zones: ['here', 'there'] })
    const [near, far] = here.endpoints
    assert.equal(here.pick([]), near)
    assert.equal(here.pick([near!]), far)
    assert.equal(here.pick([near!, far!]), null)
  })

  test('keeps its requests when the others are no better off', () => {
    const { fail, here } = serviceOf({
      zones: ['here', 'here', 'there', 'there'],
      panicBelow: 0,
    })
    fail(0, 2)
    isNear(here.shares(), [0, 100, 0, 0])
    fail(3)
    isNear(here.shares(), [0, 100, 0, 0])
  })

  test('with `spillBelow: 0` is left only when it is empty', () => {
    const { fail, here } = serviceOf({ zones: THREE_AND_THREE, spillBelow: 0 })
    fail(0, 1)
    isNear(here.shares(), [0, 0, 100, 0, 0, 0])
    fail(2)
    isNear(here.shares(), [0, 0, 0, 33, 33, 33])
  })

  test('comes after the tiers: who stands by is not used for being near', () => {
    const setup = { zones: ['there', 'there', 'here', 'there'], priorities: [0, 0, 1, 1] }
    const { fail, here } = serviceOf(setup)
    isNear(here.shares(), [50, 50, 0, 0])
    fail(0, 1)
    isNear(here.shares(), [0, 0, 100, 0])
  })

  test('is no better than others in a panic: all are used', () => {
    const { fail, here } = serviceOf({ zones: ['here', 'there', 'there', 'there'] })
    fail(0, 1, 2, 3)
    isNear(here.shares(), [25, 25, 25, 25])
  })
})
