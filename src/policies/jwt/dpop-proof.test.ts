import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync } from 'node:crypto'
import { before, describe, test } from 'node:test'
import { calculateJwkThumbprint, SignJWT } from 'jose'
import { testExchange } from '../../proxy/pipeline/exchange.test-support.ts'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import { INERT_STORE } from '../../proxy/pipeline/inert-environment.ts'
import type { Reply } from '../../proxy/pipeline/reply.ts'
import { hooksOf, testEnvironment } from '../policy.test-support.ts'
import { thumbprintOf } from './dpop-proof.ts'
import {
  AUDIENCE,
  challengesOf,
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

let issuer: TestKey
let holder: TestKey
let thief: TestKey
let bound: string
let unbound: string
let settings: Settings

before(async () => {
  issuer = await testKey('ES256', 'issuer')
  holder = await testKey('ES256', 'holder')
  thief = await testKey('ES256', 'thief')
  bound = await token(issuer, { cnf: { jkt: await calculateJwkThumbprint(holder.jwk) } })
  unbound = await token(issuer)
  settings = {
    issuer: ISSUER,
    audience: AUDIENCE,
    keys: JSON.stringify(issuer.jwk),
    dpop: 'required',
  }
})

function athOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}

interface ProofParts {
  readonly claims?: Record<string, unknown>
  readonly header?: Record<string, unknown>
  readonly key?: TestKey
  /** Whose public key the proof shows; default: the one that signs. */
  readonly shows?: TestKey
}

function publicPart({ jwk }: TestKey): Record<string, unknown> {
  const { kty, crv, x, y, e, n } = jwk
  return JSON.parse(JSON.stringify({ kty, crv, x, y, e, n }))
}

let serial = 0
function proof({ claims = {}, header = {}, key = holder, shows = key }: ProofParts = {}) {
  const jti = `proof-${serial++}`
  const htu = 'https://shop.example/orders'
  return new SignJWT({ jti, htm: 'GET', htu, iat: NOW, ath: athOf(bound), ...claims })
    .setProtectedHeader({
      alg: key.alg,
      typ: 'dpop+jwt',
      jwk: publicPart(shows) as never,
      ...header,
    })
    .sign(key.privateKey)
}

function request(made: string, scheme = 'DPoP', text = bound, parts = {}): Exchange {
  const fields = [`Authorization: ${scheme} ${text}`, ...(made === '' ? [] : [`DPoP: ${made}`])]
  return testExchange({ fields, target: '/orders?page=2', scheme: 'https', ...parts })
}

/** Decisions of one stage over a store that claims once. */
function stage(changes: Partial<Settings> = {}, store = new Set<string>()) {
  const environment = testEnvironment({
    store: {
      ...INERT_STORE,
      claim: (key) => !store.has(key) && store.add(key) !== null,
    },
  })
  const hooks = hooksOf(jwt, { ...settings, ...changes }, environment)
  return (exchange: Exchange) => outcome(hooks.onRequest!(exchange))
}

