// What is tried again, where, when, and how often; and that time which was given is kept.
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { ask, errorsIn, fleet, type Instance, Load } from '../support/fleet.ts'
import { type Settings, TestGateway } from '../support/gateway.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'

async function start(t: TestContext, count: number, service: Settings = {}) {
  const instances = await fleet(count)
  const endpoints = instances.map(({ url }) => url)
  const gateway = await TestGateway.to({
    endpoints,
    balance: 'round-robin',
    ejection: false,
    ...service,
  })
  t.after(async () => {
    await gateway.close()
    for (const instance of instances) await instance.close()
  })
  return { instances, gateway, port: gateway.port }
}

async function allBecome(
  instances: readonly Instance[],
  mode: Parameters<Instance['become']>[0],
): Promise<void> {
  for (const instance of instances) await instance.become(mode)
}

const POST = { method: 'POST' }
const KEYED = { method: 'POST', headers: { 'Idempotency-Key': 'order-1' } }

describe('a retry', () => {
  test('never goes to the same endpoint twice, however many there may be', async (t) => {
    const { instances, port } = await start(t, 3, { retries: { attempts: 5 } })
    await allBecome(instances, '503')
    assert.equal((await ask(port)).status, 503)
    assert.deepEqual(
      instances.map(({ requests }) => requests),
      [1, 1, 1],
    )
  })

  test('goes to the only endpoint if that is allowed', async (t) => {
    const retries = { attempts: 2, sameEndpoint: true }
    const { instances, port } = await start(t, 1, { retries })
    await allBecome(instances, 'reset')
    assert.equal((await ask(port)).code, 'upstream_reset')
    assert.equal(instances[0]!.requests, 3)
  })

  for (const mode of ['503', 'reset'] as const) {
    test(`of a POST after ${mode} needs an Idempotency-Key, or a setting`, async (t) => {
      for (const [retries, options, requests] of [
        [{}, POST, 1],
        [{}, KEYED, 2],
        [{ idempotencyKey: false }, KEYED, 1],
        [{ methods: ['POST'] }, POST, 2],
        [{ methods: ['POST'] }, {}, 1],
        [{ attempts: 0 }, KEYED, 1],
      ] as const) {
        const { instances, port } = await start(t, 2, { retries })
        await allBecome(instances, mode)
        const answer = await ask(port, options, options === POST ? 'order' : '')
        assert.ok(answer.status >= 502)
        const seen = instances[0]!.requests + instances[1]!.requests
        assert.equal(seen, requests, JSON.stringify([retries, options]))
      }
    })
  }

  test('carries the body again, and one that is too long to be kept is not sent again', async (t) => {
    const { instances, port } = await start(t, 2, { retries: { bodyBytesMax: '1kb' } })
    await instances[0]!.become('503')
    const put = (length: number) => ask(port, { method: 'PUT' }, 'x'.repeat(length))
    for (let i = 0; i < 4; i++) assert.equal((await put(1000)).status, 200)
    const statuses = [(await put(2000)).status, (await put(2000)).status]
    assert.deepEqual(statuses.sort(), [200, 503])
  })

  test('of other statuses, or none at all, as it is configured', async (t) => {
    const { instances, port } = await start(t, 2, { retries: { on: [500, 429] } })
    await instances[0]!.become('500')
    for (let i = 0; i < 4; i++) assert.equal((await ask(port)).status, 200)
    await instances[0]!.become('503')
    assert.deepEqual([(await ask(port)).status, (await ask(port)).status].sort(), [200, 503])
  })

  test('keeps the connection whose answer was let go', async (t) => {
    const bad = await RecordingUpstream.start(async (connection) => {
      while ((await connection.nextRequest()) !== null) {
        await connection.send('HTTP/1.1 503 No\r\nContent-Length: 5\r\n\r\nsorry')
      }
    })
    t.after(() => bad.close())
    const [good] = await fleet(1)
    t.after(() => good!.close())
    const gateway = await TestGateway.to({
      endpoints: [bad.url, good!.url],
      balance: 'round-robin',
      ejection: false,
    })
    t.after(() => gateway.close())
    for (let i = 0; i < 6; i++) assert.equal((await ask(gateway.port)).text, String(good!.port))
    assert.equal(bad.text.split('GET /').length - 1, 3)
    assert.equal(bad.connections.length, 1)
  })

  test('of an answer without an end does not wait for it', async (t) => {
    const bad = await RecordingUpstream.start(async (connection) => {
      await connection.head()
      await connection.send('HTTP/1.1 503 No\r\nContent-Length: 50\r\n\r\nsorry')
    })
    t.after(() => bad.close())
    const [good] = await fleet(1)
    t.after(() => good!.close())
    const gateway = await TestGateway.to({
      endpoints: [bad.url, good!.url],
      balance: 'round-robin',
      ejection: false,
    })
    t.after(() => gateway.close())
    for (let i = 0; i < 4; i++) assert.equal((await ask(gateway.port)).text, String(good!.port))
    await gateway.settled()
    for (const connection of bad.connections) assert.notEqual(await connection.closed(), 'open')
  })
})

