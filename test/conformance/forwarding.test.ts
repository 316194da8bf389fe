// Forwarding is transparent: what the service and the client receive is, byte for byte, what was sent,
// except for what RFC 9110 7.6 tells a gateway to take out or put in.
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { pair } from '../support/gateway.ts'
import { answersOk } from '../support/recording-upstream.ts'
import type { FieldLine, WireRequest, WireResponse } from '../support/strict-http.ts'

/** What a gateway adds to every request from 127.0.0.1. */
const ADDED = [
  'X-Forwarded-For: 127.0.0.1',
  'X-Forwarded-Proto: http',
  'X-Forwarded-Host: shop.example',
  'Via: 1.1 gatehouse',
]

/** Sends a request and returns it as the service received it, with the answer. */
async function forward(
  t: TestContext,
  request: string,
  answer = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  settings = {},
): Promise<{ seen: WireRequest; got: WireResponse }> {
  const { upstream, client } = await pair(t, () => {}, {}, settings)
  client.send(request)
  const connection = await upstream.connection(0)
  const seen = await connection.request()
  await connection.send(answer)
  return { seen, got: await client.response(seen.method) }
}

function get(...fields: readonly string[]): string {
  return `${['GET / HTTP/1.1', 'Host: shop.example', ...fields].join('\r\n')}\r\n\r\n`
}

function written(lines: readonly FieldLine[]): string[] {
  return lines.map(([name, value]) => `${name}: ${value}`)
}

/** The field lines that the service received, without those that the gateway adds. */
function passed(seen: WireRequest): string[] {
  return written(seen.lines).filter((line) => !ADDED.includes(line))
}

