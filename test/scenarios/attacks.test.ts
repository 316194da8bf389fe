// Attempts to get a request to the service without a credential, past a gateway on which `/public/*` is
// open and `/admin/*` and `/api/*` are not. The service records every byte it gets: none is theirs.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { TestGateway } from '../support/gateway.ts'
import type { RawClient } from '../support/raw-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'

const HOST = 'shop.example'
const KEY = 'a-key-of-no-particular-form-0123456789'
const WITH_KEY = `X-API-Key: ${KEY}`

let upstream: RecordingUpstream
let gateway: TestGateway
let client: RawClient

/** What the service answers to upgrades: it knows of none. */
before(async () => {
  upstream = await RecordingUpstream.start(async (connection) => {
    for (;;) {
      const request = await connection.nextRequest()
      if (request === null) return
      if (request.header('upgrade') !== null) {
        await connection.send('HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n')
      } else await connection.answer('served')
    }
  })
  const hash = createHash('sha256').update(KEY).digest('hex')
  const signedIn = { 'api-key': { forward: { id: 'X-Consumer', groups: 'X-Consumer-Groups' } } }
  gateway = await TestGateway.start({
    consumers: { alice: { groups: ['staff'], keys: [`sha256:${hash}`] } },
    services: { s: upstream.url },
    routes: [
      { path: '/public/*', upgrade: ['websocket'], to: 's' },
      { path: '/admin/*', use: [signedIn], to: 's' },
      { path: '/api/*', use: [signedIn], upgrade: ['websocket'], to: 's' },
    ],
  })
})
after(async () => {
  await gateway.close()
  await upstream.close()
})
beforeEach(async () => {
  upstream.mark()
  client = await gateway.connect()
})
afterEach(async () => {
  await gateway.disconnect()
  await gateway.settled()
})

/** What the service got in this test. */
function seen(): string {
  return upstream.since().join('')
}

/** Its request lines. */
function targets(): string[] {
  return [...seen().matchAll(/^([A-Z]+ [^ ]+) HTTP\/1\.1\r$/gm)].map((match) => match[1]!)
}

function get(target: string, ...lines: string[]): string {
  return `${[`GET ${target} HTTP/1.1`, `Host: ${HOST}`, ...lines].join('\r\n')}\r\n\r\n`
}

/** Sent alone, it gets no answer of the service, and the service nothing at all. */
async function assertKeptOut(bytes: string, method = 'GET'): Promise<void> {
  client.send(bytes)
  const { status } = await client.response(method)
  assert.ok([400, 401, 403, 404, 405, 414, 431].includes(status), `${status}`)
  // Whatever else came with it is read, and answered or refused, before the connection ends.
  client.end()
  await client.closed()
  await gateway.settled()
  assert.equal(seen(), '')
  assert.doesNotMatch(client.received.toString('latin1'), /served/)
}

test('with its credential a request passes; without, and on no route, it does not', async () => {
  assert.equal((await client.exchange(get('/public/page'))).text, 'served')
  assert.equal((await client.exchange(get('/admin/page', WITH_KEY))).text, 'served')
  assert.equal((await client.exchange(get('/api/page', WITH_KEY))).text, 'served')
  assert.deepEqual(targets(), ['GET /public/page', 'GET /admin/page', 'GET /api/page'])
  assert.doesNotMatch(seen(), new RegExp(KEY))
  upstream.mark()
  for (const target of ['/admin/victim', '/api/victim', '/admin', '/api', '/victim', '/']) {
    client = await gateway.connect()
    await assertKeptOut(get(target))
  }
})

