import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { before, describe, test } from 'node:test'
import { exportSPKI, generateKeyPair } from 'jose'
import { testExchange } from '../../proxy/pipeline/exchange.test-support.ts'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import { hooksOf, refusals, testEnvironment } from '../policy.test-support.ts'
import {
  AUDIENCE,
  challengesOf,
  claimsWith,
  ISSUER,
  NOW,
  outcome,
  rawToken,
  type TestKey,
  testKey,
  token,
} from './jwt.test-support.ts'
import { jwt } from './jwt.ts'

type Settings = Parameters<typeof hooksOf<typeof jwt.settings>>[1]

const SECRET = 's'.repeat(64)
const hs256 = {
  alg: 'HS256',
  kid: 'shared',
  privateKey: new TextEncoder().encode(SECRET),
}
const BASE = { issuer: ISSUER, audience: AUDIENCE } as const

let rs256: TestKey
let es256: TestKey
before(async () => {
  rs256 = await testKey('RS256', 'rsa')
  es256 = await testKey('ES256', 'ec')
})

function bearing(text: string, fields: readonly string[] = []): Exchange {
  return testExchange({ fields: [`Authorization: Bearer ${text}`, ...fields] })
}

function decide(settings: Settings, exchange: Exchange, environment = testEnvironment()): unknown {
  return hooksOf(jwt, settings, environment).onRequest!(exchange)
}

