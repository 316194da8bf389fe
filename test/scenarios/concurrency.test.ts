// A service that bounds its requests in flight: who waits, who goes first, and who is refused.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import {
  fetchText,
  RunningGateway,
} from '../../src/control/process/running-gateway.test-support.ts'
import { createGateway } from '../../src/gateway/gateway.ts'
import { eventually } from '../support/changes.ts'
import { type Answer, ask } from '../support/fleet.ts'
import { type Settings, TestGateway } from '../support/gateway.ts'
import { HeldService } from '../support/held-service.ts'

const ROUTES = ['low', 'normal', 'high', 'critical'].map((importance) => ({
  path: `/${importance}/*`,
  importance,
  to: 's',
}))

async function start(t: TestContext, concurrency: unknown, more: Settings = {}) {
  const service = await HeldService.start()
  t.after(() => service.close())
  const { service: settings, ...rest } = more
  const gateway = await TestGateway.start({
    services: { s: { url: service.url, concurrency, ...(settings as Settings) } },
    routes: ROUTES,
    ...rest,
  })
  t.after(() => gateway.close())
  const { port } = gateway
  const get = (path: string, headers = {}): Promise<Answer> =>
    ask(port, { path, headers, agent: false })
  /** Sends requests one after the other, each when the gateway has the one before. */
  const line = async (paths: readonly string[]): Promise<Promise<Answer>[]> => {
    const answers: Promise<Answer>[] = []
    for (const path of paths) {
      const before = gateway.stats().exchanges!
      answers.push(get(path))
      await eventually(
        () => gateway.stats().exchanges! > before,
        () => path,
      )
    }
    return answers
  }
  return { service, gateway, port, get, line }
}

function shown({ status, code }: Answer): string {
  return `${status} ${code ?? ''}`.trim()
}

const PATIENT = { limit: 1, queue: { timeout: '1m' } }

describe('requests beyond the limit', { concurrency: 8 }, () => {
  test('wait, and the most important go first', async (t) => {
    const { service, line } = await start(t, PATIENT)
    const paths = ['/normal/1', '/low/2', '/normal/3', '/critical/4', '/high/5', '/normal/6']
    const answers = await line(paths)
    for (let count = 1; count <= paths.length; count++) {
      await service.came(count)
      assert.equal(service.held, 1)
      service.release()
    }
    for (const answer of await Promise.all(answers)) assert.equal(answer.status, 200)
    assert.deepEqual(
      service.paths.map((path) => path.at(-1)),
      ['1', '4', '5', '3', '6', '2'],
    )
    assert.equal(service.inFlightMax, 1)
  })

  test('get 503 with Retry-After when the queue is full, unless they matter more', async (t) => {
    const { service, get, line } = await start(t, { limit: 1, queue: { max: 2, timeout: '1m' } })
    const [first, normal, low] = await line(['/normal/1', '/normal/2', '/low/3'])
    const refused = await get('/low/4')
    assert.equal(shown(refused), '503 service_overloaded')
    assert.match(refused.headers['retry-after'] ?? '', /^[1-9][0-9]*$/)
    assert.match(String(refused.headers['proxy-status']), /service_overloaded/)
    const critical = get('/critical/5')
    assert.equal(shown(await low!), '503 service_overloaded')
    for (let count = 1; count <= 3; count++) {
      await service.came(count)
      service.release()
    }
    const answers = await Promise.all([first!, normal!, critical])
    assert.deepEqual(answers.map(shown), ['200', '200', '200'])
    assert.deepEqual(service.paths, ['/normal/1', '/critical/5', '/normal/2'])
  })

  test('get 503 when their turn does not come in time', async (t) => {
    const { service, get, line } = await start(t, { limit: 1, queue: { timeout: '150ms' } })
    const [first] = await line(['/normal/1'])
    assert.equal(shown(await get('/normal/2')), '503 service_overloaded')
    service.release()
    assert.equal((await first!).status, 200)
    assert.deepEqual(service.paths, ['/normal/1'])
  })

  test('wait no longer than the client or the exchange has time', async (t) => {
    const { service, get, line } = await start(t, PATIENT, {
      service: { deadline: { header: 'x-timeout', unit: 'ms' } },
      routes: [
        { path: '/normal/*', to: 's' },
        { path: '/short/*', to: 's', timeouts: { exchange: '200ms', response: '100ms' } },
      ],
    })
    const [first] = await line(['/normal/1'])
    assert.equal((await get('/normal/2', { 'x-timeout': '150' })).status, 503)
    const { status } = await get('/short/3')
    assert.ok(status === 503 || status === 504, `${status}`)
    service.release()
    assert.equal((await first!).status, 200)
    assert.deepEqual(service.paths, ['/normal/1'])
  })

  test('of a client that goes away give up their place in the queue', async (t) => {
    const { service, gateway, port, get, line } = await start(t, {
      limit: 1,
      queue: { max: 1, timeout: '1m' },
    })
    const [first] = await line(['/normal/1'])
    const gone = net.connect(port, '127.0.0.1')
    gone.write('GET /normal/2 HTTP/1.1\r\nHost: a\r\n\r\n')
    await eventually(
      () => gateway.stats().exchanges === 2,
      () => 'the second',
    )
    assert.equal((await get('/normal/3')).status, 503)
    gone.resetAndDestroy()
    await eventually(
      () => gateway.stats().exchanges === 1,
      () => 'the second to be gone',
    )
    const [next] = await line(['/normal/4'])
    service.release()
    await service.came(2)
    service.release()
    assert.deepEqual((await Promise.all([first!, next!])).map(shown), ['200', '200'])
    assert.deepEqual(service.paths, ['/normal/1', '/normal/4'])
  })

  test('take their body along when their turn comes', async (t) => {
    const { service, gateway, port, line } = await start(t, PATIENT)
    const [first] = await line(['/normal/1'])
    const posted = ask(port, { method: 'POST', path: '/normal/2' }, 'x'.repeat(200_000))
    await eventually(
      () => gateway.stats().exchanges === 2,
      () => 'the second',
    )
    service.release()
    await service.came(2)
    service.release()
    assert.equal((await first!).status, 200)
    assert.equal((await posted).status, 200)
  })
})