describe('the path', () => {
  const up = [
    '..',
    '%2e%2e',
    '%2E%2e',
    '.%2e',
    '%2e.',
    '..;',
    '..;x=1',
    '%2e%2e;',
    '..%3b',
    '%2e%2E%3B',
  ]
  const slashes = ['/', '%2f', '%2F', '\\', '%5c', '%5C', '//', '/./', '/;/', '%252f', '%255c']
  for (const dots of up) {
    for (const slash of slashes) {
      test(`/public${slash}${dots}${slash}admin/victim`, async () => {
        await assertKeptOut(get(`/public${slash}${dots}${slash}admin/victim`))
        client = await gateway.connect()
        await assertKeptOut(get(`/public/x${slash}${dots}/${dots}${slash}admin/victim`))
      })
    }
  }

  for (const target of [
    '//admin/victim',
    '///admin/victim',
    '/./admin/victim',
    '/.//admin/victim',
    '/admin/./victim',
    '/admin//victim',
    '/admin/../admin/victim',
    '/api/../admin/victim',
    '/admin/victim/',
    '/admin/victim?key=1',
    '/admin/victim;jsessionid=1',
    '/admin;x/victim',
    '/;/admin/victim',
    '/;x=y/admin/victim',
    '/%61dmin/victim',
    '/%61%64%6d%69%6e/victim',
    '/%41dmin/victim',
    '/%2561dmin/victim',
    '/admin%2fvictim',
    '/admin%2Fvictim',
    '/%2fadmin/victim',
    '/admin%5cvictim',
    '/admin\\victim',
    '\\admin\\victim',
    '/\\admin/victim',
    '/public%2f..%2fadmin%2fvictim',
    '/public/%252e%252e/admin/victim',
    '/public/%252e%252e%252fadmin/victim',
    '/public/%25%32%65%25%32%65/admin/victim',
    '/public/%25%32%65%25%32%65%25%32%66admin/victim',
    '/public/..%25%32%66admin/victim',
    '/public/%25%32e%25%32e%2fadmin/victim',
    '/public/%252%65%252%65/admin/victim',
    '/public/%25252e%25252e/admin/victim',
    '/public/%c0%ae%c0%ae/admin/victim',
    '/public/..%c0%afadmin/victim',
    '/public/..%e0%80%afadmin/victim',
    '/public/..%f0%80%80%afadmin/victim',
    '/public/..%c1%9cadmin/victim',
    '/public/%u002e%u002e/admin/victim',
    '/public/%2/../admin/victim',
    '/public/..%00/admin/victim',
    '/public/%00/../admin/victim',
    '/admin/victim%00.png',
    '/public/..\0/admin/victim',
    '/public/..%0d/admin/victim'.replace('%0d', '\r'),
    '/public/..%09/../admin/victim',
    '/public/.../../admin/victim',
    '/public/#/../admin/victim',
    '/admin/victim#/public/',
    '/public/..#/admin/victim',
    '/public/\t../admin/victim',
    '/public/.. /admin/victim',
    'admin/victim',
    'public/../admin/victim',
    '?/admin/victim',
    '*/admin/victim',
    '*',
    '/ADMIN/victim',
    '/Admin/victim',
    '/adm\u0131n/victim',
    '/\xe0dmin/victim',
    '/admin.json/victim',
    `/${'a/'.repeat(3000)}../admin/victim`,
    `/admin/${'victim/'.repeat(10_000)}`,
    `/admin/victim?${'x'.repeat(100_000)}`,
  ]) {
    test(JSON.stringify(target.slice(0, 60)), () => assertKeptOut(get(target)))
  }

  for (const target of [
    `http://${HOST}/admin/victim`,
    `HTTP://${HOST.toUpperCase()}/admin/victim`,
    `https://${HOST}/admin/victim`,
    `http://${HOST}//admin/victim`,
    `http://${HOST}/public/../admin/victim`,
    `http://${HOST}/public/%2e%2e/admin/victim`,
    `http://${HOST}\\@x/admin/victim`,
    `http://user@${HOST}/public/../admin/victim`,
    'http://localhost/admin/victim',
    'http:///admin/victim',
    'http:/admin/victim',
    'http:admin/victim',
    `ftp://${HOST}/admin/victim`,
    `http://${HOST}?/admin/victim`,
    `http://${HOST}#/admin/victim`,
    `${HOST}/admin/victim`,
    `//${HOST}/admin/victim`,
    `${HOST}:80`,
  ]) {
    test(`absolute: ${target}`, () => assertKeptOut(get(target)))
  }

  test('the raw bytes of another line in it', async () => {
    await assertKeptOut(`GET /public/x\r\nGET /admin/victim HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`)
    client = await gateway.connect()
    await assertKeptOut(get('/public/x HTTP/1.1\nX: y\n\nGET /admin/victim'))
  })
})