describe('a valid token', () => {
  const algorithms = [
    ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
    ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
  ]
  for (const alg of algorithms) {
    test(`passes with ${alg}`, async () => {
      const key = await testKey(alg, 'k')
      const exchange = bearing(await token(key, { groups: ['staff', 'admins'] }))
      assert.equal(
        decide({ ...BASE, keys: JSON.stringify({ keys: [key.jwk] }) }, exchange),
        undefined,
      )
      assert.equal(exchange.consumer?.id, 'ada')
      assert.deepEqual(exchange.consumer.groups, ['staff', 'admins'])
      assert.equal(exchange.consumer.claims?.iss, ISSUER)
      assert.deepEqual(exchange.authentication, { stage: 'stage', scheme: 'Bearer' })
    })
  }

  for (const alg of ['HS256', 'HS384', 'HS512']) {
    test(`passes with ${alg}`, async () => {
      const exchange = bearing(await token({ ...hs256, alg }))
      assert.equal(decide({ ...BASE, secret: SECRET }, exchange), undefined)
      assert.equal(exchange.consumer?.id, 'ada')
    })
  }

  test('passes with Ed448 under either name, and never as Ed25519', () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed448')
    const jwk = JSON.stringify({ ...publicKey.export({ format: 'jwk' }), kid: 'k' })
    const pem = publicKey.export({ type: 'spki', format: 'pem' })
    for (const keys of [jwk, pem]) {
      const answer = (alg: string) => {
        const made = rawToken({ alg, kid: 'k' }, claimsWith(), privateKey, null)
        return outcome(decide({ ...BASE, keys }, bearing(made)))
      }
      assert.equal(answer('EdDSA'), 'passes')
      assert.equal(answer('Ed448'), 'passes')
      assert.equal(answer('Ed25519'), 'token_invalid: algorithm_refused')
    }
  })

  test('passes with a key from PEM, whatever it calls its key', async () => {
    const { publicKey, privateKey } = await generateKeyPair('EdDSA', { extractable: true })
    const keys = [await exportSPKI(publicKey)]
    const good = await token({ alg: 'EdDSA', kid: 'any', privateKey })
    assert.equal(decide({ ...BASE, keys }, bearing(good)), undefined)
  })

  test('comes from where it is looked for, and from nowhere else', async () => {
    const good = await token(hs256)
    const settings = { ...BASE, secret: SECRET }
    const inCookie = testExchange({ fields: [`Cookie: a=1; session=${good}; b=2`] })
    const inHeader = testExchange({ fields: [`X-Token: ${good}`] })
    const inAuthorization = testExchange({ fields: [`authorization: bEARER ${good}`] })
    const from = { cookie: 'session' }
    assert.equal(decide(settings, inAuthorization), undefined)
    assert.equal(decide({ ...settings, from }, inCookie), undefined)
    assert.equal(decide({ ...settings, from: { header: 'X-Token' } }, inHeader), undefined)
    assert.equal(outcome(decide(settings, inCookie)), 'token_missing')
    assert.equal(outcome(decide({ ...settings, from }, inAuthorization)), 'token_missing')
  })

  test('is kept from the service when told to, and only the token', async () => {
    const good = await token(hs256)
    const settings = { ...BASE, secret: SECRET, strip: true }
    const cookies = testExchange({ fields: [`Cookie: a=1; session=${good}; b=2`] })
    decide({ ...settings, from: { cookie: 'session' } }, cookies)
    assert.equal(cookies.requestHeader('cookie'), 'a=1; b=2')
    const authorization = bearing(good)
    decide(settings, authorization)
    assert.equal(authorization.requestHeader('authorization'), null)
    const kept = bearing(good)
    decide({ ...settings, strip: false }, kept)
    assert.equal(kept.requestHeader('authorization'), `Bearer ${good}`)
  })

  test('tells the service what it says, the first time and when it is remembered', async () => {
    const forward = {
      'X-User': 'sub',
      'x-roles': '/realm/roles',
      'x-name': 'name',
      'x-none': 'none',
    }
    const hooks = hooksOf(jwt, { ...BASE, secret: SECRET, forward })
    const claims = { realm: { roles: ['a', 'b,admin', 'c', 7] }, name: 'Ada Zażółć' }
    const good = await token(hs256, claims)
    for (const _ of [1, 2]) {
      const exchange = bearing(good)
      assert.equal(hooks.onRequest!(exchange), undefined)
      assert.equal(exchange.requestHeader('x-user'), 'ada')
      assert.equal(exchange.requestHeader('x-roles'), 'a,c,7')
      assert.equal(exchange.requestHeader('x-name'), Buffer.from('Ada Zażółć').toString('latin1'))
      assert.equal(exchange.requestHeader('x-none'), null)
    }
    assert.deepEqual(
      jwt.identityHeaders!(jwt.settings.parse({ ...BASE, forward })),
      Object.keys(forward),
    )
  })

  test('that cannot be a header value is not forwarded as one', async () => {
    const settings = { ...BASE, secret: SECRET, forward: { 'x-name': 'name' } }
    const exchange = bearing(await token(hs256, { name: 'a\r\nX-Admin: 1' }))
    assert.equal(decide(settings, exchange), undefined)
    assert.equal(exchange.requestHeader('x-name'), null)
  })

  test('may name the caller in a claim of another name', async () => {
    const exchange = bearing(await token(hs256, { 'https://a.example/id': 'bob', g: 'one' }))
    const consumer = { id: 'https://a.example/id', groups: 'g' }
    assert.equal(decide({ ...BASE, secret: SECRET, consumer }, exchange), undefined)
    assert.equal(exchange.consumer?.id, 'bob')
    assert.deepEqual(exchange.consumer.groups, ['one'])
  })
})

describe('without a token', () => {
  test('the challenge names no error, but where to get one', () => {
    const resourceMetadata = 'https://api.example/.well-known/oauth-protected-resource'
    const settings = { ...BASE, secret: SECRET, realm: 'the "shop"', resourceMetadata }
    const reply = decide(settings, testExchange())
    assert.equal(outcome(reply), 'token_missing')
    assert.deepEqual(challengesOf(reply), [
      `Bearer realm="the \\"shop\\"", resource_metadata="${resourceMetadata}"`,
    ])
  })

  test('another scheme is no token', () => {
    const exchange = testExchange({ fields: ['Authorization: Basic YTpi'] })
    assert.equal(outcome(decide({ ...BASE, secret: SECRET }, exchange)), 'token_missing')
  })

  test('a request goes on where tokens are optional, but never with a bad one', () => {
    const settings = { ...BASE, secret: SECRET, optional: true }
    const exchange = testExchange()
    assert.equal(decide(settings, exchange), undefined)
    assert.equal(exchange.consumer, null)
    assert.equal(exchange.authentication, null)
    assert.equal(outcome(decide(settings, bearing('no'))), 'token_invalid: malformed')
  })
})