describe('a place', { concurrency: 8 }, () => {
  test('is given back by a client that goes away, and by a service that fails', async (t) => {
    const { service, gateway, port, line } = await start(t, PATIENT, {
      service: { retries: { attempts: 0 } },
    })
    const gone = net.connect(port, '127.0.0.1')
    gone.write('GET /normal/1 HTTP/1.1\r\nHost: a\r\n\r\n')
    await service.came(1)
    gone.resetAndDestroy()
    await gateway.settled()
    const [failed] = await line(['/normal/2'])
    await service.came(2)
    service.release(500)
    assert.equal((await failed!).status, 500)
    const [last] = await line(['/normal/3'])
    await service.came(3)
    service.release()
    assert.equal((await last!).status, 200)
  })

  test('is not held by a tunnel', async (t) => {
    const { service, port, line } = await start(t, PATIENT)
    const request = http.get({
      port,
      path: '/normal/tunnel',
      headers: { Connection: 'Upgrade', Upgrade: 'websocket' },
    })
    const [, socket] = (await once(request, 'upgrade')) as [unknown, net.Socket]
    const [answer] = await line(['/normal/2'])
    await service.came(2)
    service.release()
    assert.equal((await answer!).status, 200)
    socket.destroy()
  })

  test('is not held by a stream of events', async (t) => {
    const { service, port, line } = await start(t, PATIENT)
    const request = http.get({ port, path: '/normal/events' })
    const [stream] = (await once(request, 'response')) as [http.IncomingMessage]
    await once(stream, 'data')
    const [answer] = await line(['/normal/2'])
    await service.came(2)
    service.release()
    assert.equal((await answer!).status, 200)
    stream.on('error', () => {})
    request.destroy()
  })

  test('goes by the importance of the consumer once that is known', async (t) => {
    const { createHash } = await import('node:crypto')
    const hash = (key: string) => `sha256:${createHash('sha256').update(key).digest('hex')}`
    const { service, get, line, gateway } = await start(t, PATIENT, {
      consumers: {
        partner: { keys: [hash('partner-key-0123456789abcdef')], importance: 'critical' },
        other: { keys: [hash('another-key-0123456789abcdef')] },
      },
      routes: [
        { path: '/open/*', to: 's' },
        { path: '/keyed/*', use: [{ 'api-key': {} }], to: 's' },
      ],
    })
    const [first, open] = await line(['/open/1', '/open/2'])
    const other = get('/keyed/3', { 'x-api-key': 'another-key-0123456789abcdef' })
    await eventually(
      () => gateway.stats().exchanges === 3,
      () => 'the third',
    )
    const partner = get('/keyed/4', { 'x-api-key': 'partner-key-0123456789abcdef' })
    await eventually(
      () => gateway.stats().exchanges === 4,
      () => 'the fourth',
    )
    for (let count = 1; count <= 4; count++) {
      await service.came(count)
      service.release()
    }
    const answers = await Promise.all([first!, open!, other, partner])
    assert.deepEqual(answers.map(shown), ['200', '200', '200', '200'])
    assert.deepEqual(service.paths, ['/open/1', '/keyed/4', '/open/2', '/keyed/3'])
  })
})

