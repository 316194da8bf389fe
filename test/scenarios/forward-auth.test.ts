// forward-auth end to end: what the authorization service is asked, what becomes of its answers, and
// that nothing passes without a pass.
import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe, type TestContext, test } from 'node:test'
import { closedPort } from '../support/faults.ts'
import { type Settings, TestGateway } from '../support/gateway.ts'
import type { RawClient } from '../support/raw-client.ts'
import { type Echo, RecordingUpstream, type Script } from '../support/recording-upstream.ts'
import type { WireResponse } from '../support/strict-http.ts'

type Listener = (request: IncomingMessage, response: ServerResponse) => void

interface World {
  readonly gateway: TestGateway
  readonly authority: RecordingUpstream
  readonly service: RecordingUpstream
  readonly client: RawClient
}

/** An authorization service, a service that echoes, and a gateway that asks the one for the other. */
async function world(
  t: TestContext,
  answer: Listener | { script: Script },
  settings: Settings = {},
): Promise<World> {
  const authority =
    typeof answer === 'function'
      ? await RecordingUpstream.startHttp(answer)
      : await RecordingUpstream.start(answer.script)
  const service = await RecordingUpstream.startHttp()
  const use = [{ 'forward-auth': { url: `${authority.url}/verify?v=1`, ...settings } }]
  const gateway = await TestGateway.to({ url: service.url }, { use })
  t.after(async () => {
    await gateway.close()
    await authority.close()
    await service.close()
  })
  return { gateway, authority, service, client: await gateway.connect() }
}

function get(target: string, ...fields: string[]): string {
  return [
    'GET ',
    target,
    ' HTTP/1.1\r\nHost: shop.example\r\n',
    ...fields.map((f) => `${f}\r\n`),
    '\r\n',
  ].join('')
}

function fieldOf(fields: readonly string[], name: string): string | null {
  const values: string[] = []
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at]!.toLowerCase() === name) values.push(fields[at + 1]!)
  }
  assert.ok(values.length <= 1, `${name} stands ${values.length} times`)
  return values[0] ?? null
}

function seen(answer: WireResponse): (name: string) => string | null {
  assert.equal(answer.status, 200)
  const { fields } = answer.json as Echo
  return (name) => fieldOf(fields, name)
}

function assertUnavailable(answer: WireResponse, service: RecordingUpstream): void {
  assert.equal(answer.status, 503)
  assert.equal(answer.problem.code, 'authorization_unavailable')
  assert.ok(answer.header('retry-after'))
  assert.equal(service.text, '', 'nothing may reach the service')
}

describe('what is asked', () => {
  test('head and address of the request, never its body', async (t) => {
    let asked: IncomingMessage | null = null
    const { client, authority } = await world(
      t,
      (request, response) => {
        asked = request
        response.end()
      },
      { requestHeaders: ['Authorization', 'cookie', 'x-tenant'] },
    )
    const answer = await client.exchange(
      'PUT /a%20b?q=1 HTTP/1.1\r\nHost: shop.example:8080\r\nAuthorization: Bearer t\r\n' +
        'Cookie: a=1\r\nX-Tenant: two\r\nX-Other: no\r\nX-Forwarded-For: 6.6.6.6\r\n' +
        'X-Forwarded-Uri: /open\r\nX-Forwarded-Method: GET\r\nContent-Length: 6\r\n\r\nsecret',
    )
    assert.equal((answer.json as Echo).body, 'secret')
    const { method, url, headers } = asked! as IncomingMessage
    assert.equal(`${method} ${url}`, 'GET /verify?v=1')
    assert.equal(headers.authorization, 'Bearer t')
    assert.equal(headers.cookie, 'a=1')
    assert.equal(headers['x-tenant'], 'two')
    assert.equal(headers['x-other'], undefined)
    assert.equal(headers['x-forwarded-method'], 'PUT')
    assert.equal(headers['x-forwarded-uri'], '/a%20b?q=1')
    assert.equal(headers['x-forwarded-host'], 'shop.example:8080')
    assert.equal(headers['x-forwarded-proto'], 'http')
    assert.equal(headers['x-forwarded-for'], '127.0.0.1')
    assert.ok(!authority.text.includes('secret'))
  })

  test('of a credential sent twice, the service gets exactly what was decided on', async (t) => {
    let asked: string | undefined
    const { client } = await world(t, (request, response) => {
      asked = request.headers.authorization
      response.end()
    })
    const twice = get('/', 'Authorization: Bearer good', 'authorization: Bearer bad')
    const of = seen(await client.exchange(twice))
    assert.equal(of('authorization'), asked)
  })
})