describe('Retry-After', () => {
  test('is waited for when it is short', async (t) => {
    const { instances, port } = await start(t, 2, { retries: { retryAfterMax: '2s' } })
    await instances[0]!.become('503')
    instances[0]!.headers = { 'retry-after': '1' }
    const begun = performance.now()
    const answers = [await ask(port), await ask(port)]
    assert.equal(errorsIn(answers), 0)
    assert.equal(instances[0]!.requests, 1)
    assert.ok(performance.now() - begun >= 999, 'it came back too early')
  })

  for (const [name, service, headers] of [
    ['longer than is waited for', { retries: { retryAfterMax: '2s' } }, { 'retry-after': '3' }],
    ['a date far away', {}, { 'retry-after': new Date(Date.now() + 3_600_000).toUTCString() }],
    [
      'beyond the end of the exchange',
      { timeouts: { exchange: '900ms', response: '800ms' } },
      { 'retry-after': '1' },
    ],
  ] as const) {
    test(`${name} goes to the client with its answer`, async (t) => {
      const { instances, port } = await start(t, 2, service)
      await allBecome(instances, '503')
      for (const instance of instances) instance.headers = { ...headers }
      const answer = await ask(port)
      assert.equal(answer.status, 503)
      assert.equal(answer.headers['retry-after'], headers['retry-after'])
      assert.equal(instances[0]!.requests + instances[1]!.requests, 1)
    })
  }
})

test('retries stay within their share of the traffic', async (t) => {
  const budget = { share: 0.1, minPerSecond: 0 }
  const { instances, port } = await start(t, 3, { retries: { attempts: 2, budget } })
  await allBecome(instances, '503')
  const load = new Load(port, 4)
  t.after(() => load.stop())
  await load.more(300)
  await load.stop()
  const attempts = instances.reduce((sum, { requests }) => sum + requests, 0)
  const retries = attempts - load.answers.length
  assert.ok(retries > 0 && retries <= load.answers.length * 0.1, `${retries} retries`)
})

test('without traffic there are a few retries a second all the same', async (t) => {
  const budget = { share: 0, minPerSecond: 2 }
  const { instances, port } = await start(t, 2, { retries: { budget } })
  await allBecome(instances, '503')
  for (let i = 0; i < 10; i++) await ask(port)
  const retries = instances[0]!.requests + instances[1]!.requests - 10
  assert.ok(retries >= 2 && retries <= 4, `${retries} retries`)
})