describe('a proof', () => {
  test('lets in the holder of the key, as such', async () => {
    const exchange = request(await proof())
    assert.equal(stage()(exchange), 'passes')
    assert.deepEqual(exchange.authentication, { stage: 'stage', scheme: 'DPoP' })
    assert.equal(exchange.consumer?.id, 'ada')
  })

  test('may be made with any algorithm that has a public key', async () => {
    for (const alg of ['RS256', 'PS256', 'EdDSA', 'ES512']) {
      const key = await testKey(alg, 'k')
      const jkt = await calculateJwkThumbprint(key.jwk)
      assert.equal(thumbprintOf(key.jwk as Record<string, unknown>), jkt)
      const text = await token(issuer, { cnf: { jkt } })
      const made = await proof({ key, claims: { ath: athOf(text) } })
      assert.equal(stage()(request(made, 'DPoP', text)), 'passes')
    }
  })

  test('may be made with Ed448', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed448')
    const jwk = publicKey.export({ format: 'jwk' })
    const jkt = thumbprintOf(jwk as Record<string, unknown>)
    const text = await token(issuer, { cnf: { jkt } })
    const claims = { jti: 'ed448', htm: 'GET', htu: 'https://shop.example/orders', iat: NOW }
    for (const alg of ['EdDSA', 'Ed448']) {
      const header = { alg, typ: 'dpop+jwt', jwk }
      const made = rawToken(header, { ...claims, ath: athOf(text) }, privateKey, null)
      assert.equal(stage()(request(made, 'DPoP', text)), 'passes')
    }
  })

  test('counts once, over all stages that share a store', async () => {
    const store = new Set<string>()
    const made = await proof()
    assert.equal(stage({}, store)(request(made)), 'passes')
    assert.equal(stage({}, store)(request(made)), 'token_invalid: proof_replayed')
    assert.equal(stage({}, store)(request(await proof())), 'passes')
  })

  test('is refused when the store has no room, or answers so later', async () => {
    const full = testEnvironment({ store: { ...INERT_STORE, claim: () => false } })
    const made = await proof()
    const decide = hooksOf(jwt, settings, full)
    assert.equal(outcome(decide.onRequest!(request(made))), 'token_invalid: proof_replayed')
    const later = testEnvironment({ store: { ...INERT_STORE, claim: async () => false } })
    const verdict = await hooksOf(jwt, settings, later).onRequest!(request(made))
    assert.equal(outcome(verdict), 'token_invalid: proof_replayed')
  })

  test('is compared with the origin that clients see, if one is given', async () => {
    const decide = stage({ origin: 'https://api.example' })
    const made = await proof({ claims: { htu: 'HTTPS://API.example:443/orders#x' } })
    assert.equal(decide(request(made, 'DPoP', bound, { scheme: 'http' })), 'passes')
    assert.equal(decide(request(await proof())), 'token_invalid: proof_request')
  })

  test('of whoever stole the token is refused, each trick with its reason', async () => {
    const cases: readonly (readonly [string, ProofParts, string])[] = [
      ['own key', { key: thief }, 'proof_key'],
      ["own key under the holder's", { key: thief, shows: holder }, 'proof_signature'],
      ['another method', { claims: { htm: 'POST' } }, 'proof_request'],
      ['another path', { claims: { htu: 'https://shop.example/other' } }, 'proof_request'],
      ['another host', { claims: { htu: 'https://evil.example/orders' } }, 'proof_request'],
      ['another scheme', { claims: { htu: 'http://shop.example/orders' } }, 'proof_request'],
      ['no URL', { claims: { htu: '/orders' } }, 'proof_request'],
      ['another token', { claims: { ath: athOf('other') } }, 'proof_token'],
      ['no token', { claims: { ath: undefined } }, 'proof_token'],
      ['too old', { claims: { iat: NOW - 66 } }, 'proof_time'],
      ['from the future', { claims: { iat: NOW + 6 } }, 'proof_time'],
      ['no time', { claims: { iat: undefined } }, 'proof_malformed'],
      ['no name', { claims: { jti: undefined } }, 'proof_malformed'],
      ['no key', { header: { jwk: undefined } }, 'proof_malformed'],
      ['the private key in it', { header: { jwk: { d: 'x' } } }, 'proof_malformed'],
      ['an access token', { header: { typ: 'at+jwt' } }, 'proof_malformed'],
      ['a critical extension', { header: { crit: ['b64'], b64: true } }, 'proof_malformed'],
    ]
    for (const [what, parts, reason] of cases) {
      const made = await proof(parts)
      assert.equal(stage()(request(made)), `token_invalid: ${reason}`, what)
    }
  })

  test('that cannot be read, or of which there are two, is refused', async () => {
    const made = await proof()
    for (const text of ['x', 'a.b.c', `${made}, ${made}`, made.slice(0, -4), 'x'.repeat(9_000)]) {
      assert.match(stage()(request(text)), /^token_invalid: proof_(malformed|signature)$/)
    }
  })
})

describe('a bound token', () => {
  test('is worth nothing as a bearer token, whatever the setting', async () => {
    for (const dpop of ['required', 'optional'] as const) {
      assert.equal(stage({ dpop })(request('', 'DPoP')), 'token_invalid: proof_missing')
      assert.equal(
        stage({ dpop })(request(await proof(), 'Bearer')),
        'token_invalid: proof_missing',
      )
    }
    assert.equal(stage({ dpop: 'off' })(request('', 'Bearer')), 'token_invalid: proof_missing')
    assert.equal(stage({ dpop: 'off' })(request(await proof())), 'token_missing')
  })

  test('from a cookie needs its proof as well', async () => {
    const decide = stage({ from: { cookie: 't' } })
    const of = (fields: readonly string[]) =>
      decide(
        testExchange({
          fields: [`Cookie: t=${bound}`, ...fields],
          target: '/orders',
          scheme: 'https',
        }),
      )
    assert.equal(of([`DPoP: ${await proof()}`]), 'passes')
    assert.equal(of([]), 'token_invalid: proof_missing')
  })
})

