// The policies together, in a gateway with real sockets on both sides.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { eventually } from '../../test/support/changes.ts'
import { RawClient } from '../../test/support/raw-client.ts'
import { type Echo, RecordingUpstream } from '../../test/support/recording-upstream.ts'
import { createGateway, type Gateway } from '../gateway/gateway.ts'

const ORIGIN = 'https://shop.example'

let upstream: RecordingUpstream
let gateway: Gateway
const lines: Record<string, unknown>[] = []
const clients: RawClient[] = []

before(async () => {
  upstream = await RecordingUpstream.startHttp()
  const nothing = () => {}
  gateway = await createGateway(
    {
      listen: 'http://127.0.0.1:0',
      admin: false,
      services: { items: upstream.url },
      use: [
        { cors: { origins: [ORIGIN], expose: ['x-request-id'] } },
        'request-id',
        { 'access-log': { query: true, headers: ['x-mark'] } },
      ],
      routes: [
        {
          match: { path: '/items/{name}', methods: ['GET'] },
          use: [
            {
              headers: {
                request: {
                  set: { 'x-user': '${consumer.id}', 'x-name': '${params.name}' },
                  remove: ['x-debug'],
                },
                response: {
                  set: { 'x-content-type-options': 'nosniff' },
                  remove: ['content-type'],
                },
              },
              when: "request.headers['x-plain'] == ''",
            },
          ],
          to: 'items',
        },
        { path: '/upload', use: [{ 'body-limit': { max: '10b' } }], to: 'items' },
        { path: '/trial', use: [{ 'body-limit': { max: '10b' }, mode: 'shadow' }], to: 'items' },
      ],
    },
    {
      log: {
        info: nothing,
        warn: nothing,
        error: nothing,
        line: (json) => lines.push(JSON.parse(json)),
      },
    },
  )
  await gateway.start()
})

after(async () => {
  for (const client of clients) await client.destroy()
  await gateway.close()
  await upstream.close()
})

async function connect(): Promise<RawClient> {
  const client = await RawClient.connect(gateway.addresses[0]!.port)
  clients.push(client)
  return client
}

/** The answer to a request on a connection of its own, given as its lines and body. */
async function send(head: readonly string[], body = '') {
  const client = await connect()
  client.send(`${[...head, 'Host: shop.example'].join('\r\n')}\r\n\r\n${body}`)
  return client.response(head[0]!.split(' ')[0])
}

/** The access log's line about the request with this path. */
async function logged(path: string): Promise<Record<string, unknown>> {
  const find = () => lines.find((line) => line.path === path)
  await eventually(
    () => find() !== undefined,
    () => `a line about ${path}`,
  )
  return find()!
}

function field(echo: Echo, name: string): string | null {
  const index = echo.fields.findIndex((text, at) => at % 2 === 0 && text.toLowerCase() === name)
  return index < 0 ? null : echo.fields[index + 1]!
}

describe('a request that passes', () => {
  test('has one id for the service, the client and the log', async () => {
    const response = await send([
      'GET /items/one?page=2&token=abc HTTP/1.1',
      'X-Mark: m',
      'x-request-id: forged',
    ])
    const id = response.header('x-request-id')!
    assert.match(id, /^[0-9a-f-]{36}$/)
    const echo = response.json as Echo
    assert.equal(field(echo, 'x-request-id'), id)
    const line = await logged('/items/one')
    assert.equal(line.requestId, id)
    assert.equal(line.status, 200)
    assert.equal(line.service, 'items')
    assert.equal(line.endpoint, new URL(upstream.url).host)
    assert.equal(line.responseBytes, response.body.length)
    assert.equal(line.query, 'page=2&token=***')
    assert.deepEqual(line.headers, { 'x-mark': 'm' })
    assert.equal(line.clientIp, '127.0.0.1')
    assert.ok((line.durationMs as number) >= (line.upstreamMs as number))
  })

  test('has the headers that the configuration gives it, and none that a client forges', async () => {
    const response = await send(['GET /items/blue HTTP/1.1', 'X-User: admin', 'X-Debug: 1'])
    assert.equal(response.header('x-content-type-options'), 'nosniff')
    assert.equal(response.header('content-type'), null)
    const echo = response.json as Echo
    assert.equal(field(echo, 'x-name'), 'blue')
    assert.equal(field(echo, 'x-user'), null)
    assert.equal(field(echo, 'x-debug'), null)
  })

  test('cannot bring a header in through its path', async () => {
    const response = await send(['GET /items/a%0d%0aX-Admin:%201 HTTP/1.1'])
    assert.equal(response.status, 200)
    const echo = response.json as Echo
    assert.equal(field(echo, 'x-admin'), null)
    assert.equal(field(echo, 'x-name'), null)
  })

  test('is left alone by a policy whose condition does not hold', async () => {
    const response = await send(['GET /items/red HTTP/1.1', 'X-Plain: yes', 'X-Debug: 1'])
    assert.equal(response.header('content-type'), 'application/json')
    assert.equal(field(response.json as Echo, 'x-debug'), '1')
  })
})

