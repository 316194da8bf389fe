import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { testExchange } from '../../proxy/pipeline/exchange.test-support.ts'
import type { Reply } from '../../proxy/pipeline/reply.ts'
import { hooksOf, refusals } from '../policy.test-support.ts'
import { require } from './require.ts'
import { mentionsConsumer } from './requirement.ts'

type Settings = Parameters<typeof hooksOf<typeof require.settings>>[1]

function decide(
  settings: Settings,
  claims: Record<string, unknown> | null,
  scheme = 'Bearer',
  groups: string[] = [],
): Reply | undefined {
  const exchange = testExchange({ consumer: { id: 'ann', groups, claims } })
  exchange.authentication = { stage: 'jwt', scheme }
  return hooksOf(require, settings).onRequest!(exchange) as Reply | undefined
}

describe('scopes', () => {
  const settings = { scopes: ['orders:read', 'orders:write'] }
  const enough = [
    { scope: 'orders:read orders:write' },
    { scope: 'x orders:write orders:read' },
    { scope: ['orders:read', 'orders:write'] },
    { scp: ['orders:write', 'orders:read'] },
    { scp: 'orders:read orders:write' },
  ]
  for (const claims of enough) {
    test(`${JSON.stringify(claims)} is enough`, () =>
      assert.equal(decide(settings, claims), undefined))
  }
  const lacking = [
    null,
    {},
    { scope: '' },
    { scope: 'orders:read' },
    { scope: 'orders:read xorders:write orders:writes' },
    { scope: 'orders:read', scp: 'orders:write' },
    { scope: 7 },
    { scope: { 'orders:read': true } },
  ]
  for (const claims of lacking) {
    test(`${JSON.stringify(claims)} is not`, () =>
      assert.equal(decide(settings, claims)?.code, 'forbidden'))
  }

  test('that are missing are named in a challenge of the scheme in use (RFC 6750 3.1)', () => {
    const challenge = (scheme: string) =>
      /WWW-Authenticate: (.*)\r\n/.exec(
        decide(settings, { scope: 'orders:read' }, scheme)!.fieldLines,
      )
    const parameters = 'error="insufficient_scope", scope="orders:read orders:write"'
    assert.equal(challenge('Bearer')![1], `Bearer ${parameters}`)
    assert.equal(challenge('DPoP')![1], `DPoP ${parameters}`)
    assert.equal(challenge('Basic'), null)
    const { detail } = JSON.parse(decide(settings, { scope: 'orders:read' })!.body.toString())
    assert.equal(detail, 'The scope "orders:write" is missing.')
  })
})

describe('claims', () => {
  const cases: [settings: Settings, claims: Record<string, unknown> | null, passes: boolean][] = [
    [{ claims: { tenant: 'shop' } }, { tenant: 'shop' }, true],
    [{ claims: { tenant: 'shop' } }, { tenant: 'Shop' }, false],
    [{ claims: { tenant: 'shop' } }, {}, false],
    [{ claims: { tenant: 'shop' } }, null, false],
    [{ claims: { plan: ['pro', 'team'] } }, { plan: 'team' }, true],
    [{ claims: { plan: ['pro', 'team'] } }, { plan: 'free' }, false],
    [{ claims: { roles: 'admin' } }, { roles: ['user', 'admin'] }, true],
    [{ claims: { roles: 'admin' } }, { roles: ['user'] }, false],
    [{ claims: { level: 3, verified: true } }, { level: 3, verified: true }, true],
    [{ claims: { level: 3, verified: true } }, { level: '3', verified: true }, false],
    [{ claims: { constructor: 'x' } }, {}, false],
  ]
  for (const [settings, claims, passes] of cases) {
    test(`${JSON.stringify(settings)} of ${JSON.stringify(claims)}: ${passes}`, () => {
      assert.equal(decide(settings, claims) === undefined, passes)
    })
  }
})

test('an expression that cannot be evaluated refuses, every time', () => {
  const settings = { expression: 'consumer.claims.level >= 3' }
  assert.equal(decide(settings, { level: 3 }), undefined)
  for (const claims of [{ level: 2 }, { level: 'high' }, { level: null }, {}, null]) {
    assert.equal(decide(settings, claims)?.code, 'forbidden', JSON.stringify(claims))
  }
})

test('all that is given must hold', () => {
  const settings = { groups: ['staff'], expression: "request.method == 'GET'", scopes: ['a'] }
  assert.equal(decide(settings, { scope: 'a' }, 'Bearer', ['staff']), undefined)
  assert.equal(decide(settings, { scope: 'a' }, 'Bearer', ['guest'])?.code, 'forbidden')
  assert.equal(decide(settings, { scope: 'b' }, 'Bearer', ['staff'])?.code, 'forbidden')
})

test('whether an expression speaks of the caller', () => {
  assert.ok(mentionsConsumer("'a' in consumer.groups"))
  assert.ok(mentionsConsumer('request.path == \'/x\' && consumer.id != ""'))
  assert.ok(!mentionsConsumer('request.path == \'/consumer\' || request.host == "consumer.test"'))
})

test('something must be required, and it must make sense', () => {
  assert.match(refusals(require, {})[0]!, /nothing is required/)
  assert.equal(refusals(require, { scopes: [] }).length, 1)
  assert.equal(refusals(require, { scopes: ['a b'] }).length, 1)
  assert.throws(() => hooksOf(require, { expression: 'consumer.nam' }), /has no part/)
})