test('a token that is not bound passes only where proofs are optional, and only as Bearer', async () => {
  assert.equal(stage()(request('', 'Bearer', unbound)), 'token_invalid: not_bound')
  const decide = stage({ dpop: 'optional' })
  assert.equal(decide(request('', 'Bearer', unbound)), 'passes')
  assert.equal(decide(request(await proof(), 'DPoP', unbound)), 'token_invalid: not_bound')
})

describe('a nonce', () => {
  const first = { secret: 'a secret of no less than 32 characters' }
  const PERIOD_MS = 60_000

  function withNonces(made: { secret: string | string[] } = first) {
    const dpopNonce = { ...made, lifetime: '1m' }
    const environment = testEnvironment({ store: { ...INERT_STORE, claim: () => true } })
    const hooks = hooksOf(jwt, { ...settings, dpopNonce }, environment)
    /** Asks with a proof that holds it; the nonce that the answer brings. */
    const ask = async (nonce: string | undefined) => {
      const iat = environment.clock.wallTime() / 1_000
      const exchange = request(await proof({ claims: { nonce, iat } }))
      const verdict = hooks.onRequest!(exchange)
      hooks.onResponse!(exchange)
      return { result: outcome(verdict), verdict, nonce: nonceIn(verdict, exchange) }
    }
    return { ask, clock: environment.clock }
  }

  function nonceIn(verdict: unknown, exchange: Exchange): string | null {
    const text =
      verdict === undefined
        ? (exchange.responseEdits?.lines() ?? '')
        : (verdict as Reply).fieldLines
    const found = /^DPoP-Nonce: (.*)\r$/m.exec(text)?.[1] ?? null
    if (found !== null) assert.match(text, /^Cache-Control: no-store\r$/m)
    return found
  }

  test('is demanded with the answer that brings it, and that counts as no failure', async () => {
    const { ask } = withNonces()
    const nonces = new Set<string | null>()
    for (let turn = 0; turn < 30; turn++) {
      const { result, verdict, nonce } = await ask(turn === 0 ? undefined : `made-up-${turn}`)
      assert.equal(result, 'token_invalid: proof_nonce')
      assert.match(challengesOf(verdict)[0]!, /^DPoP error="use_dpop_nonce", /)
      nonces.add(nonce)
    }
    const [nonce] = nonces
    assert.equal(nonces.size, 1)
    const { result, nonce: none } = await ask(nonce!)
    assert.equal(result, 'passes')
    assert.equal(none, null, 'a client hears of a nonce only when it needs one')
  })

  test('is followed by another while it is still good', async () => {
    const { ask, clock } = withNonces()
    const { nonce } = await ask(undefined)
    clock.advance(PERIOD_MS)
    const { result, nonce: next } = await ask(nonce!)
    assert.equal(result, 'passes')
    assert.notEqual(next, nonce)
    assert.deepEqual(await ask(next!), { result: 'passes', verdict: undefined, nonce: null })
    clock.advance(PERIOD_MS)
    assert.equal((await ask(next!)).result, 'passes')
    assert.equal((await ask(nonce!)).result, 'token_invalid: proof_nonce')
  })

  test('is known to other gateways, and through a change of the secret', async () => {
    const { nonce } = await withNonces().ask(undefined)
    assert.equal((await withNonces().ask(nonce!)).result, 'passes')
    const second = 'another secret of more than 32 characters'
    const changing = withNonces({ secret: [second, first.secret] })
    const kept = await changing.ask(nonce!)
    assert.equal(kept.result, 'passes')
    assert.equal((await withNonces({ secret: second }).ask(kept.nonce!)).result, 'passes')
    assert.equal(
      (await withNonces({ secret: second }).ask(nonce!)).result,
      'token_invalid: proof_nonce',
    )
  })
})

test('challenges name the schemes that are taken', async () => {
  const challenges = (dpop: 'optional' | 'required', exchange: Exchange) =>
    challengesOf(hooksOf(jwt, { ...settings, dpop }).onRequest!(exchange))
  const [bearer, dpop] = challenges('optional', testExchange())
  assert.equal(bearer, 'Bearer')
  assert.match(dpop!, /^DPoP algs="RS256 .*EdDSA.*"$/)
  const [only, ...none] = challenges('required', request(''))
  assert.match(only!, /^DPoP error="invalid_dpop_proof", error_description="[^"]+", algs="/)
  assert.deepEqual(none, [])
})
