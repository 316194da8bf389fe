// upstream-auth end to end: what the service is shown, and what happens while the gateway cannot show it.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { describe, type TestContext, test } from 'node:test'
import { createGateway } from '../../src/gateway/gateway.ts'
import { closedPort } from '../support/faults.ts'
import { type Settings, TestGateway } from '../support/gateway.ts'
import { RawClient } from '../support/raw-client.ts'
import { type Echo, echo, RecordingUpstream } from '../support/recording-upstream.ts'
import type { WireResponse } from '../support/strict-http.ts'

const GET = 'GET / HTTP/1.1\r\nHost: shop.example\r\nAuthorization: Bearer theirs\r\n\r\n'

type Listener = (request: IncomingMessage, response: ServerResponse) => void

interface World {
  readonly gateway: TestGateway
  readonly service: RecordingUpstream
  readonly client: RawClient
}

async function world(
  t: TestContext,
  settings: Settings,
  more: { service?: Settings; listener?: Listener; route?: Settings } = {},
): Promise<World> {
  const service = await RecordingUpstream.startHttp(more.listener ?? echo)
  const gateway = await TestGateway.to(
    { url: service.url, ...more.service },
    { routes: [{ path: '/*', to: 's', use: [{ 'upstream-auth': settings }], ...more.route }] },
  )
  t.after(async () => {
    await gateway.close()
    await service.close()
  })
  return { gateway, service, client: await gateway.connect() }
}

/** A token endpoint; `answer` may be changed on the way. */
async function tokenEndpoint(t: TestContext, answer: Listener) {
  const endpoint = { answer, asked: 0, url: '' }
  const server = await RecordingUpstream.startHttp((request, response) => {
    endpoint.asked++
    request.resume()
    endpoint.answer(request, response)
  })
  endpoint.url = `${server.url}/token`
  t.after(() => server.close())
  return endpoint
}

function gives(token: string, seconds = 600): Listener {
  return (_, response) =>
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ access_token: token, token_type: 'Bearer', expires_in: seconds }))
}

function headers(answer: WireResponse): Readonly<Record<string, string>> {
  assert.equal(answer.status, 200)
  const { fields } = answer.json as Echo
  const found: Record<string, string> = {}
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!.toLowerCase()
    assert.equal(found[name], undefined, `${name} stands twice`)
    found[name] = fields[at + 1]!
  }
  return found
}

test('a secret header, and nothing of the client beside it', async (t) => {
  const { client } = await world(t, { header: { name: 'X-Api-Key', value: 'ours' } })
  const seen = headers(
    await client.exchange(GET.replace('\r\n\r\n', '\r\nx-api-key: 1\r\nX_Api_Key: 2\r\n\r\n')),
  )
  assert.equal(seen['x-api-key'], 'ours')
  assert.equal(seen.x_api_key, undefined)
  assert.equal(seen.authorization, undefined)
})

