// Any world keeps what fleet-checks.ts asks of it, and happens again from its seed.
// SEEDS=1000 looks further than everyday's suite, SEED=7 replays one.
import assert from 'node:assert/strict'
import { seededRandom } from '../../src/proxy/upstream/balancers/balancer.contract.ts'
import { simulateFleet } from './fleet.ts'
import { randomFleet } from './random-fleets.ts'
import { testSeeds } from './seeds.ts'

testSeeds('a random world', import.meta.filename, 20, async (seed) => {
  const run = () => simulateFleet(randomFleet(seededRandom(seed)), seed)
  const { hash, requests } = await run()
  assert.ok(requests > 0)
  const again = await run()
  assert.deepEqual([again.hash, again.requests], [hash, requests], 'the same seed, another story')
})
