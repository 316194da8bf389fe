// introspection end to end: a server that knows tokens, one that is away, and clients with all kinds.
import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe, type TestContext, test } from 'node:test'
import { createGateway } from '../../src/gateway/gateway.ts'
import { closedPort } from '../support/faults.ts'
import type { Settings } from '../support/gateway.ts'
import { RawClient } from '../support/raw-client.ts'
import { type Echo, RecordingUpstream } from '../support/recording-upstream.ts'
import type { WireResponse } from '../support/strict-http.ts'

/** An authorization server: what it was asked, and what it says of each token. */
class Authority {
  readonly asked: URLSearchParams[] = []
  readonly tokens = new Map<string, Settings>()
  authorization: string | undefined
  /** Takes the place of the honest answer. */
  answer: ((request: IncomingMessage, response: ServerResponse) => void) | null = null
  url = ''

  static async start(t: TestContext): Promise<Authority> {
    const authority = new Authority()
    const server = await RecordingUpstream.startHttp((request, response) => {
      let body = ''
      request.on('data', (data) => {
        body += data
      })
      request.on('end', () => {
        const form = new URLSearchParams(body)
        authority.asked.push(form)
        authority.authorization = request.headers.authorization
        if (authority.answer !== null) return authority.answer(request, response)
        const claims = authority.tokens.get(form.get('token') ?? '')
        response.end(
          JSON.stringify(claims === undefined ? { active: false } : { active: true, ...claims }),
        )
      })
    })
    authority.url = `${server.url}/introspect`
    t.after(() => server.close())
    return authority
  }
}

async function world(t: TestContext, more: Settings = {}) {
  const authority = await Authority.start(t)
  const service = await RecordingUpstream.startHttp()
  const policy = {
    url: authority.url,
    clientId: 'gateway',
    clientSecret: 'pass:word',
    audience: 'shop',
    ...more,
  }
  const settings = (use: readonly unknown[]) =>
    ({
      listen: 'http://127.0.0.1:0',
      admin: false,
      log: { level: 'error' },
      services: { s: { url: service.url } },
      routes: [{ path: '/*', to: 's', use }],
    }) as never
  const gateway = await createGateway(settings([{ introspection: policy }]))
  await gateway.start()
  const client = await RawClient.connect(gateway.addresses[0]!.port)
  t.after(async () => {
    await client.destroy()
    await gateway.close()
    await service.close()
  })
  const call = (token: string | null, ...fields: string[]): Promise<WireResponse> => {
    const lines = token === null ? fields : [`Authorization: Bearer ${token}`, ...fields]
    return client.exchange(
      `GET / HTTP/1.1\r\nHost: shop.example\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`,
    )
  }
  const reload = (): Promise<void> =>
    gateway.apply(settings(['request-id', { introspection: policy }]))
  return { authority, service, client, gateway, call, reload }
}

function seen(answer: WireResponse, name: string): string | null {
  assert.equal(answer.status, 200)
  const { fields } = answer.json as Echo
  const at = fields.findIndex((field, index) => index % 2 === 0 && field.toLowerCase() === name)
  return at === -1 ? null : fields[at + 1]!
}

function assertRefused(answer: WireResponse, reason: string): void {
  assert.equal(answer.status, 401)
  assert.equal(answer.problem.code, 'token_invalid')
  assert.equal(answer.problem.reason, reason)
  assert.match(answer.header('www-authenticate') ?? '', /^Bearer .*error="invalid_token"/)
}