describe('a token by client credentials', () => {
  function settingsFor(endpoint: { url: string }): Settings {
    const { url: tokenUrl } = endpoint
    return { oauth2: { tokenUrl, clientId: 'gateway', clientSecret: 'c', timeout: '5s' } }
  }

  test('is fetched once for all, and shown in place of what clients send', async (t) => {
    const endpoint = await tokenEndpoint(t, gives('ours'))
    const { client, gateway } = await world(t, settingsFor(endpoint))
    const clients = [client, await gateway.connect(), await gateway.connect()]
    const answers = await Promise.all(clients.map((each) => each.exchange(GET)))
    for (const answer of answers) assert.equal(headers(answer).authorization, 'Bearer ours')
    assert.equal(headers(await client.exchange(GET)).authorization, 'Bearer ours')
    assert.equal(endpoint.asked, 1)
  })

  test('outlives a new configuration', async (t) => {
    const endpoint = await tokenEndpoint(t, gives('ours'))
    const service = await RecordingUpstream.startHttp()
    const settings = (use: readonly unknown[]) =>
      ({
        listen: 'http://127.0.0.1:0',
        admin: false,
        log: { level: 'error' },
        services: { s: { url: service.url } },
        routes: [{ path: '/*', to: 's', use }],
      }) as never
    const policy = { 'upstream-auth': settingsFor(endpoint) }
    const gateway = await createGateway(settings([policy]))
    t.after(async () => {
      await gateway.close()
      await service.close()
    })
    await gateway.start()
    const client = await RawClient.connect(gateway.addresses[0]!.port)
    await client.exchange(GET)
    await gateway.apply(settings(['request-id', policy]))
    const seen = headers(await client.exchange(GET))
    assert.equal(seen.authorization, 'Bearer ours')
    assert.ok(seen['x-request-id'])
    assert.equal(endpoint.asked, 1)
    await client.destroy()
  })

  for (const [what, listener] of [
    ['refuses', (_, response) => response.writeHead(401).end('{"error":"invalid_client"}')],
    ['redirects', (_, response) => response.writeHead(307, { location: '/token' }).end()],
    ['answers nonsense', (_, response) => response.end('<html>')],
    ['closes', (request) => request.socket.destroy()],
  ] as [string, Listener][]) {
    test(`there is none while the endpoint ${what}: 503, and nothing goes out`, async (t) => {
      const endpoint = await tokenEndpoint(t, listener)
      const { client, service } = await world(t, settingsFor(endpoint))
      for (const _ of [1, 2]) {
        const answer = await client.exchange(GET)
        assert.equal(answer.status, 503)
        assert.equal(answer.problem.code, 'upstream_auth_unavailable')
      }
      assert.equal(service.text, '')
      const asked = what === 'closes' ? 2 : 1
      assert.equal(endpoint.asked, asked, 'the second request does not ask again at once')
    })
  }

  test('there is none while the endpoint is away, or silent', async (t) => {
    const away = { url: `http://127.0.0.1:${await closedPort()}/token` }
    const silent = await tokenEndpoint(t, () => {})
    for (const endpoint of [away, silent]) {
      const oauth2 = { ...(settingsFor(endpoint).oauth2 as Settings), timeout: '50ms' }
      const { client, service } = await world(t, { oauth2 })
      const answer = await client.exchange(GET)
      assert.equal(answer.problem.code, 'upstream_auth_unavailable')
      assert.equal(service.text, '')
    }
  })

  test('is replaced when the service refuses it', async (t) => {
    const endpoint = await tokenEndpoint(t, gives('old'))
    const { client } = await world(t, settingsFor(endpoint), {
      listener: (request, response) => {
        response.writeHead(request.headers.authorization === 'Bearer old' ? 401 : 204).end()
      },
    })
    assert.equal((await client.exchange(GET)).status, 401)
    const fetched = new Promise<void>((resolve) => {
      endpoint.answer = (request, response) => {
        gives('new')(request, response)
        response.on('close', resolve)
      }
    })
    const status = (await client.exchange(GET)).status
    assert.ok(status === 401 || status === 204)
    await fetched
    while ((await client.exchange(GET)).status !== 204);
    assert.equal(endpoint.asked, 2)
  })
})

interface Aws4 {
  sign(
    request: Record<string, unknown>,
    credentials: Record<string, string>,
  ): { headers: Record<string, string> }
}

