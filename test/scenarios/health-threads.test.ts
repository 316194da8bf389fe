// What one finds out, all threads act on: `gatehouse run` with three of them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RunningGateway } from '../../src/control/process/running-gateway.test-support.ts'
import { eventually } from '../support/changes.ts'
import { ask, fleet } from '../support/fleet.ts'

test('three threads agree on who is sick, who is ejected, and how often to ask', async (t) => {
  const instances = await fleet(3)
  t.after(async () => {
    for (const instance of instances) await instance.close()
  })
  const [first, second, third] = instances
  const gateway = await RunningGateway.start({
    isReal: true,
    threads: 3,
    configuration: `
listen: http://127.0.0.1:0
services:
  shop:
    endpoints: [${instances.map(({ url }) => url).join(', ')}]
    balance: round-robin
    health: { path: /health, every: 200ms, unhealthy: 2 }
    ejection: { failures: 5, time: 1m }
routes: [{ path: /*, to: shop }]
`,
  })
  t.after(() => gateway.stop())
  // Each over a connection of its own, so that all threads get some.
  const askAll = () => Promise.all(Array.from({ length: 60 }, () => ask(gateway.port)))

  first!.isSick = true
  await eventually(
    async () => (await askAll()).every(({ text }) => text !== String(first!.port)),
    () => 'all threads to leave the sick one out',
  )

  await second!.become('503')
  const failed = second!.requests
  const answers = []
  for (let i = 0; i < 4; i++) answers.push(...(await askAll()))
  const atOnce = 60
  assert.ok(second!.requests - failed <= 5 + atOnce, `${second!.requests - failed} requests failed`)
  const seen = second!.requests
  const after = await askAll()
  assert.equal(second!.requests, seen)
  assert.deepEqual([...new Set(after.map(({ text }) => text))], [String(third!.port)])

  const checks = third!.checks
  await eventually(
    () => third!.checks >= checks + 5,
    () => 'five more checks',
  )
  assert.ok(Math.abs(first!.checks - third!.checks) <= 3, 'only one checks, not every thread')
})
