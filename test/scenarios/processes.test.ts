// `gatehouse run` as a person runs it: parent, gateway process and threads, with the real data plane.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import {
  childrenOf,
  fetchText,
  Load,
  RunningGateway,
  type RunSettings,
  START_PATIENCE_MS,
} from '../../src/control/process/running-gateway.test-support.ts'
import { eventually } from '../support/changes.ts'
import { RawClient } from '../support/raw-client.ts'

async function withGateway(
  settings: RunSettings,
  run: (gateway: RunningGateway) => Promise<void>,
): Promise<void> {
  const gateway = await RunningGateway.start({ threads: 2, isReal: true, ...settings })
  try {
    await run(gateway)
  } finally {
    await gateway.stop()
  }
}

const text = (gateway: RunningGateway, path: string) => fetchText(gateway.port, path)

test('every thread logs to one output and counts into one page of metrics', () =>
  withGateway(
    {
      configuration: `
listen: http://127.0.0.1:0
use: [access-log]
routes: [{ path: /*, id: all, respond: { body: hello } }]
`,
    },
    async (gateway) => {
      const answers = await Promise.all(Array.from({ length: 20 }, () => text(gateway, '/x')))
      assert.ok(answers.every((answer) => answer === '200 hello'))
      await eventually(
        () => gateway.output.split('"kind":"access"').length === 21,
        () => `20 lines of access log:\n${gateway.output}`,
      )
      const metrics = await fetchText(gateway.adminPort, '/metrics')
      assert.match(metrics, /^gatehouse_requests_total\{route="all",status="2xx"\} 20$/m)
      const accepted = [...metrics.matchAll(/^gatehouse_connections_accepted_total\{.*\} (\d+)$/gm)]
      assert.deepEqual(
        accepted.map(([, count]) => Number(count)).reduce((sum, count) => sum + count, 0),
        20,
      )
      assert.match(metrics, /^gatehouse_threads\{state="serving"\} 2$/m)
    },
  ))

const BREAKABLE = `
import { definePolicy } from '${new URL('../../src/proxy/pipeline/policy.ts', import.meta.url).href}'
import { z } from '${import.meta.resolve('zod')}'
export default definePolicy({
  name: 'breakable',
  summary: 'Breaks its thread when asked to.',
  settings: z.strictObject({}),
  examples: [{}],
  create: (_, environment) => ({
    onRequest(exchange) {
      if (exchange.path === '/break') setImmediate(() => { throw new Error('broken on purpose') })
      if (exchange.path === '/version') return environment.reply(200, {}, 'VERSION')
    },
  }),
})
`
const WITH_POLICY = `
listen: http://127.0.0.1:0
plugins: [./breakable.ts]
use: [breakable]
routes: [{ path: /*, respond: { body: hello } }]
`

test('a policy that throws when nobody can catch it costs its thread, which is replaced', () =>
  withGateway(
    { configuration: WITH_POLICY, files: { 'breakable.ts': BREAKABLE } },
    async (gateway) => {
      const [pid] = childrenOf(gateway.pid)
      await text(gateway, '/break').catch(() => {})
      await gateway.said(/thread \d ended and is replaced: .*broken on purpose/)
      const answers = await Promise.all(Array.from({ length: 20 }, () => text(gateway, '/')))
      assert.ok(answers.every((answer) => answer === '200 hello'))
      assert.deepEqual(childrenOf(gateway.pid), [pid])
      const metrics = await fetchText(gateway.adminPort, '/metrics')
      assert.match(metrics, /^gatehouse_threads_replaced_total 1$/m)
      const open = [...metrics.matchAll(/^gatehouse_connections_open\{.*\} (\d+)$/gm)]
      assert.ok(open.every(([, count]) => Number(count) < 5))
    },
  ))

test('new code of a policy is live after a reload', () =>
  withGateway(
    {
      configuration: WITH_POLICY,
      files: { 'breakable.ts': BREAKABLE.replace('VERSION', 'one') },
    },
    async (gateway) => {
      assert.equal(await text(gateway, '/version'), '200 one')
      gateway.writeFile('breakable.ts', BREAKABLE.replace('VERSION', 'version two'))
      gateway.signal('SIGHUP')
      await gateway.said(/the code of its policies changed/)
      await eventually(
        async () => (await text(gateway, '/version')) === '200 version two',
        () => 'the new code to answer',
        START_PATIENCE_MS,
      )
    },
  ))

/** A service whose answers take a moment. */
async function withSlowService(run: (port: number) => Promise<void>): Promise<void> {
  const service = http.createServer((_, response) => setTimeout(() => response.end('done'), 20))
  service.listen(0, '127.0.0.1')
  await once(service, 'listening')
  try {
    await run((service.address() as AddressInfo).port)
  } finally {
    service.closeAllConnections()
    service.close()
  }
}

test('a takeover under load refuses, resets and forgets no request', () =>
  withSlowService(async (port) => {
    const configuration = `
listen: http://127.0.0.1:0
services: { slow: 'http://127.0.0.1:${port}' }
routes: [{ path: /*, to: slow }]
`
    await withGateway({ configuration }, async (gateway) => {
      const load = new Load(4, async () => {
        assert.equal(await text(gateway, '/'), '200 done')
      })
      try {
        for (let round = 0; round < 2; round++) {
          const from = gateway.output.length
          gateway.signal('SIGUSR2')
          await gateway.replaced(from)
        }
        await load.more(8)
      } finally {
        assert.deepEqual(await load.stop(), [])
      }
    })
  }))

test('a request that was sent on a connection opened before a takeover is answered', () =>
  withGateway(
    {
      configuration: `
listen: http://127.0.0.1:0
routes: [{ path: /*, respond: { body: hello } }]
`,
    },
    async (gateway) => {
      const client = await RawClient.connect(gateway.port)
      const before = childrenOf(gateway.pid)
      try {
        gateway.signal('SIGUSR2')
        await gateway.replaced()
        client.send('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
        assert.equal((await client.response()).status, 200)
      } finally {
        await client.destroy()
      }
      await eventually(
        () => !childrenOf(gateway.pid).some((pid) => before.includes(pid)),
        () => 'the predecessor to end',
      )
    },
  ))

test('a secret is never shown, and a wrong reload changes nothing', () => {
  process.env.GATEHOUSE_TEST_SECRET = 'correct-horse-battery-staple-1234'
  return withGateway(
    {
      configuration: `
listen: http://127.0.0.1:0
services:
  s: { url: 'http://127.0.0.1:9', sticky: { secret: '\${env:GATEHOUSE_TEST_SECRET}' } }
routes: [{ path: /s, to: s }, { path: /*, respond: { body: first } }]
`,
    },
    async (gateway) => {
      const shown = await fetchText(gateway.adminPort, '/config')
      assert.doesNotMatch(shown, /correct-horse/)
      assert.match(shown, /"secret": "\*\*\*"/)
      gateway.write('listen: http://127.0.0.1:0\nroutes: [{ path: /*, respnd: {} }]\n')
      gateway.signal('SIGHUP')
      await gateway.said(/did you mean .?respond/i)
      assert.equal(await text(gateway, '/'), '200 first')
      const metrics = await fetchText(gateway.adminPort, '/metrics')
      assert.match(metrics, /^gatehouse_config_reloads_total\{result="refused"\} 1$/m)
    },
  )
})