describe('a pass', () => {
  const settings = {
    identityHeaders: ['X-User', 'x-groups', 'authorization'],
    consumerFrom: 'x-user',
    groupsFrom: 'x-groups',
  }

  test('sets the headers of the answer on the request, and nobody else can', async (t) => {
    const { client } = await world(
      t,
      (_, response) => response.writeHead(204, { 'x-user': 'ann', 'x-other': 'no' }).end(),
      settings,
    )
    const of = seen(
      await client.exchange(
        get('/', 'X-User: root', 'x_user: root', 'X-GROUPS: admin', 'Authorization: Bearer mine'),
      ),
    )
    assert.equal(of('x-user'), 'ann')
    assert.equal(of('x_user'), null)
    assert.equal(of('x-groups'), null)
    assert.equal(of('authorization'), null)
    assert.equal(of('x-other'), null)
  })

  test('replaces the credential for the service, where the answer has one', async (t) => {
    const { client } = await world(
      t,
      (request, response) => {
        assert.equal(request.headers.authorization, 'Bearer outer')
        response.writeHead(200, { 'x-user': 'ann', authorization: 'Bearer inner' }).end()
      },
      settings,
    )
    const of = seen(await client.exchange(get('/', 'Authorization: Bearer outer')))
    assert.equal(of('authorization'), 'Bearer inner')
  })

  test('makes the consumer, which later policies and headers know', async (t) => {
    const authority = await RecordingUpstream.startHttp((_, response) =>
      response.writeHead(200, { 'x-user': Buffer.from('zoë').toString('latin1') }).end(),
    )
    const service = await RecordingUpstream.startHttp()
    const gateway = await TestGateway.to(
      { url: service.url },
      {
        use: [
          { 'forward-auth': { url: authority.url, consumerFrom: 'x-user' } },
          { headers: { request: { set: { 'x-caller': '${consumer.id}' } } } },
        ],
      },
    )
    t.after(async () => {
      await gateway.close()
      await authority.close()
      await service.close()
    })
    const of = seen(await (await gateway.connect()).exchange(get('/')))
    assert.equal(of('x-caller'), Buffer.from('zoë').toString('latin1'))
  })

  test('that names nobody although it should is no pass', async (t) => {
    const { client, service } = await world(t, (_, response) => response.end(), settings)
    assertUnavailable(await client.exchange(get('/')), service)
  })
})

describe('a denial', () => {
  test('goes to the client with its body and the listed headers', async (t) => {
    const { client, service } = await world(t, (_, response) => {
      response.writeHead(401, {
        'WWW-Authenticate': 'Basic realm="shop"',
        'Content-Type': 'text/plain',
        'Set-Cookie': ['a=1', 'b=2'],
        'X-Internal': 'no',
      })
      response.end('Who are you?')
    })
    const answer = await client.exchange(get('/'))
    assert.equal(answer.status, 401)
    assert.equal(answer.text, 'Who are you?')
    assert.equal(answer.header('www-authenticate'), 'Basic realm="shop"')
    assert.equal(answer.header('content-type'), 'text/plain')
    assert.deepEqual(answer.all('set-cookie'), ['a=1', 'b=2'])
    assert.equal(answer.header('x-internal'), null)
    assert.equal(service.text, '')
  })

  for (const status of [301, 302, 303, 307, 308]) {
    test(`may be a redirect to a login (${status}), which is not followed`, async (t) => {
      const { client, authority, service } = await world(t, (_, response) => {
        response.writeHead(status, { Location: 'https://id.example/login?back=1' }).end()
      })
      const answer = await client.exchange(get('/'))
      assert.equal(answer.status, status)
      assert.equal(answer.header('location'), 'https://id.example/login?back=1')
      assert.equal(service.text, '')
      assert.equal(authority.text.match(/GET /g)?.length, 1)
    })
  }

  test('may be 403, also for a request with a body', async (t) => {
    const { client, service } = await world(t, (_, response) => response.writeHead(403).end('no'))
    const order = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\norder'
    assert.equal((await client.exchange(order)).status, 403)
    assert.equal((await client.exchange(order)).text, 'no')
    assert.equal(service.text, '')
  })
})

