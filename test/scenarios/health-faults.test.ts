// The fault suite in small: one of three instances fails while clients go on asking. After a short time
// nobody notices, whatever the fault and the balancer.
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { eventually } from '../support/changes.ts'
import { errorsIn, fleet, Load, type Mode } from '../support/fleet.ts'
import { type Settings, TestGateway } from '../support/gateway.ts'

const ATTEMPT_MS = 300
const CLIENTS = 6
const SERVICE: Settings = {
  timeouts: { connect: `${ATTEMPT_MS}ms`, attempt: `${ATTEMPT_MS}ms` },
  retries: { attempts: 2, on: ['connect', 'reset', 'timeout', 500, 502, 503, 504] },
}

/** One of many users with each request. */
const users = () => ({
  headers: { 'x-user': `user-${Math.floor(Math.random() * KEYS)}` },
})

async function start(t: TestContext, service: Settings, clients = CLIENTS) {
  const instances = await fleet(3)
  const endpoints = instances.map(({ url }) => url)
  const gateway = await TestGateway.to({ endpoints, ...SERVICE, ...service })
  const load = new Load(gateway.port, clients, users)
  t.after(async () => {
    await load.stop()
    await gateway.close()
    for (const instance of instances) await instance.close()
  })
  return { instances, gateway, load }
}

const FAULTS: readonly Mode[] = ['refuse', 'reset', 'stall', '500', '503', 'slow']
const BALANCERS = ['p2c', 'round-robin', 'least-connections', 'random', 'hash'] as const
const KEYS = 50

describe('one of three fails, and after its detection no client notices', {
  concurrency: 4,
}, () => {
  for (const balance of BALANCERS) {
    for (const fault of FAULTS) {
      test(`${balance}: ${fault}`, async (t) => {
        const byUser = { hash: { by: 'header', name: 'x-user' } }
        const settings = { balance: balance === 'hash' ? byUser : balance }
        const { instances, load } = await start(t, settings)
        await load.more(120)
        assert.equal(errorsIn(load.answers), 0)
        const bad = instances[1]!
        await bad.become(fault)
        const faultAt = performance.now()
        await eventually(
          () => performance.now() - faultAt > 3 * ATTEMPT_MS,
          () => 'three timeouts to pass',
        )
        const seen = bad.requests
        const after = await load.more(300)
        assert.equal(errorsIn(after), 0)
        assert.ok(bad.requests - seen <= 6, `it still got ${bad.requests - seen} requests`)
      })
    }
  }
})

test('an instance that recovered gets its share again', async (t) => {
  const ejection = { time: '300ms', timeMax: '300ms' }
  const { instances, load } = await start(t, { balance: 'round-robin', ejection })
  const bad = instances[0]!
  await load.more(60)
  await bad.become('503')
  await load.more(60)
  await bad.become('ok')
  const seen = bad.requests
  await eventually(
    () => bad.requests > seen + 20,
    () => 'it to be used again',
  )
})

test('an instance that still stalls when it comes back costs one request each time', async (t) => {
  const ejection = { time: '300ms', timeMax: '300ms' }
  const { instances, load } = await start(t, { balance: 'round-robin', ejection }, 12)
  const bad = instances[0]!
  await load.more(60)
  await bad.become('stall')
  await eventually(
    () => bad.requests > 0 && load.answers.length > 600,
    () => 'it to be out',
  )
  const seen = bad.requests
  const since = performance.now()
  await eventually(
    () => bad.requests - seen >= 3,
    () => 'it to be tried three times',
  )
  const cycles = Math.floor((performance.now() - since) / (300 + ATTEMPT_MS)) + 1
  assert.ok(bad.requests - seen <= cycles, `${bad.requests - seen} requests in ${cycles} cycles`)
  assert.equal(errorsIn(load.answers), 0)
})
