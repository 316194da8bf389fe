// The differences between the algorithms that a user relies on when choosing one.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Outcome, SCENARIOS, simulate } from './balancers.ts'

const SEED = 7
const REQUESTS = 20_000

const healthy = simulate('round-robin', SCENARIOS.healthy, SEED, REQUESTS)

for (const scenario of [SCENARIOS.slow, SCENARIOS.stuck]) {
  const run = (balance: Parameters<typeof simulate>[0]): Outcome =>
    simulate(balance, scenario, SEED, REQUESTS)

  test(`${scenario.name}: p2c and least-connections keep p99, the blind ones do not`, () => {
    for (const balance of ['p2c', 'least-connections'] as const) {
      const { p99Ms } = run(balance)
      assert.ok(p99Ms < healthy.p99Ms * 2, `${balance}: ${p99Ms} against ${healthy.p99Ms} ms`)
    }
    for (const balance of [
      'round-robin',
      'random',
      { hash: { by: 'header', name: 'x' } },
    ] as const) {
      const { p99Ms } = run(balance)
      assert.ok(p99Ms > healthy.p99Ms * 20, `${JSON.stringify(balance)}: ${p99Ms} ms`)
    }
  })

  test(`${scenario.name}: p2c sends it the least, but not nothing`, () => {
    const p2c = run('p2c').share
    assert.ok(p2c > 0 && p2c < run('least-connections').share, `${p2c}`)
  })
}

test('in a quiet hour only p2c still sees who is slow', () => {
  const quiet = (balance: Parameters<typeof simulate>[0]): Outcome =>
    simulate(balance, SCENARIOS.quiet, SEED, REQUESTS)
  assert.ok(quiet('p2c').p99Ms < healthy.p99Ms * 2)
  assert.ok(quiet('least-connections').p99Ms > healthy.p99Ms * 2)
})

test('an endpoint that fails at once draws requests under least-connections, not under p2c', () => {
  const least = simulate('least-connections', SCENARIOS.failing, SEED, REQUESTS)
  const p2c = simulate('p2c', SCENARIOS.failing, SEED, REQUESTS)
  assert.ok(least.share > 0.2, `${least.share}`)
  assert.ok(p2c.share < 0.01, `${p2c.share}`)
})

test('where all are healthy p2c costs nothing', () => {
  const p2c = simulate('p2c', SCENARIOS.healthy, SEED, REQUESTS)
  assert.ok(p2c.p99Ms < healthy.p99Ms * 1.1, `${p2c.p99Ms} against ${healthy.p99Ms} ms`)
  assert.ok(p2c.busiest < 0.15, `${p2c.busiest}`)
})

test('the same seed gives the same numbers, another seed others', () => {
  const first = simulate('p2c', SCENARIOS.slow, SEED, 5000)
  assert.deepEqual(simulate('p2c', SCENARIOS.slow, SEED, 5000), first)
  assert.notDeepEqual(simulate('p2c', SCENARIOS.slow, SEED + 1, 5000), first)
})