describe('a signature for AWS', () => {
  const KEYS = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' }
  const SIGV4 = { region: 'eu-central-1', service: 'execute-api', ...KEYS }
  const aws4 = createRequire(import.meta.url)('aws4') as Aws4

  /** Signs what the service saw once more, as AWS would. */
  function assertSigned(answer: WireResponse, service: string): Readonly<Record<string, string>> {
    const seen = headers(answer)
    const { method, url } = answer.json as Echo
    const names = /SignedHeaders=([^,]+),/.exec(seen.authorization!)![1]!.split(';')
    const signed = Object.fromEntries(names.map((name) => [name, seen[name]!]))
    const again = aws4.sign(
      { service, region: SIGV4.region, method, path: url, headers: signed },
      KEYS,
    )
    assert.equal(seen.authorization, again.headers.Authorization)
    for (const name of ['host', 'x-amz-date', 'x-amz-content-sha256']) {
      assert.ok(names.includes(name), `${name} is signed`)
    }
    return seen
  }

  test('is made of what is sent: rewritten target, Host of the service, body', async (t) => {
    const { client } = await world(
      t,
      { sigv4: SIGV4 },
      {
        service: { hostHeader: 'api.example' },
        route: { path: '/api/*', rewrite: { prefix: '/prod' } },
      },
    )
    const answer = await client.exchange(
      'POST /api/a%20b?z=1&a=%2F HTTP/1.1\r\nHost: shop.example\r\nContent-Type: text/plain\r\n' +
        'X-Amz-Security-Token: theirs\r\nContent-Length: 5\r\n\r\nhello',
    )
    const seen = assertSigned(answer, 'execute-api')
    assert.equal((answer.json as Echo).url, '/prod/a%20b?z=1&a=%2F')
    assert.equal((answer.json as Echo).body, 'hello')
    assert.equal(seen.host, 'api.example')
    assert.equal(seen['x-amz-content-sha256'], createHash('sha256').update('hello').digest('hex'))
    assert.equal(seen['x-amz-security-token'], undefined)
  })

  test('covers bodies in any framing, and those a client holds back until asked', async (t) => {
    const { client } = await world(t, { sigv4: SIGV4 })
    const hash = createHash('sha256').update('hello').digest('hex')
    const head = 'PUT /x HTTP/1.1\r\nHost: shop.example\r\n'
    client.send(`${head}Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n`)
    const chunked = await client.exchange('3\r\nllo\r\n0\r\n\r\n', 'PUT')
    assert.equal(assertSigned(chunked, 'execute-api')['x-amz-content-sha256'], hash)
    client.send(`${head}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n`)
    await client.receives('HTTP/1.1 100 ')
    const expected = await client.exchange('hello', 'PUT')
    assert.equal(assertSigned(expected, 'execute-api')['x-amz-content-sha256'], hash)
    const none = await client.exchange('GET /x HTTP/1.1\r\nHost: shop.example\r\n\r\n')
    assertSigned(none, 'execute-api')
  })

  test('does not hold bodies for S3, nor those beyond the bound for anybody', async (t) => {
    const s3 = await world(t, { sigv4: { ...SIGV4, service: 's3' } })
    const put = 'PUT /key HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 6\r\n\r\n'
    const streamed = await s3.client.exchange(`${put}object`)
    const seen = assertSigned(streamed, 's3')
    assert.equal(seen['x-amz-content-sha256'], 'UNSIGNED-PAYLOAD')
    const bound = await world(t, { sigv4: { ...SIGV4, bodyBytes: '5b' } })
    const refused = await bound.client.exchange(`${put}object`)
    assert.equal(refused.status, 413)
    assert.equal(bound.service.text, '')
  })

  test('is made anew for each endpoint that is tried', async (t) => {
    const { client, service } = await world(
      t,
      { sigv4: SIGV4 },
      { service: { hostHeader: 'endpoint', retries: { attempts: 3 } } },
    )
    const dead = await closedPort()
    const gateway = await TestGateway.start({
      services: {
        s: {
          endpoints: [`http://127.0.0.1:${dead}`, service.url],
          hostHeader: 'endpoint',
        },
      },
      routes: [{ path: '/*', to: 's', use: [{ 'upstream-auth': { sigv4: SIGV4 } }] }],
    })
    t.after(() => gateway.close())
    const other = await gateway.connect()
    for (const each of [client, other, other]) {
      const seen = assertSigned(await each.exchange(GET), 'execute-api')
      assert.equal(seen.host, `127.0.0.1:${service.port}`)
    }
  })
})
