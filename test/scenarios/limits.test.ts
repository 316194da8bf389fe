// How much a client gets: rate limits, quotas and places in flight, over real sockets, in one thread and
// in several, and over restarts.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, type TestContext, test } from 'node:test'
import {
  childrenOf,
  RunningGateway,
} from '../../src/control/process/running-gateway.test-support.ts'
import { eventually } from '../support/changes.ts'
import { GET, HOST } from '../support/faults.ts'
import { type Settings, TestGateway } from '../support/gateway.ts'
import { RawClient } from '../support/raw-client.ts'
import { answersOk, RecordingUpstream } from '../support/recording-upstream.ts'
import type { WireResponse } from '../support/strict-http.ts'
import { echoesWebSocket } from '../support/web-socket-echo.ts'

const OK = { status: 200, body: 'ok' }

async function gatewayWith(t: TestContext, settings: Settings): Promise<TestGateway> {
  const gateway = await TestGateway.start(settings)
  t.after(() => gateway.close())
  return gateway
}

/** Sends `count` requests over each of `clients` connections at once. @returns every answer. */
async function storm(port: number, clients: number, count: number, request = GET) {
  const answers: WireResponse[] = []
  const one = async (): Promise<void> => {
    const client = await RawClient.connect(port)
    for (let time = 0; time < count; time++) answers.push(await client.exchange(request))
    await client.destroy()
  }
  await Promise.all(Array.from({ length: clients }, one))
  return answers
}

const passed = (answers: readonly WireResponse[]) =>
  answers.filter(({ status }) => status === 200).length

describe('a rate limit', () => {
  test('holds for clients at once, and says so to each of them', async (t) => {
    const { port } = await gatewayWith(t, {
      policies: { api: { 'rate-limit': { limit: 50, per: '1h' } } },
      routes: [
        { path: '/a/*', use: ['api'], respond: OK },
        { path: '/b/*', use: ['api'], respond: OK },
      ],
    })
    const both = await Promise.all(
      ['/a/', '/b/'].map((path) => storm(port, 10, 10, `GET ${path} HTTP/1.1\r\n${HOST}\r\n`)),
    )
    const answers = both.flat()
    assert.equal(passed(answers), 50, 'one policy under one name is one limit')
    const left = new Set<string>()
    for (const answer of answers) {
      assert.equal(answer.header('ratelimit-policy'), '"api";q=50;w=3600')
      const field = answer.header('ratelimit') ?? ''
      assert.match(field, /^"api";r=\d+;t=\d+$/)
      if (answer.status === 200) left.add(/r=(\d+)/.exec(field)![1]!)
      else {
        assert.equal(answer.status, 429)
        assert.equal(answer.problem.code, 'rate_limited')
        assert.equal(answer.header('content-type'), 'application/problem+json')
        const wait = Number(answer.header('retry-after'))
        assert.ok(wait >= 1 && wait <= 72, `${wait}`)
        assert.equal(field, `"api";r=0;t=${wait}`)
      }
    }
    assert.equal(left.size, 50, 'each of those that passed was told another rest')
  })

  test('that refuses charges nothing under the other limits of its policy', async (t) => {
    const gateway = await gatewayWith(t, {
      routes: [
        {
          path: '/*',
          use: [
            {
              'rate-limit': {
                limits: [
                  { name: 'address', limit: 3, per: '1h' },
                  { name: 'all', limit: 5, per: '1h', by: 'route', algorithm: 'sliding-window' },
                ],
                by: 'header:x-client',
              },
            },
          ],
          respond: OK,
        },
      ],
    })
    const from = (name: string) =>
      storm(gateway.port, 2, 10, `GET / HTTP/1.1\r\n${HOST}X-Client: ${name}\r\n\r\n`)
    assert.equal(passed(await from('ann')), 3)
    const second = await from('bob')
    assert.equal(passed(second), 2, 'the 17 refusals of ann took nothing from bob')
    const last = second.at(-1)!
    assert.deepEqual((last.problem as unknown as Record<string, unknown>)['violated-policies'], [
      'all',
    ])
  })

  test('in shadow mode refuses nobody and says nothing', async (t) => {
    const { port } = await gatewayWith(t, {
      routes: [
        {
          path: '/*',
          use: [{ 'rate-limit': { limit: 1, per: '1h' }, mode: 'shadow' }],
          respond: OK,
        },
      ],
    })
    const answers = await storm(port, 1, 5)
    assert.equal(passed(answers), 5)
    assert.equal(answers[4]!.header('ratelimit'), null)
  })
})

