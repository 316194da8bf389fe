// What never gets in: each policy that keeps requests out, in front of a service that records every
// byte it hears.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { ErrorCode } from '../../src/errors.ts'
import { assertFailure, HOST } from '../support/faults.ts'
import { TestGateway } from '../support/gateway.ts'
import { type Echo, RecordingUpstream } from '../support/recording-upstream.ts'

const ORIGIN = 'https://shop.example'
const folder = mkdtempSync(join(tmpdir(), 'protection-'))
const file = join(folder, 'denied.txt')

let upstream: RecordingUpstream
let gateway: TestGateway

before(async () => {
  upstream = await RecordingUpstream.startHttp()
  writeFileSync(file, '127.0.0.9 # not this one\n')
  gateway = await TestGateway.start({
    listen: { url: 'http://127.0.0.1:0', trustedProxies: ['127.0.0.3'] },
    services: { s: upstream.url },
    use: ['security-headers', { cors: { origins: [ORIGIN], credentials: true } }],
    routes: [
      {
        path: '/inside',
        use: [{ 'ip-filter': { allow: ['127.0.0.1', '2001:db8::/32'] } }],
        to: 's',
      },
      { path: '/outside', use: [{ 'ip-filter': { deny: { file } } }], to: 's' },
      { path: '/forms', use: [{ csrf: { origins: [ORIGIN] } }], to: 's' },
      {
        path: '/admin/*',
        use: [{ block: { if: "request.method != 'GET'", status: 404, detail: 'Not here.' } }],
        to: 's',
      },
      { path: '/images', use: [{ 'content-type': { allow: ['image/*'] } }], to: 's' },
      { path: '/small', use: [{ 'body-limit': { max: '8b' } }], to: 's' },
      { path: '/socket', upgrade: ['websocket'], use: ['csrf'], to: 's' },
    ],
  })
})

after(async () => {
  try {
    await gateway.close()
  } finally {
    await upstream.close()
    rmSync(folder, { recursive: true })
  }
})

interface Sent {
  readonly fields?: readonly string[]
  readonly body?: string
  /** The address that it is sent from. */
  readonly from?: string
}

async function send(line: string, { fields = [], body = '', from = '127.0.0.1' }: Sent = {}) {
  const client = await gateway.connect({ localAddress: from })
  const lines = fields.map((text) => `${text}\r\n`).join('')
  const length = body === '' ? '' : `Content-Length: ${body.length}\r\n`
  return client.exchange(`${line} HTTP/1.1\r\n${HOST}${lines}${length}\r\n${body}`)
}

async function passes(line: string, sent?: Sent): Promise<void> {
  const response = await send(line, sent)
  assert.equal(response.status, 200, response.text)
  assert.equal((response.json as Echo).body, sent?.body ?? '')
}

async function refused(code: ErrorCode, line: string, sent?: Sent) {
  upstream.mark()
  const response = await send(line, sent)
  assertFailure(response, code)
  assert.deepEqual(upstream.since(), [], 'the service hears nothing of it')
  assert.equal(response.header('x-content-type-options'), 'nosniff')
  return response
}

describe('addresses', () => {
  test('pass by list, and others do not', async () => {
    await passes('GET /inside')
    await refused('address_refused', 'GET /inside', { from: '127.0.0.2' })
    await passes('GET /outside', { from: '127.0.0.2' })
    await refused('address_refused', 'GET /outside', { from: '127.0.0.9' })
  })

  test('are those of the client where a trusted proxy names it, and only there', async () => {
    const inside = ['X-Forwarded-For: 2001:db8::7']
    await passes('GET /inside', { from: '127.0.0.3', fields: inside })
    await refused('address_refused', 'GET /inside', { from: '127.0.0.2', fields: inside })
    const denied = ['X-Forwarded-For: 127.0.0.9']
    await refused('address_refused', 'GET /outside', { from: '127.0.0.3', fields: denied })
    const mapped = ['X-Forwarded-For: ::ffff:127.0.0.9']
    await refused('address_refused', 'GET /outside', { from: '127.0.0.3', fields: mapped })
    // What the client itself put in front of its address changes nothing.
    const hidden = ['X-Forwarded-For: 127.0.0.1, 127.0.0.9']
    await refused('address_refused', 'GET /outside', { from: '127.0.0.3', fields: hidden })
  })
})