describe('the method and what overrides it', () => {
  for (const method of [
    'POST',
    'PUT',
    'PATCH',
    'DELETE',
    'OPTIONS',
    'HEAD',
    'PROPFIND',
    'get',
    'Get',
    'X',
  ]) {
    test(`${method} /admin/victim`, () =>
      assertKeptOut(get('/admin/victim').replace('GET', method), method))
  }
  for (const method of ['CONNECT', 'TRACE', 'GET\t', ' GET', 'G\0T', 'GET,POST']) {
    test(`no method: ${JSON.stringify(method)}`, () =>
      assertKeptOut(get('/admin/victim').replace('GET', method), 'GET'))
  }
  for (const name of ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override', '_method']) {
    test(`${name} opens nothing`, async () => {
      const override = `${name}: OPTIONS`
      await assertKeptOut(get('/admin/victim', override).replace('GET', 'POST'), 'POST')
      client = await gateway.connect()
      await assertKeptOut(get(`/admin/victim?${name}=OPTIONS`, override))
    })
  }
  test('a preflight that is none', () =>
    assertKeptOut(
      get(
        '/admin/victim',
        'Origin: https://evil.example',
        'Access-Control-Request-Method: GET',
      ).replace('GET', 'OPTIONS'),
      'OPTIONS',
    ))
})

describe('the target by another header', () => {
  for (const name of [
    'X-Original-URL',
    'X-Rewrite-URL',
    'x_original_url',
    'X-Original-URI',
    'X-Forwarded-URI',
    'X-Forwarded-Path',
    'X-Forwarded-Prefix',
  ]) {
    test(`${name} does not reach the service`, async () => {
      const answer = await client.exchange(get('/public/page', `${name}: /admin/victim`))
      assert.equal(answer.text, 'served')
      assert.doesNotMatch(seen(), /victim|admin/)
    })
  }
})

describe('the credential', () => {
  const wrong = 'x'.repeat(KEY.length)
  for (const [name, ...lines] of [
    ['none'],
    ['empty', 'X-API-Key:'],
    ['wrong', `X-API-Key: ${wrong}`],
    ['cut', `X-API-Key: ${KEY.slice(1)}`],
    ['too long', `X-API-Key: ${KEY}x`],
    ['in other letters', `X-API-Key: ${KEY.toUpperCase()}`],
    ['twice, both right', WITH_KEY, WITH_KEY],
    ['twice, right and wrong', WITH_KEY, `x-api-key: ${wrong}`],
    ['twice, wrong and right', `X-API-KEY: ${wrong}`, WITH_KEY],
    ['in a list', `X-API-Key: ${KEY}, ${wrong}`],
    ['in quotes', `X-API-Key: "${KEY}"`],
    ['folded', 'X-API-Key:', ` ${KEY}`],
    ['folded in the middle', `X-API-Key: ${KEY.slice(0, 9)}`, ` ${KEY.slice(9)}`],
    ['with a space before the colon', `X-API-Key : ${KEY}`],
    ['under another spelling', `X_API_Key: ${KEY}`],
    ['in Authorization', `Authorization: Bearer ${KEY}`],
    ['in two Authorizations', `Authorization: Bearer ${KEY}`, `Authorization: Bearer ${wrong}`],
    ['in a cookie', `Cookie: x-api-key=${KEY}`],
    ['taken out by Connection', WITH_KEY, 'Connection: x-api-key'],
    ['taken out by Proxy-Connection and Connection', WITH_KEY, 'Connection: close, X-API-KEY'],
    ['claimed by an identity', 'X-Consumer: alice', 'X-Consumer-Groups: staff'],
    ['claimed by an address', 'X-Forwarded-For: 127.0.0.1', 'X-Real-IP: 127.0.0.1'],
    ['of a client certificate', 'X-SSL-Client-Verify: SUCCESS', 'X-Client-Cert: x'],
  ] as const) {
    test(name, () => assertKeptOut(get('/admin/victim', ...lines)))
  }
  for (const place of ['?x-api-key=', '?X-API-Key=', '?key=', ';x-api-key=']) {
    test(`in the target, ${place}`, () => assertKeptOut(get(`/admin/victim${place}${KEY}`)))
  }
})

