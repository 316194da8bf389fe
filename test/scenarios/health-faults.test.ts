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

async function start(t: TestContext, service: Settings) {
  const instances = await fleet(3)
  const endpoints = instances.map(({ url }) => url)
  const gateway = await TestGateway.to({ endpoints, ...SERVICE, ...service })
  const load = new Load(gateway.port, CLIENTS)
  t.after(async () => {
    await load.stop()
    await gateway.close()
    for (const instance of instances) await instance.close()
  })
  return { instances, gateway, load }
}

const FAULTS: readonly Mode[] = ['refuse', 'reset', 'stall', '500', '503', 'slow']
const BALANCERS = ['p2c', 'round-robin', 'least-connections', 'random']

describe('one of three fails, and after its detection no client notices', {
  concurrency: 4,
}, () => {
  for (const balance of BALANCERS) {
    for (const fault of FAULTS) {
      test(`${balance}: ${fault}`, async (t) => {
        const { instances, load } = await start(t, { balance })
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
