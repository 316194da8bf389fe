import assert from 'node:assert/strict'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'
import { testExchange } from '../../proxy/pipeline/exchange.test-support.ts'
import { Reply } from '../../proxy/pipeline/reply.ts'
import { hooksOf, refusals, testEnvironment } from '../policy.test-support.ts'
import { DecisionCache } from './decision-cache.ts'
import { forwardAuth } from './forward-auth.ts'

describe('settings', () => {
  for (const [what, settings, refusal] of [
    ['clear text beyond this machine', { url: 'http://auth:9091/' }, /^url: .*clear text/],
    ['another scheme', { url: 'ftp://auth/' }, /^url: expected a URL/],
    ['a password in the URL', { url: 'https://a:b@auth/' }, /^url: .*password/],
    ['groups without a consumer', { url: 'https://a/', groupsFrom: 'x-g' }, /^groupsFrom: /],
    [
      'framing',
      { url: 'https://a/', identityHeaders: ['Content-Length'] },
      /^identityHeaders\.0: /,
    ],
    [
      'a stale encoding',
      { url: 'https://a/', denialHeaders: ['Content-Encoding'] },
      /^denialHeaders/,
    ],
    [
      'forwarded names',
      { url: 'https://a/', requestHeaders: ['X-Forwarded-For'] },
      /^requestHeaders/,
    ],
    [
      'a long cache',
      { url: 'https://a/', cache: { for: '1h' } },
      /^cache\.for: must be 5m or less/,
    ],
  ] as const) {
    test(`refuse ${what}`, () => assert.match(refusals(forwardAuth, settings)[0] ?? '', refusal))
  }

  test('take clear text where it was asked for, or does not leave this machine', () => {
    for (const url of ['http://localhost:1/', 'http://127.0.0.2/', 'http://[::1]:9/']) {
      assert.deepEqual(refusals(forwardAuth, { url }), [])
    }
    assert.deepEqual(refusals(forwardAuth, { url: 'http://auth:9091/', allowHttp: true }), [])
  })

  test('keep clients from sending identity headers, but not their credentials', () => {
    const settings = forwardAuth.settings.parse({
      url: 'https://a/',
      identityHeaders: ['X-User', 'Authorization', 'cookie'],
    })
    assert.deepEqual(forwardAuth.identityHeaders!(settings), ['X-User'])
  })
})

test('a remembered pass ends', async (t) => {
  let asked = 0
  const server = createServer((_, response: ServerResponse) => {
    asked++
    response.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const environment = testEnvironment()
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const hooks = hooksOf(forwardAuth, { url, cache: { for: '5s' } }, environment)
  t.after(() => {
    hooks.dispose!()
    server.closeAllConnections()
    server.close()
  })
  const pass = async (): Promise<void> =>
    assert.equal(await hooks.onRequest!(testExchange()), undefined)
  await pass()
  environment.clock.advance(4_999)
  assert.equal(hooks.onRequest!(testExchange()), undefined)
  assert.equal(asked, 1)
  environment.clock.advance(1)
  await pass()
  assert.equal(asked, 2)
})

test('a disposed policy asks nobody and lets nobody pass', async () => {
  const hooks = hooksOf(forwardAuth, { url: 'https://auth.example/' })
  hooks.dispose!()
  const reply = await hooks.onRequest!(testExchange())
  assert.ok(reply instanceof Reply)
  assert.equal(reply.code, 'authorization_unavailable')
})

test('the cache holds no more than it may, and tells everything apart that could matter', () => {
  const cache = new DecisionCache({ for: 10, by: ['A', 'b'], anyTarget: false, entries: 2 })
  const grant = { values: [], consumer: null }
  const requests = [
    {},
    { fields: ['A: 1'] },
    { fields: ['B: 1'] },
    { fields: ['A: 1', 'B: 1'] },
    { fields: ['A: null'] },
    { method: 'PUT' },
    { target: '/x' },
    { host: 'x' },
    { scheme: 'https' },
  ] as const
  const keys = requests.map((parts) => cache.keyOf(testExchange(parts)))
  assert.equal(new Set(keys).size, requests.length)
  for (const key of keys) cache.set(key, grant, 0)
  assert.deepEqual(
    keys.map((key) => cache.get(key, 9) !== null),
    keys.map((_, index) => index >= keys.length - 2),
  )
  cache.set('new', grant, 10)
  assert.equal(cache.get(keys.at(-1)!, 10), null)
  assert.equal(cache.get('new', 19), grant)
})