describe('a token', () => {
  test('that is active lets in, and its claims become consumer and headers', async (t) => {
    const { authority, call } = await world(t, { forward: { 'x-user': 'sub', 'x-scope': 'scope' } })
    authority.tokens.set('good', { sub: 'ann', aud: 'shop', scope: 'read write' })
    const answer = await call('good', 'X-User: root', 'x_scope: all')
    assert.equal(seen(answer, 'x-user'), 'ann')
    assert.equal(seen(answer, 'x-scope'), 'read write')
    assert.equal(seen(answer, 'x_scope'), null)
    assert.equal(seen(answer, 'authorization'), 'Bearer good')
    assert.equal(authority.authorization, `Basic ${btoa('gateway:pass%3Aword')}`)
    assert.equal(authority.asked[0]!.get('token'), 'good')
  })

  test('is looked up once for all requests, also across a new configuration', async (t) => {
    const { authority, call, reload } = await world(t)
    authority.tokens.set('good', { sub: 'ann', aud: 'shop' })
    for (const _ of [1, 2, 3]) assert.equal((await call('good')).status, 200)
    await reload()
    assert.ok(seen(await call('good'), 'x-request-id'))
    assert.equal(authority.asked.length, 1)
  })

  test('many requests wait for the one answer', async (t) => {
    const { authority, gateway } = await world(t)
    authority.tokens.set('good', { sub: 'ann', aud: 'shop' })
    const port = gateway.addresses[0]!.port
    const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect(port)))
    const get = 'GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer good\r\n\r\n'
    const answers = await Promise.all(clients.map((client) => client.exchange(get)))
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
    assert.equal(authority.asked.length, 1)
    for (const client of clients) await client.destroy()
  })

  test('that is unknown, for others, or no token at all is refused with the reason', async (t) => {
    const { authority, call, service } = await world(t)
    authority.tokens.set('other', { sub: 'ann', aud: 'bank' })
    assertRefused(await call('unknown'), 'inactive')
    assertRefused(await call('unknown'), 'inactive')
    assertRefused(await call('other'), 'wrong_audience')
    assert.equal(authority.asked.length, 2)
    assertRefused(await call('a b'), 'malformed')
    assertRefused(await call('a"b'), 'malformed')
    assertRefused(await call('a', 'authorization: Bearer b'), 'repeated')
    assertRefused(await call('x'.repeat(8_193)), 'too_large')
    const none = await call(null)
    assert.equal(none.problem.code, 'token_missing')
    assert.equal(none.header('www-authenticate'), 'Bearer')
    assert.equal(authority.asked.length, 2)
    assert.equal(service.text, '')
  })

  test('may be taken from a cookie, and kept from the service', async (t) => {
    const { authority, call } = await world(t, { from: { cookie: 'sid' }, strip: true })
    authority.tokens.set('good', { sub: 'ann', aud: 'shop' })
    const answer = await call(null, 'Cookie: a=1; sid=good; b=2')
    assert.equal(seen(answer, 'cookie'), 'a=1; b=2')
  })

  test('may be missing where the settings say so, but not bad', async (t) => {
    const { call } = await world(t, { optional: true })
    assert.equal((await call(null)).status, 200)
    assertRefused(await call('unknown'), 'inactive')
  })
})

test('whoever tries too many tokens is stopped, and good tokens that are known still pass', async (t) => {
  const { authority, call } = await world(t, { failures: { perAddress: 3 } })
  authority.tokens.set('good', { sub: 'ann', aud: 'shop' })
  assert.equal((await call('good')).status, 200)
  for (const guess of ['a', 'b', 'c']) assertRefused(await call(guess), 'inactive')
  const stopped = await call('d')
  assert.equal(stopped.status, 429)
  assert.equal(stopped.problem.code, 'too_many_failures')
  assert.equal((await call('good')).status, 200)
  assert.equal(authority.asked.length, 4)
})

describe('while the server cannot say', () => {
  type Answer = NonNullable<Authority['answer']>
  for (const [what, answer] of [
    ['it fails', (_, response) => response.writeHead(500).end('{"active":true,"sub":"a"}')],
    ['it refuses the gateway', (_, response) => response.writeHead(401).end('{}')],
    ['it redirects', (_, response) => response.writeHead(307, { location: '/' }).end()],
    ['it says yes in its own way', (_, response) => response.end('{"active":"true","sub":"a"}')],
    ['it never ends', (_, response) => response.write('{"active":true')],
    ['it is silent', () => {}],
    [
      'it says too much',
      (_, response) => response.end(`{"active":true,"x":"${'x'.repeat(1_000)}"}`),
    ],
    ['it hangs up', (request) => request.socket.destroy()],
  ] as [string, Answer][]) {
    test(`because ${what}: 503, and nothing reaches the service`, async (t) => {
      const { authority, call, service } = await world(t, {
        timeout: '100ms',
        answerBytes: '1000b',
      })
      authority.answer = answer
      const refused = await call('good')
      assert.equal(refused.status, 503)
      assert.equal(refused.problem.code, 'introspection_unavailable')
      assert.equal(service.text, '')
      authority.answer = null
      authority.tokens.set('good', { sub: 'ann', aud: 'shop' })
      assert.equal((await call('good')).status, 200, 'it recovers at once')
    })
  }

  test('because it is away: 503', async (t) => {
    const { call, service } = await world(t, { url: `http://127.0.0.1:${await closedPort()}/` })
    assert.equal((await call('good')).problem.code, 'introspection_unavailable')
    assert.equal(service.text, '')
  })
})
