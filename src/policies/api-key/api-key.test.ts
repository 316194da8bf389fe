import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { KeyEntry, KnownConsumer } from '../../proxy/pipeline/consumer.ts'
import { testExchange } from '../../proxy/pipeline/exchange.test-support.ts'
import { NO_CONSUMERS } from '../../proxy/pipeline/inert-environment.ts'
import type { Reply } from '../../proxy/pipeline/reply.ts'
import { apiKeyHash, createApiKey } from '../api-key-format.ts'
import { hooksOf, refusals, testEnvironment } from '../policy.test-support.ts'
import { apiKey } from './api-key.ts'

const APP: KnownConsumer = {
  id: 'app',
  groups: ['a', 'b'],
  claims: null,
  metadata: {},
  limits: {},
}

function setUp(keys: Readonly<Record<string, number>>) {
  const entries = new Map<string, KeyEntry>()
  for (const [key, expiresAtMs] of Object.entries(keys)) {
    const hash = apiKeyHash(key)
    entries.set(hash, { consumer: APP, hash, label: '', expiresAtMs })
  }
  const looked: string[] = []
  const failed: string[] = []
  const environment = testEnvironment({
    stage: { id: 'door' },
    consumers: {
      ...NO_CONSUMERS,
      byKeyHash(hash) {
        looked.push(hash)
        return entries.get(hash) ?? null
      },
    },
    failedAttempts: {
      mayTry: () => failed.length < 2,
      failed: (_bounds, ip) => void failed.push(ip),
    },
  })
  return { environment, looked, failed }
}

describe('api-key', () => {
  test('makes the consumer known, and says so to the service where asked', () => {
    const key = createApiKey('gh')
    const { environment } = setUp({ [key]: Number.POSITIVE_INFINITY })
    const hooks = hooksOf(apiKey, { forward: { id: 'X-Who', groups: 'X-Groups' } }, environment)
    const exchange = testExchange({ fields: [`X-Api-Key: ${key}`] })
    assert.equal(hooks.onRequest!(exchange), undefined)
    assert.equal(exchange.consumer, APP)
    assert.deepEqual(exchange.authentication, { stage: 'door', scheme: 'ApiKey' })
    assert.equal(exchange.requestHeader('x-who'), 'app')
    assert.equal(exchange.requestHeader('x-groups'), 'a,b')
    assert.equal(exchange.requestHeader('x-api-key'), null)
  })

  test('refuses a key from the moment on at which it expires, and counts no failure', () => {
    const { environment, failed } = setUp({ soon: 0 })
    const at = environment.clock.wallTime() + 1_000
    const parts = setUp({ soon: at })
    const hooks = hooksOf(apiKey, {}, parts.environment)
    const ask = () => hooks.onRequest!(testExchange({ fields: ['X-Api-Key: soon'] }))
    assert.equal(ask(), undefined)
    parts.environment.clock.advance(1_000)
    assert.equal((ask() as Reply).code, 'credential_expired')
    assert.deepEqual([failed, parts.failed], [[], []])
  })

  test('neither looks up nor counts a mistyped key of its own', () => {
    const { environment, looked, failed } = setUp({})
    const hooks = hooksOf(apiKey, { prefix: 'shop' }, environment)
    const ask = (key: string) =>
      (hooks.onRequest!(testExchange({ fields: [`X-Api-Key: ${key}`] })) as Reply).code
    assert.equal(ask(`${createApiKey('shop')}x`), 'credential_invalid')
    assert.equal(ask('shop_short'), 'credential_invalid')
    assert.deepEqual([looked, failed], [[], []])
    assert.equal(ask(createApiKey('shop')), 'credential_invalid')
    assert.equal(ask('of-another-maker'), 'credential_invalid')
    assert.deepEqual([looked.length, failed.length], [2, 2])
    assert.equal(ask('one-too-many'), 'too_many_failures')
    assert.equal(failed.length, 2)
  })

  test('takes the key out of what logs see, even when it is refused', () => {
    const { environment } = setUp({})
    const hooks = hooksOf(apiKey, { query: 'k', cookie: 'k' }, environment)
    const exchange = testExchange({ target: '/a?k=guess&x=1', fields: ['Cookie: k=guess'] })
    assert.equal((hooks.onRequest!(exchange) as Reply).code, 'credential_ambiguous')
    assert.equal(exchange.query, 'x=1')
    assert.equal(exchange.requestHeader('cookie'), null)
  })

  test('refuses places that cannot hold a key, and headers that are not its to write', () => {
    for (const settings of [
      { header: 'Authorization' },
      { header: 'host' },
      { header: [] },
      { cookie: 'a b' },
      { forward: { id: 'authorization' } },
      { forward: { id: 'x-forwarded-for' } },
      { prefix: 'G' },
      { failures: { perAddress: 0 } },
    ]) {
      assert.notDeepEqual(refusals(apiKey, settings), [], JSON.stringify(settings))
    }
  })
})