describe('a refused token', () => {
  test('says why, in the problem and in the challenge', async () => {
    const reply = decide({ ...BASE, secret: SECRET }, bearing(await token(hs256, { exp: NOW - 6 })))
    assert.equal(outcome(reply), 'token_invalid: expired')
    assert.deepEqual(challengesOf(reply), [
      'Bearer error="invalid_token", error_description="The token has expired."',
    ])
  })

  const claims: readonly (readonly [string, Record<string, unknown>, string])[] = [
    ['expires within the tolerance', { exp: NOW - 4 }, 'passes'],
    ['expired', { exp: NOW - 5 }, 'expired'],
    ['begins within the tolerance', { nbf: NOW + 5 }, 'passes'],
    ['has not begun', { nbf: NOW + 6 }, 'not_yet_valid'],
    ['never expires', { exp: undefined }, 'missing_claim'],
    ['expires at a text', { exp: '1900000000' }, 'malformed_claim'],
    ['comes from nobody', { iss: undefined }, 'missing_claim'],
    ['comes from elsewhere', { iss: 'https://id.example' }, 'wrong_issuer'],
    ['is for nobody', { aud: undefined }, 'missing_claim'],
    ['is for others', { aud: ['shop2', 'other'] }, 'wrong_audience'],
    ['is for several', { aud: ['other', 'shop'] }, 'passes'],
    ['is for a number', { aud: 7 }, 'malformed_claim'],
    ['names nobody', { sub: undefined }, 'no_subject'],
    ['names a number', { sub: 7 }, 'malformed_claim'],
    ['is bound to a certificate', { cnf: { 'x5t#S256': 'abc' } }, 'bound_elsewhere'],
    ['is bound to a key', { cnf: { jkt: 'abc' } }, 'proof_missing'],
  ]
  for (const [what, changes, reason] of claims) {
    test(`when it ${what}: ${reason}`, () => {
      const text = rawToken({ alg: 'HS256' }, claimsWith(changes), SECRET)
      const expected = reason === 'passes' ? reason : `token_invalid: ${reason}`
      assert.equal(outcome(decide({ ...BASE, secret: SECRET }, bearing(text))), expected)
    })
  }

  test('unchecked claims may be missing, and an end that is there counts', () => {
    const settings: Settings = { secret: SECRET, unchecked: ['exp', 'iss', 'aud'] }
    const bare = rawToken({ alg: 'HS256' }, { sub: 'ada' }, SECRET)
    assert.equal(outcome(decide(settings, bearing(bare))), 'passes')
    const ended = rawToken({ alg: 'HS256' }, { sub: 'ada', exp: NOW - 10 }, SECRET)
    assert.equal(outcome(decide(settings, bearing(ended))), 'token_invalid: expired')
  })

  test('of another type, where one is asked for', () => {
    const of = (typ: string | undefined, type?: string, changes = {}) => {
      const text = rawToken({ alg: 'HS256', typ }, claimsWith(changes), SECRET)
      const asked = type === undefined ? {} : { type }
      return outcome(decide({ ...BASE, secret: SECRET, ...asked }, bearing(text)))
    }
    assert.equal(of(undefined), 'passes')
    assert.equal(of('application/AT+jwt'), 'passes')
    assert.equal(of('dpop+jwt'), 'token_invalid: wrong_type')
    assert.equal(of('JWT', 'at+jwt'), 'token_invalid: wrong_type')
    assert.equal(of(undefined, 'at+jwt'), 'token_invalid: wrong_type')
    assert.equal(of('at+jwt', 'at+jwt'), 'token_invalid: missing_claim')
    assert.equal(of('at+jwt', 'at+jwt', { client_id: 'web', jti: '1' }), 'passes')
    assert.equal(of('secevent+jwt', 'secevent+jwt'), 'passes')
  })

  test('and another in a second field or cookie, of which none is picked', async () => {
    const good = await token(hs256)
    const settings = { ...BASE, secret: SECRET }
    const reason = 'token_invalid: repeated'
    assert.equal(outcome(decide(settings, bearing(good, ['Authorization: Basic YTpi']))), reason)
    assert.equal(
      outcome(decide(settings, bearing(good, [`authorization: Bearer ${good}`]))),
      reason,
    )
    const joined = testExchange({ fields: [`Authorization: Bearer ${good}, Bearer ${good}`] })
    assert.equal(outcome(decide(settings, joined)), 'token_invalid: malformed')
    const cookies = testExchange({ fields: [`Cookie: t=${good}`, `Cookie: t=${good}`] })
    assert.equal(outcome(decide({ ...settings, from: { cookie: 't' } }, cookies)), reason)
    const headers = testExchange({ fields: [`X-T: ${good}`, `x-t: ${good}`] })
    assert.equal(outcome(decide({ ...settings, from: { header: 'x-t' } }, headers)), reason)
  })

  test('counts against its address, unless it was merely late or misplaced', async () => {
    let failures = 0
    const failedAttempts = {
      mayTry: (bounds: { perAddress: number }) => failures < bounds.perAddress,
      failed: () => failures++,
    }
    const environment = testEnvironment({ failedAttempts })
    const failing = { perAddress: 2 }
    const hooks = hooksOf(jwt, { ...BASE, secret: SECRET, failures: failing }, environment)
    const good = await token(hs256)
    const remembered = await token(hs256, { sub: 'bob' })
    assert.equal(hooks.onRequest!(bearing(remembered)), undefined)
    for (const changes of [{ exp: NOW - 60 }, { aud: 'other' }, { iss: 'other' }]) {
      hooks.onRequest!(bearing(await token(hs256, changes)))
    }
    assert.equal(failures, 0)
    hooks.onRequest!(testExchange())
    assert.equal(failures, 0)
    const forged = { ...hs256, privateKey: new TextEncoder().encode('t'.repeat(64)) }
    assert.equal(
      outcome(hooks.onRequest!(bearing(await token(forged)))),
      'token_invalid: bad_signature',
    )
    hooks.onRequest!(bearing(await token(forged, { sub: 'eve' })))
    assert.equal(outcome(hooks.onRequest!(bearing(good))), 'too_many_failures')
    // Who was let in before stays in.
    assert.equal(hooks.onRequest!(bearing(remembered)), undefined)
  })
})

