// What ejection, budgets and breakers promise for hundreds of endpoints, in virtual time. A failure
// prints its seed; the same seed replays it.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { simulateOutage, total } from './outages.ts'

const SEEDS = [1, 2, 3]

function forSeeds(name: string, run: (seed: number) => void): void {
  for (const seed of SEEDS) test(`${name} (seed ${seed})`, () => run(seed))
}

describe('ejection', () => {
  for (const balance of ['p2c', 'round-robin', 'random', 'least-connections'] as const) {
    forSeeds(`${balance}: of 200 endpoints 20 break, and soon no client notices`, (seed) => {
      const failing = (slot: number, now: number): number => (slot < 20 && now >= 2000 ? 1 : 0)
      const outage = { endpoints: 200, requestsPerSecond: 2000, seconds: 10, failing, balance }
      const seconds = simulateOutage(outage, seed)
      assert.equal(total(seconds.slice(0, 2), 'errors'), 0)
      const late = seconds.slice(4)
      const share = total(late, 'errors') / total(late, 'requests')
      assert.ok(share < 0.001, `${share} failed`)
      if (balance !== 'p2c') assert.equal(seconds[5]!.out, 20)
    })
  }

  forSeeds('when everything fails at most half is taken out, and all come back', (seed) => {
    const failing = (_slot: number, now: number): number => (now >= 2000 && now < 5000 ? 1 : 0)
    const outage = { endpoints: 100, requestsPerSecond: 2000, seconds: 30, failing }
    const seconds = simulateOutage({ ...outage, balance: 'round-robin' }, seed)
    assert.equal(Math.max(...seconds.map(({ out }) => out)), 50)
    assert.equal(total(seconds.slice(6), 'errors'), 0)
    assert.equal(seconds.at(-1)!.out, 0)
  })

  forSeeds('a flapping endpoint is tried ever more seldom', (seed) => {
    // It works while it is left out, and breaks as soon as it has been back for a second.
    const failing = (slot: number, now: number): number =>
      slot === 0 && now % 11_000 > 1000 ? 1 : 0
    const outage = { endpoints: 20, requestsPerSecond: 1000, seconds: 120, failing }
    const seconds = simulateOutage({ ...outage, balance: 'random' }, seed)
    const times = (from: number, to: number): number =>
      seconds.slice(from, to).filter(({ bySlot }) => bySlot[0]! > 0).length
    assert.ok(times(60, 120) < times(0, 60), `${times(0, 60)}, then ${times(60, 120)}`)
    assert.ok(total(seconds, 'errors') < total(seconds, 'requests') * 0.001)
  })

  forSeeds('one that fails every other request is found out by comparison', (seed) => {
    const failing = (slot: number): number => (slot === 0 ? 0.6 : 0.01)
    const outage = { endpoints: 10, requestsPerSecond: 500, seconds: 20, failing }
    const seconds = simulateOutage({ ...outage, balance: 'round-robin' }, seed)
    assert.ok(seconds.slice(3).filter(({ out }) => out === 1).length > 12)
    assert.ok(seconds.every(({ out }) => out <= 1))
  })

  forSeeds('a returning endpoint is not run over when it has a slow start', (seed) => {
    const failing = (slot: number, now: number): number => (slot === 0 && now < 3000 ? 1 : 0)
    const outage = { endpoints: 10, requestsPerSecond: 1000, seconds: 40, failing }
    const service = { ...outage, balance: 'round-robin', slowStartMs: 10_000 } as const
    const seconds = simulateOutage(service, seed).map(({ bySlot }) => bySlot[0]!)
    const back = seconds.findIndex((count, at) => at > 3 && count > 0)
    assert.ok(seconds[back]! < 40 && seconds[back + 2]! < 60, `${seconds.slice(back, back + 3)}`)
    assert.ok(seconds[back + 12]! > 80, `${seconds.slice(back, back + 13)}`)
  })
})

describe('retry storms', () => {
  forSeeds('an outage of all gets no more than the budget on top', (seed) => {
    const failing = (_slot: number, now: number): number => (now >= 3000 ? 1 : 0)
    const outage = { endpoints: 300, requestsPerSecond: 3000, seconds: 15, failing, retriesMax: 5 }
    const seconds = simulateOutage(outage, seed)
    for (const { attempts, requests } of seconds.slice(5)) {
      assert.ok(attempts <= requests * 1.2 + 150, `${attempts} for ${requests}`)
    }
    const added = total(seconds, 'attempts') - total(seconds, 'requests')
    assert.ok(added <= total(seconds, 'requests') * 0.2 + 10 * 16, `${added} retries`)
  })

  forSeeds('after a quiet time a burst of failures finds no savings', (seed) => {
    const failing = (_slot: number, now: number): number => (now >= 55_000 ? 1 : 0)
    const outage = { endpoints: 10, requestsPerSecond: 20, seconds: 60, failing, retriesMax: 5 }
    const seconds = simulateOutage(outage, seed).slice(55)
    const added = total(seconds, 'attempts') - total(seconds, 'requests')
    // A fifth of the last ten seconds, and ten a second of which ten may be saved up.
    assert.ok(added <= 20 * 15 * 0.2 + 60, `${added} retries`)
  })

  forSeeds('with a breaker the service is left in peace, and taken back when it works', (seed) => {
    const failing = (_slot: number, now: number): number => (now >= 5000 && now < 15_000 ? 1 : 0)
    const breaker = {
      failureRatio: 0.5,
      requestsMin: 20,
      windowMs: 2000,
      slowMs: 0,
      openMs: 2000,
      probes: 5,
    }
    const outage = { endpoints: 100, requestsPerSecond: 2000, seconds: 30, failing, breaker }
    const seconds = simulateOutage(outage, seed)
    const during = seconds.slice(8, 15)
    assert.ok(total(during, 'attempts') < 7 * 10, `${total(during, 'attempts')} attempts`)
    assert.ok(total(during, 'refused') > total(during, 'requests') * 0.99)
    const after = seconds.slice(20)
    assert.equal(total(after, 'refused') + total(after, 'errors'), 0)
  })
})

test('the same seed gives the same seconds, another one others', () => {
  const failing = (slot: number): number => (slot % 3 === 0 ? 0.5 : 0)
  const outage = { endpoints: 30, requestsPerSecond: 500, seconds: 5, failing }
  const first = simulateOutage(outage, 9)
  assert.deepEqual(simulateOutage(outage, 9), first)
  assert.notDeepEqual(simulateOutage(outage, 10), first)
})
