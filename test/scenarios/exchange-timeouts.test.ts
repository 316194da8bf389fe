// A service whose only bound is the time of the whole exchange: who used that time up is at fault.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { HOST } from '../support/faults.ts'
import { ask, fleet } from '../support/fleet.ts'
import { type Settings, TestGateway } from '../support/gateway.ts'

async function start(t: TestContext, count: number, service: Settings) {
  const instances = await fleet(count)
  const endpoints = instances.map(({ url }) => url)
  const gateway = await TestGateway.to({
    endpoints,
    balance: 'round-robin',
    timeouts: { exchange: '200ms' },
    ...service,
  })
  t.after(async () => {
    await gateway.close()
    for (const instance of instances) await instance.close()
  })
  return { instances, gateway }
}

test('a service that lets it pass opens its breaker', async (t) => {
  const breaker = { requests: 4, open: '1m' }
  const { instances, gateway } = await start(t, 2, { breaker, ejection: false })
  for (const instance of instances) await instance.become('stall')
  for (let i = 0; i < 4; i++) assert.equal((await ask(gateway.port)).code, 'exchange_timeout')
  assert.equal((await ask(gateway.port)).code, 'circuit_open')
  assert.equal(gateway.metric('gatehouse_upstream_errors_total'), 4)
})

test('an endpoint that lets it pass again and again is ejected', async (t) => {
  const { instances, gateway } = await start(t, 2, { ejection: { failures: 3 } })
  await instances[0]!.become('stall')
  const answers = []
  for (let i = 0; i < 12; i++) answers.push(await ask(gateway.port))
  assert.equal(answers.filter(({ code }) => code === 'exchange_timeout').length, 3)
  assert.equal(instances[0]!.requests, 3)
})

test('one that got the request when little was left of it has done nothing wrong', async (t) => {
  const { instances, gateway } = await start(t, 1, { timeouts: { exchange: '600ms' } })
  await instances[0]!.become('stall')
  const client = await gateway.connect()
  client.send(`PUT / HTTP/1.1\r\n${HOST}Content-Length: 2\r\n\r\nx`)
  await new Promise((resolve) => setTimeout(resolve, 400))
  client.send('y')
  assert.equal((await client.response()).problem.code, 'exchange_timeout')
  assert.equal(gateway.metric('gatehouse_upstream_errors_total'), 0)
  await gateway.settled()
  assert.equal(gateway.inFlight(), 0)
})

test('the client that never sends the rest of its body is at fault itself', async (t) => {
  const breaker = { requests: 1, open: '1m' }
  const { gateway, instances } = await start(t, 1, { breaker })
  await instances[0]!.become('stall')
  const client = await gateway.connect()
  client.send(`PUT / HTTP/1.1\r\n${HOST}Content-Length: 2\r\n\r\nx`)
  assert.equal((await client.response()).problem.code, 'exchange_timeout')
  await instances[0]!.become('ok')
  assert.equal((await ask(gateway.port)).status, 200)
})
