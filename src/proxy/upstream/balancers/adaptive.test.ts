// The algorithms that look at what is going on: least connections and the power of two choices.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ManualClock } from '../../../lib/clock.ts'
import type { Endpoint } from '../endpoint.ts'
import { contextOf, endpointsOf, requestOf } from './balancer.contract.ts'
import type { Picker } from './balancer.ts'
import { leastConnections } from './least-connections.ts'
import { powerOfTwoChoices } from './p2c.ts'

const REQUEST = requestOf(0)

function countsOf(picker: Picker, endpoints: readonly Endpoint[], picks: number): number[] {
  const counts = endpoints.map(() => 0)
  for (let pick = 0; pick < picks; pick += 1) {
    counts[endpoints.indexOf(picker.pick(REQUEST, [])!)]! += 1
  }
  return counts
}

function answer(endpoint: Endpoint, latencyMs: number, failed = false): void {
  endpoint.begin()
  endpoint.end(latencyMs, failed)
}

describe('least connections', () => {
  test('picks where the fewest are in flight, and ties by lot', () => {
    const { table, endpoints } = endpointsOf([1, 1, 1, 1])
    const picker = leastConnections(endpoints, contextOf(table))
    endpoints[0]!.begin()
    endpoints[1]!.begin()
    endpoints[1]!.begin()
    const counts = countsOf(picker, endpoints, 2000)
    assert.deepEqual(counts.slice(0, 2), [0, 0])
    assert.ok(Math.abs(counts[2]! - 1000) < 150, `${counts}`)
  })

  test('held requests spread by weight, exactly', () => {
    const { table, endpoints } = endpointsOf([1, 2, 5])
    const picker = leastConnections(endpoints, contextOf(table))
    for (let held = 0; held < 80; held += 1) picker.pick(REQUEST, [])!.begin()
    assert.deepEqual(
      endpoints.map((endpoint) => endpoint.inFlight()),
      [10, 20, 50],
    )
  })

  test('a light endpoint does not hide the difference between heavy ones', () => {
    const { table, endpoints } = endpointsOf([1000, 1000, 1])
    const picker = leastConnections(endpoints, contextOf(table))
    for (let held = 0; held < 5; held += 1) endpoints[0]!.begin()
    assert.equal(countsOf(picker, endpoints, 100)[0], 0)
  })
})

describe('power of two choices', () => {
  test('of two idle endpoints the quicker one is picked', () => {
    const { table, endpoints } = endpointsOf([1, 1])
    const picker = powerOfTwoChoices(endpoints, contextOf(table))
    answer(endpoints[0]!, 50)
    answer(endpoints[1]!, 5)
    assert.deepEqual(countsOf(picker, endpoints, 100), [0, 100])
  })

  test('requests in flight outweigh a small difference in latency', () => {
    const { table, endpoints } = endpointsOf([1, 1])
    const picker = powerOfTwoChoices(endpoints, contextOf(table))
    answer(endpoints[0]!, 7)
    answer(endpoints[1]!, 5)
    endpoints[1]!.begin()
    assert.deepEqual(countsOf(picker, endpoints, 100), [100, 0])
  })

  test('an endpoint that was slow once is tried again after it idled', () => {
    const clock = new ManualClock()
    const { table, endpoints } = endpointsOf([1, 1], clock)
    const picker = powerOfTwoChoices(endpoints, contextOf(table))
    answer(endpoints[0]!, 50)
    let waitedMs = 0
    for (; waitedMs < 120_000; waitedMs += 100) {
      clock.advance(100)
      const picked = picker.pick(REQUEST, [])!
      if (picked === endpoints[0]) break
      answer(picked, 5)
    }
    assert.ok(waitedMs > 5000 && waitedMs < 60_000, `tried again after ${waitedMs} ms`)
  })

  test('one that failed is tried again ten seconds later, by one request, however often it failed', () => {
    const clock = new ManualClock()
    const { table, endpoints } = endpointsOf([1, 1], clock)
    const picker = powerOfTwoChoices(endpoints, contextOf(table))
    const [bad, good] = endpoints
    answer(good!, 5)
    for (let i = 0; i < 6; i += 1) answer(bad!, 250, true)
    clock.advance(9_999)
    assert.deepEqual(countsOf(picker, endpoints, 100), [0, 100])
    clock.advance(1)
    const [tries] = countsOf(picker, endpoints, 100)
    assert.ok(tries! > 20, `${tries} of 100`)
    bad!.begin()
    assert.deepEqual(countsOf(picker, endpoints, 100), [0, 100])
    bad!.end(5, false)
    answer(good!, 5)
    const [back] = countsOf(picker, endpoints, 100)
    assert.ok(back! > 20, `${back} of 100`)
  })

  test('a new endpoint gets its share at once, and no more than it can take', () => {
    const { table, endpoints } = endpointsOf([1, 1, 1, 1, 1])
    const picker = powerOfTwoChoices(endpoints, contextOf(table))
    for (const endpoint of endpoints.slice(1)) answer(endpoint, 5)
    const idle = countsOf(picker, endpoints, 1000)[0]!
    assert.ok(idle > 100 && idle < 400, `${idle} of 1000`)
    // It does not answer: while the others hold less, nothing more goes there.
    endpoints[0]!.begin()
    assert.equal(countsOf(picker, endpoints, 1000)[0], 0)
  })

  test('failing fast does not attract requests', () => {
    const { table, endpoints } = endpointsOf([1, 1, 1])
    const picker = powerOfTwoChoices(endpoints, contextOf(table))
    for (const endpoint of endpoints) answer(endpoint, 20)
    answer(endpoints[1]!, 0.2, true)
    assert.equal(countsOf(picker, endpoints, 300)[1], 0)
  })

  test('under load the weights are held in flight, about', () => {
    const { table, endpoints } = endpointsOf([1, 3])
    const picker = powerOfTwoChoices(endpoints, contextOf(table))
    for (let held = 0; held < 400; held += 1) picker.pick(REQUEST, [])!.begin()
    assert.ok(Math.abs(endpoints[1]!.inFlight() - 300) < 10, `${endpoints[1]!.inFlight()} of 400`)
  })
})