describe('a body that is too long', () => {
  test('is refused before any of it is sent, when its length is stated', async () => {
    upstream.mark()
    const response = await send(['POST /upload HTTP/1.1', 'Content-Length: 11'], '12345678901')
    assert.equal(response.status, 413)
    assert.equal(response.problem.code, 'body_too_large')
    assert.deepEqual(upstream.since(), [])
    const line = await logged('/upload')
    assert.equal(line.error, 'body_too_large')
  })

  test('is not asked for', async () => {
    const response = await send([
      'POST /upload HTTP/1.1',
      'Content-Length: 11',
      'Expect: 100-continue',
    ])
    assert.equal(response.status, 413)
    assert.deepEqual(response.interim, [])
  })

  test('is cut off when it turns out to be', async () => {
    const client = await connect()
    client.send('POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
    client.send('6\r\n123456\r\n')
    client.send('6\r\n123456\r\n')
    const response = await client.response('POST')
    assert.equal(response.status, 413)
    assert.equal(response.problem.code, 'body_too_large')
  })

  test('passes when it is just short enough, or when the limit is only tried out', async () => {
    for (const [path, body] of [
      ['/upload', '1234567890'],
      ['/trial', '12345678901'],
    ] as const) {
      const response = await send([`POST ${path} HTTP/1.1`, `Content-Length: ${body.length}`], body)
      assert.equal(response.status, 200)
      assert.equal((response.json as Echo).body, body)
      const chunked = await send(
        [`POST ${path} HTTP/1.1`, 'Transfer-Encoding: chunked'],
        `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
      )
      assert.equal((chunked.json as Echo).body, body)
    }
  })
})

describe('a page of another origin', () => {
  test('has its preflight answered, on a route that takes GET only, and the service never hears of it', async () => {
    upstream.mark()
    const response = await send([
      'OPTIONS /items/one HTTP/1.1',
      `Origin: ${ORIGIN}`,
      'Access-Control-Request-Method: GET',
      'Access-Control-Request-Headers: x-mark',
    ])
    assert.equal(response.status, 204)
    assert.equal(response.header('access-control-allow-origin'), ORIGIN)
    assert.equal(response.header('access-control-allow-headers'), 'x-mark')
    assert.equal(response.header('content-length'), null)
    assert.deepEqual(upstream.since(), [])
  })

  test('that is not allowed gets 403 for a preflight, and nothing to read otherwise', async () => {
    const evil = 'Origin: https://evil.example'
    const refused = await send([
      'OPTIONS /items/one HTTP/1.1',
      evil,
      'Access-Control-Request-Method: GET',
    ])
    assert.equal(refused.status, 403)
    assert.equal(refused.problem.code, 'cors_refused')
    const response = await send(['GET /items/one HTTP/1.1', evil])
    assert.equal(response.status, 200)
    assert.equal(response.header('access-control-allow-origin'), null)
    assert.equal(response.header('vary'), 'Origin')
  })

  test('may read the answers of the gateway itself as well', async () => {
    for (const [head, status] of [
      [['POST /upload HTTP/1.1', 'Content-Length: 11'], 413],
      [['GET /nowhere HTTP/1.1'], 404],
    ] as const) {
      const response = await send([...head, `Origin: ${ORIGIN}`])
      assert.equal(response.status, status)
      assert.equal(response.header('access-control-allow-origin'), ORIGIN)
      assert.equal(response.header('access-control-expose-headers'), 'x-request-id')
      assert.match(response.header('x-request-id')!, /^[0-9a-f-]{36}$/)
    }
  })
})

describe('the access log', () => {
  test('has a line about requests that no route takes', async () => {
    await send(['GET /lost HTTP/1.1'])
    const line = await logged('/lost')
    assert.equal(line.status, 404)
    assert.equal(line.error, 'route_not_found')
  })

  test('has a line about clients that went away', async () => {
    const client = await connect()
    client.send('POST /trial?gone HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12')
    await eventually(
      () => gateway.stats().exchanges === 1,
      () => 'the exchange to begin',
    )
    client.socket.resetAndDestroy()
    await once(client.socket, 'close')
    await eventually(
      () => lines.some((line) => line.query === 'gone'),
      () => 'a line about the client that went away',
    )
    const line = lines.find(({ query }) => query === 'gone')!
    assert.equal(line.status, 499)
    assert.equal(line.error, 'client_closed')
    assert.equal(line.requestBytes, 2)
  })
})
