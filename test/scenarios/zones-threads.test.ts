// What discovery, identity and zones decide holds in every thread: `gatehouse run` with three of them.
import assert from 'node:assert/strict'
import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { RunningGateway } from '../../src/control/process/running-gateway.test-support.ts'
import { eventually } from '../support/changes.ts'
import { ask, fleet } from '../support/fleet.ts'
import { TestFolder } from '../support/tls.ts'

test('three threads agree on which endpoints there are, who is theirs, and where is near', async (t) => {
  const instances = await fleet(4)
  t.after(async () => {
    for (const instance of instances) await instance.close()
  })
  const [near, far, stranger, later] = instances
  for (const instance of instances) instance.headers = { 'x-service': 'shop' }
  stranger!.headers = { 'x-service': 'bank' }
  const folder = new TestFolder(t)
  const list = (...endpoints: object[]): void => {
    const text = JSON.stringify(endpoints)
    renameSync(folder.write('new', text), join(folder.path, 'endpoints.yaml'))
  }
  const north = { url: near!.url, zone: 'north' }
  const south = { url: far!.url, zone: 'south' }
  list(north, south, { url: stranger!.url, zone: 'north' })
  const gateway = await RunningGateway.start({
    isReal: true,
    threads: 3,
    configuration: `
listen: http://127.0.0.1:0
zone: north
services:
  shop:
    discover: { file: '${join(folder.path, 'endpoints.yaml')}' }
    identity: { path: /whoami, header: x-service, value: shop }
    health: { path: /health, every: 200ms, unhealthy: 2 }
    spillBelow: 0.5
routes: [{ path: /*, to: shop }]
`,
  })
  t.after(() => gateway.stop())
  // Each over a connection of its own, so that all threads get some.
  const answers = async (): Promise<string[]> => {
    const all = await Promise.all(Array.from({ length: 60 }, () => ask(gateway.port)))
    return [...new Set(all.map(({ status, text }) => (status === 200 ? text : `${status}`)))].sort()
  }
  const becomes = async (...wanted: (typeof instances)[number][]): Promise<void> => {
    const ports = wanted.map(({ port }) => String(port)).sort()
    await eventually(
      async () => JSON.stringify(await answers()) === JSON.stringify(ports),
      () => `answers of ${ports} only`,
    )
  }

  assert.deepEqual(await answers(), [String(near!.port)])
  near!.isSick = true
  await becomes(far!)
  near!.isSick = false
  await becomes(near!)
  list(south, { url: later!.url, zone: 'north' })
  await becomes(later!)
  const strangers = stranger!.received.filter(({ url }) => url !== '/whoami' && url !== '/health')
  assert.deepEqual(strangers, [])
})