describe('nothing passes without a decision', () => {
  for (const status of [400, 404, 429, 500, 502, 503, 304]) {
    test(`an answer of ${status}`, async (t) => {
      const { client, service } = await world(t, (_, response) => response.writeHead(status).end())
      assertUnavailable(await client.exchange(get('/')), service)
    })
  }

  test('no answer in time, and the late one is not waited for', async (t) => {
    const { client, service, gateway } = await world(
      t,
      { script: async (connection) => void (await connection.nextRequest()) },
      { timeout: '50ms' },
    )
    assertUnavailable(await client.exchange(get('/')), service)
    await gateway.settled()
  })

  test('a pass whose body never ends', async (t) => {
    const { client, service, authority } = await world(
      t,
      {
        script: async (connection) => {
          await connection.nextRequest()
          await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
        },
      },
      { timeout: '50ms' },
    )
    assertUnavailable(await client.exchange(get('/')), service)
    await authority.idle()
  })

  test('a body that is too large, told by its length or not', async (t) => {
    let chunked = false
    const { client, service } = await world(
      t,
      (_, response) => {
        if (chunked) response.write('x')
        response.end('x'.repeat(1024))
        chunked = true
      },
      { bodyBytes: '1000b' },
    )
    assertUnavailable(await client.exchange(get('/')), service)
    assertUnavailable(await client.exchange(get('/')), service)
  })

  test('a service that is not there', async (t) => {
    const port = await closedPort()
    const { client, service } = await world(t, () => {}, { url: `http://127.0.0.1:${port}/` })
    assertUnavailable(await client.exchange(get('/')), service)
  })

  test('a reset, and an answer that is not HTTP', async (t) => {
    const { client, service } = await world(t, {
      script: async (connection) => {
        await connection.head()
        if (connection.index < 2) connection.reset()
        else await connection.send('SSH-2.0-x\r\n\r\n')
      },
    })
    assertUnavailable(await client.exchange(get('/')), service)
    assertUnavailable(await client.exchange(get('/')), service)
  })

  test('more requests at once than may wait: the excess is refused at once, the rest passes', async (t) => {
    const held: ServerResponse[] = []
    const { gateway } = await world(t, (_, response) => void held.push(response), {
      concurrency: 1,
      timeout: '30s',
    })
    const clients = await Promise.all(Array.from({ length: 7 }, () => gateway.connect()))
    const answers = clients.map((client) => client.exchange(get('/')))
    const excess = await Promise.race(answers)
    assert.equal(excess.status, 503)
    const rest = Promise.all(answers)
    // One is asked at a time; each answer lets the next through.
    const timer = setInterval(() => held.shift()?.end(), 1)
    const statuses = (await rest).map(({ status }) => status).sort()
    clearInterval(timer)
    assert.deepEqual(statuses, [200, 200, 200, 200, 200, 503, 503])
  })
})

describe('the cache', () => {
  test('remembers a pass for its caller and target, and no denial', async (t) => {
    let asked = 0
    const { client } = await world(
      t,
      (request, response) => {
        asked++
        const user = request.headers.authorization
        if (user === undefined) response.writeHead(401).end()
        else response.writeHead(200, { 'x-user': user }).end()
      },
      { cache: { for: '5m' }, identityHeaders: ['x-user'] },
    )
    const statusOf = async (request: string): Promise<number> =>
      (await client.exchange(request)).status
    for (const _ of [1, 2]) {
      const of = seen(await client.exchange(get('/', 'Authorization: ann')))
      assert.equal(of('x-user'), 'ann')
    }
    assert.equal(asked, 1)
    const bob = seen(await client.exchange(get('/', 'Authorization: bob')))
    assert.equal(bob('x-user'), 'bob')
    assert.equal(asked, 2)
    assert.equal(await statusOf(get('/other', 'Authorization: ann')), 200)
    assert.equal(asked, 3)
    assert.equal(await statusOf(get('/', 'Authorization: ann').replace('GET', 'PUT')), 200)
    assert.equal(asked, 4)
    assert.equal(await statusOf(get('/')), 401)
    assert.equal(await statusOf(get('/')), 401)
    assert.equal(asked, 6)
  })

  test('may serve all targets with one decision', async (t) => {
    let asked = 0
    const { client } = await world(
      t,
      (_, response) => {
        asked++
        response.end()
      },
      { cache: { for: '5m', anyTarget: true, by: ['x-key'] } },
    )
    for (const target of ['/a', '/b', '/c?d']) {
      assert.equal((await client.exchange(get(target, 'X-Key: 1'))).status, 200)
    }
    assert.equal(asked, 1)
  })
})