describe('another request behind one that may pass', () => {
  const POST = `POST /admin/first HTTP/1.1\r\nHost: ${HOST}\r\n${WITH_KEY}\r\n`
  const VICTIM = get('/admin/victim')

  /** Only the first request, or none, reaches the service, and the last answer is a refusal. */
  async function assertAlone(bytes: string): Promise<void> {
    client.send(bytes)
    client.end()
    await client.closed()
    await gateway.settled()
    for (const target of targets()) assert.match(target, /^(GET|POST) \/(admin|public|api)\/first$/)
    assert.doesNotMatch(seen(), /GET \/admin\/victim HTTP/)
    assert.ok(targets().length <= 1, `${targets()}`)
  }

  for (const [name, bytes] of [
    ['pipelined', get('/admin/first', WITH_KEY) + VICTIM],
    ['pipelined behind an open one', get('/public/first') + VICTIM],
    ['pipelined behind a body', `${POST}Content-Length: 2\r\n\r\nok${VICTIM}`],
    [
      'pipelined behind chunks',
      `${POST}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n${VICTIM}`,
    ],
    [
      'behind an Upgrade that is refused',
      get('/api/first', WITH_KEY, 'Connection: Upgrade', 'Upgrade: websocket') + VICTIM,
    ],
    [
      'behind an open Upgrade that is refused',
      get('/public/first', 'Connection: Upgrade', 'Upgrade: websocket') + VICTIM,
    ],
    [
      'behind h2c',
      get(
        '/public/first',
        'Connection: Upgrade, HTTP2-Settings',
        'Upgrade: h2c',
        'HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA',
      ) + VICTIM,
    ],
    [
      'as HTTP/2 behind h2c',
      `${get('/public/first', 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk')}PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`,
    ],
    ['as HTTP/2 at once', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0'],
    [
      'behind an Upgrade to TLS',
      get('/public/first', 'Connection: Upgrade', 'Upgrade: TLS/1.2') + VICTIM,
    ],
    [
      'behind an Expect that was not waited for',
      `${POST}Content-Length: 2\r\nExpect: 100-continue\r\n\r\nok${VICTIM}`,
    ],
    [
      'two lengths',
      `${POST}Content-Length: 0\r\nContent-Length: ${VICTIM.length}\r\n\r\n${VICTIM}`,
    ],
    ['a list of lengths', `${POST}Content-Length: 0, ${VICTIM.length}\r\n\r\n${VICTIM}`],
    [
      'a length and chunks',
      `${POST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${VICTIM}`,
    ],
    [
      'chunks and a length',
      `${POST}Transfer-Encoding: chunked\r\nContent-Length: ${5 + VICTIM.length}\r\n\r\n0\r\n\r\n${VICTIM}`,
    ],
    [
      'chunks in disguise',
      `${POST}Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n${VICTIM}`,
    ],
    [
      'chunks in two lines',
      `${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${VICTIM}`,
    ],
    ['chunks with a space', `${POST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${VICTIM}`],
    ['chunks by underscore', `${POST}Transfer_Encoding: chunked\r\n\r\n0\r\n\r\n${VICTIM}`],
    ['a length by another sign', `${POST}Content.Length: ${VICTIM.length}\r\n\r\n${VICTIM}`],
    ['a length in hexadecimal', `${POST}Content-Length: 0x0\r\n\r\n${VICTIM}`],
    ['a length with a sign', `${POST}Content-Length: +0\r\n\r\n${VICTIM}`],
    [
      'a chunk size too large',
      `${POST}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n${VICTIM}`,
    ],
    ['a chunk that lies', `${POST}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n${VICTIM}`],
    [
      'a chunk extension with a line break',
      `${POST}Transfer-Encoding: chunked\r\n\r\n1;\nx\r\na\r\n0\r\n\r\n${VICTIM}`,
    ],
    ['in the trailers', `${POST}Transfer-Encoding: chunked\r\n\r\n0\r\n${VICTIM}`],
    ['a head with a bare line feed', `GET /public/first HTTP/1.1\nHost: ${HOST}\n\n${VICTIM}`],
    ['in the value of a header', get('/public/first', `X: y\n\n${VICTIM}`)],
    ['HTTP/0.9', `GET /admin/victim\r\n${VICTIM}`],
    [
      'HTTP/1.0 that stays',
      `GET /public/first HTTP/1.0\r\nHost: ${HOST}\r\nConnection: keep-alive\r\n\r\n${VICTIM}`,
    ],
  ] as const) {
    test(name, () => assertAlone(bytes))
  }

  test('a body that is a request stays a body', async () => {
    const answer = await client.exchange(`${POST}Content-Length: ${VICTIM.length}\r\n\r\n${VICTIM}`)
    assert.equal(answer.text, 'served')
    assert.equal(upstream.since().length, 1)
    assert.ok(seen().endsWith(`\r\n\r\n${VICTIM}`))
    assert.match(seen(), new RegExp(`\r\nContent-Length: ${VICTIM.length}\r\n`))
  })

  test('an answer to a wrong credential is not the key to the next request', async () => {
    for (let i = 0; i < 3; i++) {
      assert.equal((await client.exchange(get('/admin/first', WITH_KEY))).status, 200)
      assert.equal((await client.exchange(VICTIM)).status, 401)
      assert.equal((await client.exchange(get('/public/first'))).status, 200)
    }
    assert.doesNotMatch(seen(), /victim/)
  })
})

describe('an identity that is claimed', () => {
  const SPELLINGS = [
    'X-Consumer',
    'x-consumer',
    'X_Consumer',
    'x_CONSUMER',
    'X.Consumer',
    'X~Consumer',
  ]
  const GROUPS = [
    'X-Consumer-Groups',
    'X_Consumer_Groups',
    'x-consumer_groups',
    'X+Consumer|Groups',
  ]

  for (const name of [...SPELLINGS, ...GROUPS]) {
    test(`as ${name}: on an open route, on a closed one, and in trailers`, async () => {
      const claim = `${name}: evil`
      assert.equal((await client.exchange(get('/public/page', claim, claim))).text, 'served')
      assert.equal((await client.exchange(get('/admin/page', WITH_KEY, claim))).text, 'served')
      const body = `POST /public/page HTTP/1.1\r\nHost: ${HOST}\r\nTE: trailers\r\nTrailer: ${name}\r\nTransfer-Encoding: chunked\r\n\r\n`
      client.send(`${body}1\r\na\r\n0\r\n${claim}\r\n\r\n`)
      assert.equal((await client.response('POST')).text, 'served')
      assert.doesNotMatch(seen(), /evil/)
      assert.equal(seen().match(/^X-Consumer: alice\r$/gm)?.length, 1)
      assert.equal(seen().match(/^X-Consumer-Groups: staff\r$/gm)?.length, 1)
    })

    test(`as ${name}, to be removed by Connection`, async () => {
      await assertKeptOut(get('/admin/page', WITH_KEY, `Connection: ${name}`))
      client = await gateway.connect()
      await assertKeptOut(get('/public/page', `Connection: close, ${name}`, `${name}: evil`))
    })
  }

  test('with what the parser does not take for a name it is refused', async () => {
    for (const name of [
      'X-Consumer ',
      'X-Consumer\t',
      ' X-Consumer',
      'X-Consumer\0',
      'X Consumer',
    ]) {
      client = await gateway.connect()
      await assertKeptOut(get('/public/page', 'A: b', `${name}: evil`))
    }
  })
})

test('in all of this no service saw a request that may not pass', () => {
  const lines = upstream.text.match(/[A-Z]+ [^\r\n]* HTTP\/1\.1\r\n/g) ?? []
  assert.ok(lines.length > 0)
  // One stands in the body of a request that may.
  assert.equal(lines.filter((line) => line.includes('victim')).length, 1)
})