describe('the time of an attempt', () => {
  test('ends it, and another endpoint answers in time', async (t) => {
    const timeouts = { attempt: '200ms', response: '1m' }
    const { instances, port } = await start(t, 2, { timeouts })
    await instances[0]!.become('stall')
    for (let i = 0; i < 4; i++) assert.equal((await ask(port)).status, 200)
  })

  test('is 504 when nobody answers', async (t) => {
    const timeouts = { attempt: '150ms', response: '1m' }
    const { instances, port } = await start(t, 2, { timeouts })
    await allBecome(instances, 'stall')
    const { status, code } = await ask(port)
    assert.deepEqual([status, code], [504, 'upstream_timeout'])
    assert.deepEqual([instances[0]!.requests, instances[1]!.requests], [1, 1])
  })

  test('never sends an order twice', async (t) => {
    const timeouts = { attempt: '150ms', response: '1m' }
    const { instances, port } = await start(t, 2, { timeouts })
    await allBecome(instances, 'stall')
    assert.equal((await ask(port, POST, 'order')).code, 'upstream_timeout')
    assert.equal(instances[0]!.requests + instances[1]!.requests, 1)
  })

  test('does not count what the client takes to send its body', async (t) => {
    const timeouts = { attempt: '150ms' }
    const { gateway, instances } = await start(t, 1, { timeouts })
    const client = await gateway.connect()
    client.send('PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx')
    await new Promise((resolve) => setTimeout(resolve, 400))
    client.send('y')
    assert.equal((await client.response()).status, 200)
    assert.equal(instances[0]!.requests, 1)
  })
})

describe('a deadline that comes with the request', () => {
  const left = (instance: Instance, name: string): string =>
    String(instance.received.at(-1)!.headers[name])

  for (const [header, unit, sent, pattern, most] of [
    ['grpc-timeout', 'ms', '2S', /^([0-9]+)m$/, 2000],
    ['grpc-timeout', 'ms', '1500m', /^([0-9]+)m$/, 1500],
    ['x-request-timeout', 'ms', '1500', /^([0-9]+)$/, 1500],
    ['x-request-timeout', 'ms', '3s', /^([0-9]+)ms$/, 3000],
    ['x-request-timeout', 's', '2.5', /^([0-9.]+)$/, 2.5],
  ] as const) {
    test(`${header}: ${sent} is passed on as what is left of it`, async (t) => {
      const { instances, port } = await start(t, 1, { deadline: { header, unit } })
      assert.equal((await ask(port, { headers: { [header]: sent } })).status, 200)
      const passed = left(instances[0]!, header)
      const match = pattern.exec(passed)
      assert.ok(match !== null && Number(match[1]) <= most && Number(match[1]) > most / 2, passed)
    })
  }

  test('is kept, and what each attempt is told shrinks', async (t) => {
    const service = {
      deadline: { header: 'grpc-timeout' },
      timeouts: { attempt: '200ms' },
      retries: { attempts: 2 },
    }
    const { instances, port } = await start(t, 2, service)
    await allBecome(instances, 'stall')
    const { status, code } = await ask(port, { headers: { 'grpc-timeout': '300m' } })
    assert.deepEqual([status, code], [504, 'deadline_exceeded'])
    const told = instances.map((instance) => Number.parseInt(left(instance, 'grpc-timeout'), 10))
    assert.ok(Math.max(...told) <= 300 && Math.min(...told) <= 100, `${told}`)
  })

  test('that has passed reaches no service', async (t) => {
    const { instances, port } = await start(t, 1, { deadline: { header: 'grpc-timeout' } })
    const { status, code } = await ask(port, { headers: { 'grpc-timeout': '0m' } })
    assert.deepEqual([status, code], [504, 'deadline_exceeded'])
    assert.equal(instances[0]!.requests, 0)
  })

  test('that makes no sense is none, and passes as it is', async (t) => {
    const { instances, port } = await start(t, 1, { deadline: { header: 'grpc-timeout' } })
    assert.equal((await ask(port, { headers: { 'grpc-timeout': 'soon' } })).status, 200)
    assert.equal(left(instances[0]!, 'grpc-timeout'), 'soon')
  })
})
