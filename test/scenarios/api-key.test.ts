// API keys end to end: which are taken, from where, and what of them the service and the log see.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { createApiKey } from '../../src/policies/api-key-format.ts'
import { keyLine } from '../support/credentials.ts'
import { TestGateway } from '../support/gateway.ts'
import { type Echo, RecordingUpstream } from '../support/recording-upstream.ts'

const KEY = createApiKey('gh')
const EXPIRED = createApiKey('gh')
const FOREIGN = 'an-old-key-from-elsewhere'
const UNKNOWN = createApiKey('gh')
const MISTYPED = KEY.slice(0, -1) + (KEY.endsWith('0') ? '1' : '0')

let upstream: RecordingUpstream
let gateway: TestGateway

before(async () => {
  upstream = await RecordingUpstream.startHttp()
  const policy = (settings: object) => [{ 'api-key': { failures: false, ...settings } }]
  gateway = await TestGateway.start({
    services: { s: upstream.url },
    consumers: {
      app: { keys: [keyLine(KEY), { hash: keyLine(EXPIRED), expires: '2020-01-01' }] },
      old: { keys: [keyLine(FOREIGN)] },
    },
    routes: [
      { path: '/plain/*', use: policy({}), to: 's' },
      { path: '/listed/*', use: policy({ header: ['x-key', 'x-other'] }), to: 's' },
      { path: '/query/*', use: policy({ query: 'key' }), rewrite: { path: '/v2' }, to: 's' },
      { path: '/cookie/*', use: policy({ cookie: 'session' }), to: 's' },
      {
        path: '/all/*',
        use: policy({ header: 'x-key', query: ['key', 'k'], cookie: 'key' }),
        to: 's',
      },
      { path: '/limited/*', use: [{ 'api-key': { failures: { perAddress: 3 } } }], to: 's' },
    ],
  })
})

beforeEach(() => upstream.mark())

after(async () => {
  await gateway.close()
  await upstream.close()
})

async function get(target: string, fields: readonly string[] = [], localAddress?: string) {
  const client = await gateway.connect(localAddress === undefined ? {} : { localAddress })
  const lines = [`GET ${target} HTTP/1.1`, 'Host: shop.example', ...fields]
  return client.exchange(`${lines.join('\r\n')}\r\n\r\n`)
}

/** What the service got; the request must have passed. */
async function passed(target: string, fields: readonly string[] = []): Promise<Echo> {
  const response = await get(target, fields)
  assert.equal(response.status, 200, response.text)
  return response.json as Echo
}

async function refused(target: string, fields: readonly string[], status: number, code: string) {
  const response = await get(target, fields)
  assert.deepEqual([response.status, response.problem.code], [status, code])
  for (const key of [KEY, EXPIRED, UNKNOWN, MISTYPED, FOREIGN]) {
    assert.ok(!response.text.includes(key))
  }
  assert.deepEqual(upstream.since(), [], 'the service sees nothing of it')
  return response
}

describe('a key', () => {
  test('passes from each place, and the service never sees it', async () => {
    const cases: [target: string, fields: string[]][] = [
      ['/plain/a?x=1', [`X-API-Key: ${KEY}`]],
      ['/plain/a', [`x-api-key: ${FOREIGN}`]],
      ['/listed/a', [`X-Other: ${KEY}`]],
      [`/query/a?x=1&key=${KEY}&y=2`, []],
      [`/query/a?key=${KEY}`, []],
      ['/cookie/a', [`Cookie: theme=dark; session=${KEY}; lang=sv`]],
      [`/all/a?k=${KEY}`, []],
    ]
    for (const [target, fields] of cases) await passed(target, fields)
    const bytes = Buffer.concat(upstream.since()).toString('latin1')
    assert.ok(bytes.includes('GET /plain/a?x=1 HTTP/1.1\r\n'))
    assert.ok(bytes.includes('GET /v2?x=1&y=2 HTTP/1.1\r\n'))
    assert.ok(bytes.includes('GET /v2 HTTP/1.1\r\n'))
    assert.ok(bytes.includes('Cookie: theme=dark; lang=sv\r\n'))
    assert.ok(!bytes.includes(KEY) && !bytes.includes(FOREIGN), bytes)
  })

  test('in another place is none', async () => {
    await refused(
      `/plain/a?x-api-key=${KEY}`,
      [`Cookie: x-api-key=${KEY}`],
      401,
      'authentication_required',
    )
    await refused('/query/a', [`X-Api-Key: ${KEY}`], 401, 'authentication_required')
  })

  test('that is missing or wrong is answered with a challenge and why', async () => {
    const missing = await refused('/plain/a', [], 401, 'authentication_required')
    assert.match(missing.header('www-authenticate')!, /^ApiKey realm="gatehouse"/)
    await refused('/plain/a', ['X-Api-Key:'], 401, 'credential_invalid')
    await refused('/plain/a', [`X-Api-Key: ${UNKNOWN}`], 401, 'credential_invalid')
    await refused('/plain/a', [`X-Api-Key: ${KEY}x`], 401, 'credential_invalid')
    await refused('/plain/a', [`X-Api-Key: ${KEY} ${KEY}`], 401, 'credential_invalid')
    await refused('/plain/a', [`X-Api-Key: ${'k'.repeat(513)}`], 401, 'credential_invalid')
    const mistyped = await refused(
      '/plain/a',
      [`X-Api-Key: ${MISTYPED}`],
      401,
      'credential_invalid',
    )
    assert.match(String(mistyped.problem.detail), /mistyped/)
    await refused('/plain/a', [`X-Api-Key: ${EXPIRED}`], 401, 'credential_expired')
    await refused(`/query/a?key=${UNKNOWN}`, [], 401, 'credential_invalid')
  })

  test('that stands there twice is refused, whichever they are', async () => {
    const twice: [target: string, fields: string[]][] = [
      ['/plain/a', [`X-Api-Key: ${KEY}`, `x-api-key: ${KEY}`]],
      ['/listed/a', [`X-Key: ${KEY}`, `X-Other: ${UNKNOWN}`]],
      [`/query/a?key=${KEY}&key=${KEY}`, []],
      [`/query/a?key=${KEY}&%6bey=${UNKNOWN}`, []],
      ['/cookie/a', [`Cookie: session=${KEY}; session=${KEY}`]],
      [`/all/a?key=${KEY}`, [`X-Key: ${KEY}`]],
    ]
    for (const [target, fields] of twice) await refused(target, fields, 400, 'credential_ambiguous')
  })
})

test('who guesses too often is told to wait, but a key that is right still passes', async () => {
  const guess = (key: string, address = '127.0.0.1') =>
    get('/limited/a', [`X-Api-Key: ${key}`], address)
  // Neither what is missing nor what is mistyped guesses anything.
  for (let count = 0; count < 5; count++) {
    assert.equal((await guess(MISTYPED)).status, 401)
    assert.equal((await get('/limited/a')).status, 401)
  }
  for (let count = 0; count < 3; count++) assert.equal((await guess(`guess-${count}`)).status, 401)
  const response = await guess('guess-3')
  assert.deepEqual([response.status, response.problem.code], [429, 'too_many_failures'])
  assert.equal(response.header('retry-after'), '60')
  assert.equal((await guess(KEY)).status, 200)
  assert.equal((await guess('guess-4', '127.0.0.2')).status, 401, 'others are not shut out')
})
