// What a route says of retries, in the place of its service.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { ask, fleet } from '../support/fleet.ts'
import { type Settings, TestGateway } from '../support/gateway.ts'

/** Two instances that answer as `mode` says, behind a route for `/own/*` and one for all others. */
async function start(
  t: TestContext,
  mode: '503' | '500' | 'stall',
  own: Settings,
  service: Settings = {},
) {
  const instances = await fleet(2)
  const endpoints = instances.map(({ url }) => url)
  const settings = { endpoints, balance: 'round-robin', ejection: false, ...service }
  const gateway = await TestGateway.start({
    services: { s: settings },
    routes: [
      { path: '/own/*', to: 's', ...own },
      { path: '/*', to: 's' },
    ],
  })
  t.after(async () => {
    await gateway.close()
    for (const instance of instances) await instance.close()
  })
  for (const instance of instances) await instance.become(mode)
  /** How many requests the service sees of one. */
  const seen = async (path: string, method = 'GET'): Promise<number> => {
    const before = instances[0]!.requests + instances[1]!.requests
    assert.ok((await ask(gateway.port, { path, method })).status >= 500)
    return instances[0]!.requests + instances[1]!.requests - before
  }
  return { gateway, seen }
}

test('`false` turns them off there only', async (t) => {
  const { seen } = await start(t, '503', { retries: false })
  assert.deepEqual([await seen('/own/a'), await seen('/a')], [1, 2])
})

test('its statuses are its own; all that it does not name is as the service says', async (t) => {
  const { seen } = await start(t, '500', { retries: { on: [500] } }, { retries: { attempts: 1 } })
  assert.deepEqual([await seen('/own/a'), await seen('/a')], [2, 1])
})

test('its methods are its own, also those that are not idempotent', async (t) => {
  const { seen } = await start(t, '503', { retries: { methods: ['POST'] } })
  assert.deepEqual(
    [await seen('/own/a', 'POST'), await seen('/own/a'), await seen('/a', 'POST')],
    [2, 1, 1],
  )
})

test('its number of attempts is its own, within the budget of the service', async (t) => {
  const budget = { share: 0, minPerSecond: 1 }
  const service = { retries: { attempts: 0, budget } }
  const { gateway, seen } = await start(t, '503', { retries: { attempts: 1 } }, service)
  assert.deepEqual([await seen('/a'), await seen('/own/a'), await seen('/own/b')], [1, 2, 1])
  assert.equal(gateway.metric('gatehouse_upstream_retries_refused_total'), 1)
})

test('the time of an attempt is its own', async (t) => {
  const service = { timeouts: { response: '1m' } }
  const { seen } = await start(t, 'stall', { timeouts: { attempt: '150ms' } }, service)
  assert.equal(await seen('/own/a'), 2)
})