describe('requests', () => {
  for (const method of [
    'GET',
    'PUT',
    'DELETE',
    'OPTIONS',
    'PATCH',
    'PROPFIND',
    'get',
    'X-!#$%',
    'M',
  ]) {
    test(`method ${method} as it is`, async (t) => {
      const { seen } = await forward(t, `${method} / HTTP/1.1\r\nHost: shop.example\r\n\r\n`)
      assert.equal(seen.method, method)
    })
  }

  for (const target of [
    '/a%2fb%2Fc',
    '/%7euser/%7Euser',
    '/a;b=c;d/e,f',
    "/!$&'()*+,;=:@-._~",
    '/a?b=c&b=c&&=&d',
    '/a?',
    '/a?b=/../c&d=%zz&e=%00',
    '/a?b=//c\\d|e^f`g{h}',
    '/caf%C3%A9?q=%E2%82%AC',
    '/a/',
    '/...',
    '/a..b/..c/d..',
    `/${'long/'.repeat(1600)}`,
  ]) {
    test(`target ${target.slice(0, 40)} as it is`, async (t) => {
      const { seen } = await forward(t, `GET ${target} HTTP/1.1\r\nHost: shop.example\r\n\r\n`)
      assert.equal(seen.target, target)
    })
  }

  test('asterisk-form asks about the gateway itself, and goes no further', async (t) => {
    const { upstream, client } = await pair(t, () => {})
    client.send('OPTIONS * HTTP/1.1\r\nHost: shop.example\r\n\r\n')
    const answer = await client.response('OPTIONS')
    assert.equal(answer.status, 204)
    assert.match(answer.header('allow') ?? '', /GET/)
    assert.equal(upstream.connections.length, 0)
  })

  test('absolute-form is sent on in origin-form', async (t) => {
    const { seen } = await forward(
      t,
      'GET http://Shop.Example/a?b HTTP/1.1\r\nHost: shop.example\r\n\r\n',
    )
    assert.equal(seen.target, '/a?b')
    assert.equal(seen.header('host'), 'shop.example')
  })

  test('field lines keep order, spelling, repetition and obs-text', async (t) => {
    const lines = [
      'Host: shop.example',
      'x-lower: 1',
      'X-UPPER: 2',
      'X-mIxEd: 3',
      'Accept: a',
      'X-Twice: first',
      'Accept: b',
      'X-Twice: second',
      'X-Twice: second',
      'X-Empty: ',
      'X-Obs: caf\xe9 \xff\x80',
      'X-Quoted: "a, b"; c="\\""',
      'X-Inner: a  b\tc',
      'Cookie: a=b; c=d',
      'Cookie: e=f',
      'Authorization: Bearer abc',
      "X-!#$%&'*+-.^_`|~: all of a token",
    ]
    const { seen } = await forward(t, `GET / HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
    assert.deepEqual(passed(seen), lines)
    assert.deepEqual(written(seen.lines).slice(lines.length), ADDED)
  })

  test('the end of a value is trimmed by nobody but its blanks', async (t) => {
    const { seen } = await forward(t, get('X-A:b', 'X-C: \t d \t ', 'X-E:'))
    assert.deepEqual(seen.lines.slice(1, 4), [
      ['X-A', 'b'],
      ['X-C', 'd'],
      ['X-E', ''],
    ])
  })

  test('a head of 30,000 bytes with a big cookie, and 99 fields', async (t) => {
    const cookie = `Cookie: session=${'x'.repeat(24_000)}`
    const many = Array.from({ length: 97 }, (_, i) => `X-Field-${i}: ${i}`)
    const { seen } = await forward(t, get(cookie, ...many))
    assert.deepEqual(passed(seen), ['Host: shop.example', cookie, ...many])
  })

  test('hop-by-hop fields end here, and those that Connection names', async (t) => {
    const { seen } = await forward(
      t,
      get(
        'Connection: keep-alive, X-Hop',
        'Keep-Alive: timeout=5',
        'Proxy-Connection: keep-alive',
        'TE: trailers, deflate',
        'X-Hop: 1',
        'X-Kept: 2',
        'x-hop: 3',
      ),
    )
    assert.deepEqual(passed(seen), [
      'Host: shop.example',
      'X-Kept: 2',
      'Connection: TE',
      'TE: trailers',
    ])
  })

  test('what an untrusted client says of its origin is replaced', async (t) => {
    const { seen } = await forward(
      t,
      get(
        'X-Forwarded-For: 6.6.6.6',
        'X-Forwarded-Proto: https',
        'X-Forwarded-Host: evil.example',
        'Forwarded: for=6.6.6.6',
        'X-Real-IP: 6.6.6.6',
      ),
    )
    assert.deepEqual(written(seen.lines), ['Host: shop.example', ...ADDED])
  })

  test('a trusted proxy is believed, and its list goes on', async (t) => {
    const listen = { url: 'http://127.0.0.1:0', trustedProxies: ['127.0.0.0/8'] }
    const { seen } = await forward(
      t,
      get(
        'X-Forwarded-For: 203.0.113.7, 10.0.0.1',
        'X-Forwarded-Proto: https',
        'X-Forwarded-Host: b.example',
      ),
      undefined,
      { listen },
    )
    assert.equal(seen.header('x-forwarded-for'), '203.0.113.7, 10.0.0.1, 127.0.0.1')
    assert.equal(seen.header('x-forwarded-proto'), 'https')
    assert.equal(seen.header('x-forwarded-host'), 'b.example')
  })

  test('Forwarded instead of X-Forwarded, when that is configured', async (t) => {
    const forwarded = { xForwarded: false, forwarded: true }
    const { seen } = await forward(t, get(), undefined, { forwarded })
    assert.equal(seen.header('forwarded'), 'for=127.0.0.1;proto=http;host="shop.example"')
    assert.equal(seen.header('x-forwarded-for'), null)
  })

  test('Via is added behind those of others, under the configured name, or not at all', async (t) => {
    const first = await forward(t, get('Via: 1.0 fred'))
    assert.deepEqual(first.seen.all('via'), ['1.0 fred', '1.1 gatehouse'])
    assert.equal(first.got.header('via'), '1.1 gatehouse')
    const named = await forward(t, get(), undefined, { via: 'edge-1' })
    assert.equal(named.seen.header('via'), '1.1 edge-1')
    assert.equal(named.got.header('via'), '1.1 edge-1')
    const off = await forward(t, get(), undefined, { via: false })
    assert.equal(off.seen.header('via'), null)
    assert.equal(off.got.header('via'), null)
  })

  test('Via names the version that was received', async (t) => {
    const { seen, got } = await forward(
      t,
      'GET / HTTP/1.0\r\nHost: shop.example\r\n\r\n',
      'HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n',
    )
    assert.equal(seen.header('via'), '1.0 gatehouse')
    assert.equal(got.header('via'), '1.0 gatehouse')
  })
})

describe('answers', () => {
  for (const line of [
    '200 OK',
    '200 ',
    '299 Whatever \xe9',
    '404 Not Found',
    '418 ',
    '599 x',
    '999 odd',
  ]) {
    test(`status line ${JSON.stringify(line)} as it is`, async (t) => {
      const { got } = await forward(t, get(), `HTTP/1.1 ${line}\r\nContent-Length: 0\r\n\r\n`)
      assert.equal(`${got.status} ${got.reason}`, line)
    })
  }

  test('a status line without a reason and without its space', async (t) => {
    const { got } = await forward(t, get(), 'HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n')
    assert.equal(got.status, 200)
  })

  test('field lines keep order, spelling, repetition and obs-text', async (t) => {
    const lines = [
      'date: Tue, 15 Nov 1994 08:12:31 GMT',
      'SERVER: the service',
      'Set-Cookie: a=1; Path=/',
      'X-Obs: \xe9\xff',
      'set-cookie: b=2',
      'Set-Cookie: a=1; Path=/',
      'Content-Length: 0',
      'Vary: a',
      'Vary: b',
      'X-Empty: ',
      'ETag: W/"x"',
    ]
    const { got } = await forward(t, get(), `HTTP/1.1 200 OK\r\n${lines.join('\r\n')}\r\n\r\n`)
    assert.deepEqual(written(got.lines), [...lines, 'Via: 1.1 gatehouse'])
  })

  test('hop-by-hop fields end here, and those that Connection names', async (t) => {
    const { got } = await forward(
      t,
      get(),
      'HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\n' +
        'Proxy-Connection: x\r\nUpgrade: h2c\r\nX-Kept: 2\r\nContent-Length: 0\r\n\r\n',
    )
    const names = got.lines.map(([name]) => name)
    assert.deepEqual(names, ['X-Kept', 'Content-Length', 'Date', 'Via'])
  })

  test('Date is added where the service has no clock', async (t) => {
    const { got } = await forward(t, get())
    assert.match(
      got.header('date') ?? '',
      /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/,
    )
  })

  test('a head of 60,000 bytes', async (t) => {
    const value = 'v'.repeat(60_000)
    const { got } = await forward(
      t,
      get(),
      `HTTP/1.1 200 OK\r\nX-Big: ${value}\r\nContent-Length: 0\r\n\r\n`,
    )
    assert.equal(got.header('x-big'), value)
  })
})

test('the same bytes in, the same bytes out, when sent one by one', async (t) => {
  const { upstream, client } = await pair(t, answersOk)
  const request = get('X-A: b', 'Cookie: c=d')
  client.send(request)
  await client.response()
  await client.sendSplit(request)
  await client.response()
  const text = upstream.text
  assert.equal(text.slice(0, text.length / 2), text.slice(text.length / 2))
})