describe('a remembered token', () => {
  test('ends on time', async () => {
    const environment = testEnvironment()
    const hooks = hooksOf(jwt, { ...BASE, secret: SECRET, tolerance: '0ms' }, environment)
    const good = await token(hs256, { exp: NOW + 10 })
    assert.equal(hooks.onRequest!(bearing(good)), undefined)
    environment.clock.advance(9_999)
    assert.equal(hooks.onRequest!(bearing(good)), undefined)
    environment.clock.advance(1)
    for (const _ of [1, 2]) {
      assert.equal(outcome(hooks.onRequest!(bearing(good))), 'token_invalid: expired')
    }
  })

  test('is decided at once, and survives a new snapshot of the same settings', async () => {
    const environment = testEnvironment({
      failedAttempts: { mayTry: () => ++attempts < 100, failed() {} },
    })
    let attempts = 0
    const settings = { ...BASE, keys: JSON.stringify(rs256.jwk) }
    const good = await token(rs256)
    assert.equal(hooksOf(jwt, settings, environment).onRequest!(bearing(good)), undefined)
    assert.equal(attempts, 1)
    assert.equal(hooksOf(jwt, settings, environment).onRequest!(bearing(good)), undefined)
    assert.equal(attempts, 1)
    const other = hooksOf(jwt, { ...settings, audience: 'other' }, environment)
    assert.equal(outcome(other.onRequest!(bearing(good))), 'token_invalid: wrong_audience')
    environment.dispose()
  })
})