describe('forms of other sites', () => {
  test('are refused, whatever tells of them', async () => {
    for (const fields of [
      ['Sec-Fetch-Site: cross-site', 'Origin: https://evil.example'],
      ['Origin: https://evil.example'],
      ['Origin: null'],
      ['Referer: https://evil.example/shop.example'],
      [],
    ]) {
      await refused('csrf_refused', 'POST /forms', { fields, body: 'a=1' })
    }
  })

  test('are told apart from those of the own and the listed ones', async () => {
    for (const fields of [
      ['Sec-Fetch-Site: same-origin', 'Origin: http://shop.example'],
      ['Sec-Fetch-Site: cross-site', `Origin: ${ORIGIN}`],
      ['Origin: http://shop.example'],
      [`Referer: ${ORIGIN}/cart`],
    ]) {
      await passes('POST /forms', { fields, body: 'a=1' })
    }
    await passes('GET /forms', { fields: ['Sec-Fetch-Site: cross-site'] })
  })

  test('cannot open a WebSocket either', async () => {
    const fields = ['Connection: upgrade', 'Upgrade: websocket', 'Origin: https://evil.example']
    await refused('csrf_refused', 'GET /socket', { fields })
  })
})

test('what an expression names is blocked, with the status that it says', async () => {
  await passes('GET /admin/users')
  upstream.mark()
  const response = await send('DELETE /admin/users')
  assert.equal(response.status, 404)
  assert.equal(response.problem.code, 'blocked')
  assert.equal(response.problem.status, 404)
  assert.equal(response.problem.detail, 'Not here.')
  assert.deepEqual(upstream.since(), [])
})

test('bodies of another type are refused, and the answer says what would be taken', async () => {
  await passes('POST /images', { fields: ['Content-Type: image/png'], body: 'png' })
  await passes('POST /images')
  for (const fields of [['Content-Type: text/html'], [], ['Content-Type: image/png, text/html']]) {
    const response = await refused('unsupported_media_type', 'POST /images', { fields, body: 'x' })
    assert.equal(response.header('accept'), 'image/*')
  }
})

test('a body that is too long by its chunks is cut off before its end', async () => {
  const client = await gateway.connect()
  client.send(`POST /small HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n`)
  client.send('4\r\n6789\r\n0\r\n\r\n')
  assertFailure(await client.response('POST'), 'body_too_large')
  await gateway.settled()
  assert.ok(!upstream.text.includes('6789'), 'what was too much never leaves')
  const exact = 'Transfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n4\r\n5678\r\n0\r\n\r\n'
  const next = await gateway.connect()
  const response = await next.exchange(`POST /small HTTP/1.1\r\n${HOST}${exact}`)
  assert.equal((response.json as Echo).body, '12345678')
})

describe('browsers', () => {
  test('are told how to protect their users, by every answer', async () => {
    for (const line of ['GET /inside', 'GET /nowhere']) {
      const response = await send(line)
      assert.equal(response.header('x-frame-options'), 'SAMEORIGIN')
      assert.equal(response.header('strict-transport-security'), null, 'this is not https')
    }
  })

  test('may show a refusal to the page that asked', async () => {
    const fields = [`Origin: ${ORIGIN}`]
    const response = await refused('address_refused', 'GET /inside', { from: '127.0.0.2', fields })
    assert.equal(response.header('access-control-allow-origin'), ORIGIN)
    assert.equal(response.header('access-control-allow-credentials'), 'true')
  })
})