describe('a breaker', { concurrency: 8 }, () => {
  test('does not take the wait for a place for a slow answer', async (t) => {
    const { service, gateway, port, line, get } = await start(t, PATIENT, {
      service: { breaker: { requests: 1, ratio: 0.1, slowerThan: '2s', open: '1m' } },
    })
    const gone = net.connect(port, '127.0.0.1')
    gone.write('GET /normal/1 HTTP/1.1\r\nHost: a\r\n\r\n')
    await service.came(1)
    const since = performance.now()
    const [waiting] = await line(['/normal/2'])
    await eventually(
      () => performance.now() - since > 2100,
      () => 'more than two seconds to pass',
    )
    gone.resetAndDestroy()
    await service.came(2)
    service.release()
    assert.equal((await waiting!).status, 200)
    const last = get('/normal/3')
    await service.came(3)
    service.release()
    assert.equal(shown(await last), '200')
    await gateway.settled()
  })

  test('that is open answers at once, whoever waits for a place', async (t) => {
    const { service, get, line } = await start(t, PATIENT, {
      service: {
        retries: { attempts: 0 },
        ejection: false,
        breaker: { requests: 1, open: '1m' },
      },
    })
    const [first, second] = await line(['/normal/1', '/normal/2'])
    service.release(503)
    assert.equal((await first!).status, 503)
    assert.equal(shown(await second!), '503 circuit_open')
    assert.equal(shown(await get('/normal/3')), '503 circuit_open')
    assert.deepEqual(service.paths, ['/normal/1'])
  })
})

describe('a reload', () => {
  test('keeps the places taken, and a new limit holds for all of them at once', async (t) => {
    const service = await HeldService.start()
    t.after(() => service.close())
    const config = (concurrency: unknown) =>
      ({
        listen: 'http://127.0.0.1:0',
        admin: false,
        services: { s: { url: service.url, concurrency } },
        routes: ROUTES,
      }) as never
    const gateway = await createGateway(config({ limit: 3, queue: { timeout: '1m' } }))
    await gateway.start()
    t.after(() => gateway.close())
    const { port } = gateway.addresses[0]!
    const answers: Promise<Answer>[] = []
    for (let count = 1; count <= 3; count++) {
      answers.push(ask(port, { path: '/normal/x' }))
      await service.came(count)
    }
    await gateway.apply(config({ limit: 1, queue: { timeout: '1m' } }))
    answers.push(ask(port, { path: '/normal/late' }))
    await eventually(
      () => gateway.stats().exchanges === 1,
      () => 'the fourth, alone on the new configuration',
    )
    for (let count = 0; count < 3; count++) {
      assert.equal(service.paths.length, 3)
      service.release()
      await answers[count]
    }
    await service.came(4)
    service.release()
    answers.push(ask(port, { path: '/normal/a' }), ask(port, { path: '/normal/b' }))
    await service.came(5)
    await gateway.apply(config(undefined))
    await service.came(6)
    assert.equal(service.held, 2)
    service.release()
    service.release()
    for (const answer of await Promise.all(answers)) assert.equal(answer.status, 200)
  })
})

test('threads share a limit, and hear of places that others free', async (t) => {
  const service = await HeldService.start()
  t.after(() => service.close())
  const gateway = await RunningGateway.start({
    threads: 3,
    isReal: true,
    configuration: `
listen: http://127.0.0.1:0
services: { s: { url: '${service.url}', concurrency: { limit: 2, queue: { timeout: 1m } } } }
routes: [{ path: /*, to: s }]
`,
  })
  t.after(() => gateway.stop())
  const answers = Array.from({ length: 16 }, (_, n) =>
    ask(gateway.port, { path: `/${n}`, agent: false }),
  )
  await service.came(2)
  const value = async (name: string): Promise<number> => {
    const metrics = await fetchText(gateway.adminPort, '/metrics')
    const line = new RegExp(`^gatehouse_upstream_concurrency_${name}\\{service="s"\\} (\\d+)$`, 'm')
    return Number(line.exec(metrics)?.[1])
  }
  await eventually(
    async () => (await value('waiting')) === 14,
    () => 'fourteen to wait',
  )
  assert.equal(await value('in_flight'), 2)
  assert.equal(await value('limit'), 2)
  for (let count = 1; count <= answers.length; count++) {
    await service.came(count)
    service.release()
  }
  for (const answer of await Promise.all(answers)) assert.equal(answer.status, 200)
  assert.equal(service.inFlightMax, 2)
})