describe('keys', () => {
  test('allow only the algorithms that are made for them', async () => {
    const both = JSON.stringify({ keys: [rs256.jwk, es256.jwk] })
    const settings: Settings = { ...BASE, keys: both, algorithms: ['ES256'] }
    assert.equal(outcome(decide(settings, bearing(await token(es256)))), 'passes')
    assert.equal(
      outcome(decide(settings, bearing(await token(rs256)))),
      'token_invalid: algorithm_refused',
    )
    const crossed = await token({ ...es256, kid: 'rsa' })
    assert.equal(
      outcome(decide({ ...BASE, keys: both }, bearing(crossed))),
      'token_invalid: algorithm_refused',
    )
  })

  test('are tried in turn for a token that names none', async () => {
    const others = await Promise.all(['a', 'b'].map((kid) => testKey('ES256', kid)))
    const keys = JSON.stringify({ keys: [...others.map(({ jwk }) => jwk), es256.jwk] })
    const nameless = await token(es256, {}, { kid: undefined })
    assert.equal(outcome(decide({ ...BASE, keys }, bearing(nameless))), 'passes')
    const unknown = await token(es256, {}, { kid: 'x' })
    assert.equal(outcome(decide({ ...BASE, keys }, bearing(unknown))), 'token_invalid: unknown_key')
  })
})

test('settings that would let in too much, or nobody, are refused', async () => {
  const secret = SECRET
  const keys = JSON.stringify(rs256.jwk)
  const weak = await testKey('RS256', 'weak')
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [{ audience: 'a', secret }, /^issuer: say who issues/],
    [{ issuer: 'a', secret }, /^audience: say whom tokens are for/],
    [{ ...BASE, secret, keys }, /^jwks: give one of/],
    [{ ...BASE, secret: 'short' }, /^secret: HS256 needs a secret of 32 bytes/],
    [{ ...BASE, keys, algorithms: ['HS256'] }, /^keys: key 1: none of the algorithms/],
    [{ ...BASE, keys, algorithms: ['none'] }, /algorithms/],
    [{ ...BASE, jwks: 'http://id.example/keys' }, /^jwks: .*use https/],
    [{ ...BASE, jwks: 'https://a:b@id.example/' }, /^jwks: .*no user/],
    [{ ...BASE, issuer: 'not a url' }, /^issuer: expected a URL/],
    [{ ...BASE, issuer: ['https://a/', 'https://b/'] }, /^jwks: only one issuer/],
    [{ ...BASE, keys: 'text' }, /^keys: key 1: expected PEM, a JWK or a JWK set/],
    [{ ...BASE, keys: JSON.stringify({ ...weak.jwk, n: 'AQAB' }) }, /^keys: key 1: none of/],
    [{ ...BASE, secret, forward: { authorization: 'sub' } }, /^forward.authorization: /],
    [{ ...BASE, secret, from: { header: 'host' } }, /from/],
    [{ ...BASE, secret, unchecked: ['aud'] }, /^unchecked: with an `audience`/],
  ]
  for (const [settings, problem] of cases) {
    assert.match(refusals(jwt, settings).join('\n'), problem, JSON.stringify(settings))
  }
  const d = 'AAAA'
  const text = refusals(jwt, { ...BASE, keys: JSON.stringify({ ...rs256.jwk, d }) }).join()
  assert.match(text, /private key/)
})