describe('places in flight', () => {
  const script = async (connection: Parameters<typeof answersOk>[0]): Promise<void> => {
    await connection.head()
    if (connection.text.includes('/chat')) await echoesWebSocket(connection)
    else if (!connection.text.includes('/hang')) await answersOk(connection)
  }

  test('come back after an answer, and after a client that went away', async (t) => {
    const upstream = await RecordingUpstream.start(script)
    t.after(() => upstream.close())
    const gateway = await gatewayWith(t, {
      services: { s: upstream.url },
      routes: [{ path: '/*', use: [{ concurrency: { max: 2 } }], to: 's' }],
    })
    const hanging = await Promise.all([gateway.connect(), gateway.connect()])
    for (const client of hanging) client.send(`GET /hang HTTP/1.1\r\n${HOST}\r\n`)
    await eventually(
      () => upstream.open === 2,
      () => 'both to arrive',
    )
    const client = await gateway.connect()
    const refused = await client.exchange(GET)
    assert.equal(refused.status, 429)
    assert.equal(refused.problem.code, 'concurrency_exceeded')
    assert.equal(refused.header('retry-after'), '1')
    hanging[0]!.reset()
    await eventually(
      () => gateway.stats().exchanges === 1,
      () => 'the exchange to end',
    )
    for (let time = 0; time < 5; time++) assert.equal((await client.exchange(GET)).status, 200)
  })

  test('are held by a tunnel for as long as it lives', async (t) => {
    const upstream = await RecordingUpstream.start(script)
    t.after(() => upstream.close())
    const gateway = await gatewayWith(t, {
      services: { s: upstream.url },
      routes: [{ path: '/*', use: [{ concurrency: { max: 1 } }], to: 's' }],
    })
    const tunnel = await gateway.connect()
    tunnel.send(
      `GET /chat HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    )
    assert.equal((await tunnel.response()).status, 101)
    const client = await gateway.connect()
    assert.equal((await client.exchange(GET)).status, 429)
    tunnel.reset()
    await eventually(
      () => gateway.stats().exchanges === 0,
      () => 'the tunnel to end',
    )
    assert.equal((await client.exchange(GET)).status, 200)
  })
})

describe('a quota', () => {
  const routes = [
    { path: '/*', use: [{ quota: { limit: 20, per: 'month', by: 'ip' } }], respond: OK },
  ]

  test('goes on where it was after a restart, and says when it ends', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'gatehouse-quota-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    const settings = { state: { file: join(folder, 'state.db') }, routes }
    const first = await TestGateway.start(settings)
    assert.equal(passed(await storm(first.port, 3, 4)), 12)
    await first.close()
    const second = await TestGateway.start(settings)
    const answers = await storm(second.port, 3, 5)
    await second.close()
    assert.equal(passed(answers), 8)
    const refused = answers.find(({ status }) => status === 429)!
    assert.equal(refused.problem.code, 'quota_exceeded')
    const now = new Date()
    const end = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1)
    const wait = Number(refused.header('retry-after'))
    assert.ok(Math.abs(wait - (end - now.getTime()) / 1000) < 60, `${wait} s`)
    assert.match(refused.header('ratelimit-policy')!, /^"quota";q=20;w=2\d{6}$/)
    assert.equal(refused.header('ratelimit'), `"quota";r=0;t=${wait}`)
  })

  test('without a file ends with the gateway', async (t) => {
    const gateway = await gatewayWith(t, { routes })
    assert.equal(passed(await storm(gateway.port, 1, 25)), 20)
    const next = await gatewayWith(t, { routes })
    assert.equal(passed(await storm(next.port, 1, 2)), 2)
  })
})

describe('three threads', () => {
  const configuration = `
listen: http://127.0.0.1:0
state: { file: counts.db }
routes:
  - { path: /rate, use: [{ rate-limit: { limit: 100, per: 1d } }], respond: { body: ok } }
  - { path: /window, use: [{ rate-limit: { limit: 77, per: 1d, algorithm: sliding-window } }], respond: { body: ok } }
  - { path: /quota, use: [{ quota: { limit: 150, per: month, by: route } }], respond: { body: ok } }
`
  const get = (path: string) => `GET ${path} HTTP/1.1\r\n${HOST}\r\n`

  test('together hold one limit and one quota, over a reload and over a crash', async (t) => {
    const gateway = await RunningGateway.start({ threads: 3, isReal: true, configuration })
    t.after(() => gateway.stop())
    assert.equal(passed(await storm(gateway.port, 30, 10, get('/rate'))), 100)
    assert.equal(passed(await storm(gateway.port, 30, 10, get('/window'))), 77)
    assert.equal(passed(await storm(gateway.port, 20, 5, get('/quota'))), 100)
    const before = gateway.output.length
    gateway.write(`${configuration}  - { path: /other, respond: { body: ok } }\n`)
    gateway.signal('SIGHUP')
    await gateway.said(/the new configuration is live/, before)
    assert.equal(passed(await storm(gateway.port, 10, 1, get('/rate'))), 0)
    assert.equal(passed(await storm(gateway.port, 5, 2, get('/quota'))), 10)
    const file = new DatabaseSync(join(dirname(gateway.file), 'counts.db'), { readOnly: true })
    t.after(() => file.close())
    const written = file.prepare('SELECT total(count) AS sum FROM counts')
    await eventually(
      () => written.get()!.sum === 110,
      () => 'the counts to be in the file',
    )
    const crashed = gateway.output.length
    process.kill(childrenOf(gateway.pid)[0]!, 'SIGKILL')
    await gateway.replaced(crashed)
    assert.equal(passed(await storm(gateway.port, 10, 10, get('/quota'))), 40)
  })
})
