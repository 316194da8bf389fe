// A gateway that has too much to do answers what matters, and says so to the rest.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  fetchText,
  RunningGateway,
} from '../../src/control/process/running-gateway.test-support.ts'
import { eventually } from '../support/changes.ts'
import { ask, Load } from '../support/fleet.ts'
import { TestGateway } from '../support/gateway.ts'

const HEAVY = `
import { definePolicy } from '${new URL('../../src/proxy/pipeline/policy.ts', import.meta.url).href}'
import { z } from '${import.meta.resolve('zod')}'
export default definePolicy({
  name: 'heavy',
  summary: 'Holds its event loop.',
  settings: z.strictObject({}),
  examples: [{}],
  create: () => ({
    onRequest() {
      const end = performance.now() + 40
      while (performance.now() < end) {}
    },
  }),
})
`
const CONFIGURATION = `
listen: http://127.0.0.1:0
plugins: [./heavy.ts]
overload: { loopDelay: 20ms }
routes:
  - { path: /heavy, importance: critical, use: [heavy], respond: { body: done } }
  - { path: /low, importance: low, respond: { body: done } }
  - { path: /normal, respond: { body: done } }
  - { path: /critical, importance: critical, respond: { body: done } }
`

test('an event loop that is held up refuses the least important, and stays answering', async () => {
  const gateway = await RunningGateway.start({
    threads: 1,
    isReal: true,
    configuration: CONFIGURATION,
    files: { 'heavy.ts': HEAVY },
  })
  const get = (path: string) => ask(gateway.port, { path, agent: false })
  let load: Load | null = null
  try {
    assert.equal((await get('/low')).status, 200)
    // On kept connections: the loop finds work from all of them at every turn.
    load = new Load(gateway.port, 6, { path: '/heavy' })
    await eventually(
      async () => (await get('/normal')).code === 'gateway_overloaded',
      () => 'the level to rise',
    )
    const refused = await get('/low')
    assert.deepEqual([refused.status, refused.code], [503, 'gateway_overloaded'])
    assert.match(refused.headers['retry-after'] ?? '', /^[1-9]/)
    assert.equal((await get('/critical')).status, 200)
    assert.match(await fetchText(gateway.adminPort, '/healthz'), /^200 /)
    const metrics = await fetchText(gateway.adminPort, '/metrics')
    assert.match(metrics, /^gatehouse_overload_level\{thread="0"\} [23]$/m)
    assert.match(metrics, /^gatehouse_overload_refused_total\{thread="0",importance="low"\} [1-9]/m)
    await load.stop()
    load = null
    await eventually(
      async () => (await get('/low')).status === 200,
      () => 'the level to fall',
    )
    assert.match(gateway.output, /"measure":"event loop delay"/)
    assert.ok(gateway.output.split('overloaded').length < 30, 'no line for each request')
  } finally {
    await load?.stop()
    await gateway.stop()
  }
})

test('when connections run out, those of less important requests are taken back', async (t) => {
  const gateway = await TestGateway.start({
    limits: { connections: 20 },
    overload: { connections: 0.5 },
    routes: [
      { path: '/low', importance: 'low', respond: {} },
      { path: '/critical', importance: 'critical', respond: {} },
    ],
  })
  t.after(() => gateway.close())
  // One address may have half of them.
  for (let i = 0; i < 8; i++) await gateway.connect()
  const [critical, low] = [
    await gateway.connect(),
    await gateway.connect({ localAddress: '127.0.0.2' }),
  ]
  await gateway.connect({ localAddress: '127.0.0.2' })
  await eventually(
    () => gateway.stats().clientConnections === 11,
    () => 'eleven connections',
  )
  critical.send('GET /critical HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.equal((await critical.response()).status, 200)
  low.send('GET /low HTTP/1.1\r\nHost: a\r\n\r\n')
  const refused = await low.response()
  assert.equal(refused.status, 503)
  assert.match(refused.body.toString(), /"code":"overloaded"/)
  assert.match(low.received.toString(), /^connection: close\r$/im)
})
