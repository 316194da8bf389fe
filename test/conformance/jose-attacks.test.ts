// What is known to be tried against verifiers of JSON Web Tokens, each refused with its own reason.
// The gateway's policy holds a public RSA and a public EC key; `steal` makes what an attacker could.
import assert from 'node:assert/strict'
import {
  createHmac,
  generateKeyPairSync,
  type JsonWebKeyInput,
  type KeyObject,
  sign,
} from 'node:crypto'
import { test } from 'node:test'
import {
  AUDIENCE,
  claimsWith,
  encoded,
  ISSUER,
  NOW,
  outcome,
  rawToken,
} from '../../src/policies/jwt/jwt.test-support.ts'
import { jwt } from '../../src/policies/jwt/jwt.ts'
import type { Refusal } from '../../src/policies/jwt/refusal.ts'
import { hooksOf } from '../../src/policies/policy.test-support.ts'
import { testExchange } from '../../src/proxy/pipeline/exchange.test-support.ts'

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const attacker = generateKeyPairSync('rsa', { modulusLength: 2048 })
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' })
const k256 = generateKeyPairSync('ec', { namedCurve: 'secp256k1' })
const rsaPem = rsa.publicKey.export({ type: 'spki', format: 'pem' }) as string
const rsaJwk = rsa.publicKey.export({ format: 'jwk' })
const attackerJwk = attacker.publicKey.export({ format: 'jwk' })

const keys = JSON.stringify({
  keys: [
    { ...rsaJwk, kid: 'rsa' },
    { ...ec.publicKey.export({ format: 'jwk' }), kid: 'ec' },
  ],
})
const hooks = hooksOf(jwt, { issuer: ISSUER, audience: AUDIENCE, keys, failures: false })

function decide(token: string): string {
  const exchange = testExchange({ fields: [`Authorization: Bearer ${token}`] })
  const verdict = outcome(hooks.onRequest!(exchange))
  if (verdict !== 'passes') {
    assert.equal(exchange.consumer, null)
    assert.equal(exchange.authentication, null)
  }
  return verdict
}

/** A token of the issuer. */
function issued(claims: unknown = claimsWith(), header: object = {}): string {
  return rawToken({ alg: 'RS256', kid: 'rsa', ...header }, claims, rsa.privateKey)
}

/** A token that the attacker signs. */
function forged(header: object, key: KeyObject | string = attacker.privateKey): string {
  return rawToken({ alg: 'RS256', kid: 'rsa', ...header }, claimsWith({ sub: 'admin' }), key)
}

/** The issuer's header and claims, or others, with any signature. */
function withSignature(signature: Buffer, header: object): string {
  return `${encoded(header)}.${encoded(claimsWith())}.${signature.toString('base64url')}`
}

function ecSignature(key: KeyObject, dsaEncoding: 'der' | 'ieee-p1363', header: object): string {
  const data = `${encoded(header)}.${encoded(claimsWith())}`
  const signature = sign('sha256', Buffer.from(data), { key, dsaEncoding })
  return `${data}.${signature.toString('base64url')}`
}

const good = issued()
const [goodHeader, goodClaims, goodSignature] = good.split('.') as [string, string, string]
const es256 = { alg: 'ES256', kid: 'ec' }

const ATTACKS: readonly (readonly [what: string, token: string, reason: Refusal])[] = [
  // The algorithm is the attacker's.
  ['no signature', `${encoded({ alg: 'none' })}.${goodClaims}.`, 'unsigned'],
  ['no signature, Capital', `${encoded({ alg: 'None' })}.${goodClaims}.`, 'unsigned'],
  ['no signature, CAPITALS', `${encoded({ alg: 'NONE' })}.${goodClaims}.`, 'unsigned'],
  ['no signature, mIxed, with one', `${encoded({ alg: 'nOnE' })}.${goodClaims}.AA`, 'unsigned'],
  ['HMAC with the PEM of the public key', forged({ alg: 'HS256' }, rsaPem), 'algorithm_refused'],
  ['the same without line end', forged({ alg: 'HS256' }, rsaPem.trim()), 'algorithm_refused'],
  ['HMAC with the modulus', forged({ alg: 'HS256' }, rsaJwk.n!), 'algorithm_refused'],
  ['HMAC with the JWK', forged({ alg: 'HS256' }, JSON.stringify(rsaJwk)), 'algorithm_refused'],
  ['HMAC with nothing', forged({ alg: 'HS256' }, ''), 'algorithm_refused'],
  ['an algorithm in lower case', issued(claimsWith(), { alg: 'rs256' }), 'algorithm_refused'],
  ['an algorithm with a space', issued(claimsWith(), { alg: 'RS256 ' }), 'algorithm_refused'],
  ['an algorithm of an object', issued(claimsWith(), { alg: 'constructor' }), 'algorithm_refused'],
  ['a list of algorithms', issued(claimsWith(), { alg: ['RS256'] }), 'malformed'],
  ['no algorithm', issued(claimsWith(), { alg: undefined }), 'malformed'],
  ['RSA with the EC key', issued(claimsWith(), { kid: 'ec' }), 'algorithm_refused'],
  ['PSS for what is not', issued(claimsWith(), { alg: 'PS256' }), 'bad_signature'],
  ['SHA-512 for SHA-256', issued(claimsWith(), { alg: 'RS512' }), 'bad_signature'],
  ['another curve', ecSignature(p384.privateKey, 'ieee-p1363', es256), 'bad_signature'],
  ['a curve of blockchains', ecSignature(k256.privateKey, 'ieee-p1363', es256), 'bad_signature'],
  [
    'ES256K',
    ecSignature(k256.privateKey, 'ieee-p1363', { ...es256, alg: 'ES256K' }),
    'algorithm_refused',
  ],

  // The key is the attacker's.
  ['own key', forged({}), 'bad_signature'],
  ['own key, unnamed', forged({ kid: undefined }), 'bad_signature'],
  ['own key within (jwk)', forged({ jwk: attackerJwk }), 'foreign_key'],
  ['own key within, unnamed', forged({ kid: undefined, jwk: attackerJwk }), 'foreign_key'],
  ['own key by address (jku)', forged({ kid: 'mine', jku: 'http://127.0.0.1/k' }), 'foreign_key'],
  ['own certificate by address (x5u)', forged({ x5u: 'https://evil.example/' }), 'foreign_key'],
  ['own certificate within (x5c)', forged({ kid: 'mine', x5c: ['MIIB'] }), 'foreign_key'],
  ['a path as the name of the key', forged({ kid: '../../../../dev/null' }), 'unknown_key'],
  ['SQL as the name of the key', forged({ kid: "x' UNION SELECT 'k" }), 'unknown_key'],
  ['a member of every object as name', forged({ kid: '__proto__' }), 'unknown_key'],
  ['a name that is no text', forged({ kid: { $ne: null } }), 'malformed'],

  // The signature.
  ['none', `${goodHeader}.${goodClaims}.`, 'bad_signature'],
  ['none, nor its dot', `${goodHeader}.${goodClaims}`, 'malformed'],
  ['cut', `${goodHeader}.${goodClaims}.${goodSignature.slice(0, 340)}`, 'bad_signature'],
  [
    'of another token',
    `${goodHeader}.${encoded(claimsWith({ sub: 'admin' }))}.${goodSignature}`,
    'bad_signature',
  ],
  ['zeros (CVE-2022-21449)', withSignature(Buffer.alloc(64), es256), 'bad_signature'],
  ['as DER', ecSignature(ec.privateKey, 'der', es256), 'bad_signature'],
  ['empty, of EC', withSignature(Buffer.alloc(0), es256), 'bad_signature'],
  [
    'HMAC of an empty key',
    withSignature(createHmac('sha256', '').digest(), es256),
    'bad_signature',
  ],

  // What stands around it.
  [
    'an extension that is demanded',
    issued(claimsWith(), { crit: ['x'], x: 1 }),
    'unknown_critical',
  ],
  ['an empty demand', issued(claimsWith(), { crit: [] }), 'unknown_critical'],
  ['a demand that is no list', issued(claimsWith(), { crit: 'exp' }), 'unknown_critical'],
  [
    'a payload that is not encoded (b64)',
    issued(claimsWith(), { b64: false, crit: ['b64'] }),
    'unknown_critical',
  ],
  ['the same, not demanded', issued(claimsWith(), { b64: false }), 'unknown_critical'],
  ['compression', issued(claimsWith(), { zip: 'DEF' }), 'compressed'],
  ['a token within', issued(claimsWith(), { cty: 'JWT' }), 'nested'],
  ['a token within, spelt out', issued(claimsWith(), { cty: 'application/jwt' }), 'nested'],
  ['encryption', 'eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..AAAA.AAAA.AAAA', 'encrypted'],
  ['a header of encryption', issued(claimsWith(), { enc: 'A128GCM' }), 'encrypted'],
  ['four parts', `${good}.AAAA`, 'malformed'],
  ['six parts', `${good}.A.A.A`, 'malformed'],
  ['JSON for compact form', `{"payload":"${goodClaims}"}`, 'malformed'],
  ['only dots', '..', 'malformed'],
  ['another size', issued(claimsWith({ x: 'x'.repeat(8_192) })), 'too_large'],
  ['a proof of possession', issued(claimsWith(), { typ: 'dpop+jwt' }), 'wrong_type'],
  ['a logout token', issued(claimsWith(), { typ: 'logout+jwt' }), 'wrong_type'],
  ['a type that is no text', issued(claimsWith(), { typ: 7 }), 'malformed'],

  // Its spelling: one token has one.
  ['padding', `${good}==`, 'malformed'],
  [
    'the other alphabet',
    withSignature(Buffer.alloc(0), es256).replace(/\.$/, '.+/+/'),
    'malformed',
  ],
  [
    'unused bits',
    `${goodHeader}.${goodClaims}.${goodSignature.slice(0, -1)}${lastCharacter(goodSignature)}`,
    'malformed',
  ],
  [
    'two algorithms',
    rawToken('{"alg":"none","alg":"RS256","kid":"rsa"}', claimsWith(), rsa.privateKey),
    'duplicate_member',
  ],
  [
    'two algorithms, one escaped',
    rawToken('{"alg":"none","\\u0061lg":"RS256","kid":"rsa"}', claimsWith(), rsa.privateKey),
    'duplicate_member',
  ],
  [
    'two callers',
    issued(`{"sub":"ada","sub":"admin",${JSON.stringify(claimsWith()).slice(1)}`),
    'duplicate_member',
  ],
  [
    'two of a member deep inside',
    issued(`${JSON.stringify(claimsWith()).slice(0, -1)},"a":[{"b":{"c":1,"c":2}}]}`),
    'duplicate_member',
  ],
  ['bytes that are no UTF-8', issuedBytes(Buffer.from('{"sub":"\xff"}', 'latin1')), 'malformed'],
  ['a mark of byte order', issued(`\ufeff${JSON.stringify(claimsWith())}`), 'malformed'],
  ['a list of claims', issued([claimsWith()]), 'malformed'],
  ['no claims', issued('null'), 'malformed'],
  ['JSON and more', issued(`${JSON.stringify(claimsWith())}{}`), 'malformed'],
  ['depth', issued(`{"a":${'['.repeat(2_000)}${']'.repeat(2_000)}}`), 'malformed'],

  // Its claims.
  ['an end in a text', issued(claimsWith({ exp: `${NOW + 300}` })), 'malformed_claim'],
  [
    'an end beyond numbers',
    issued(JSON.stringify(claimsWith({ exp: 'E' })).replace('"E"', '1e999')),
    'malformed_claim',
  ],
  ['an end that is null', issued(claimsWith({ exp: null })), 'malformed_claim'],
  ['no end', issued(claimsWith({ exp: undefined })), 'missing_claim'],
  ['an end long past', issued(claimsWith({ exp: 0 })), 'expired'],
  ['an end before 1970', issued(claimsWith({ exp: -1e300 })), 'expired'],
  ['a beginning far ahead', issued(claimsWith({ nbf: 1e300 })), 'not_yet_valid'],
  ['an audience that contains ours', issued(claimsWith({ aud: 'shop-admin' })), 'wrong_audience'],
  ['an audience of letters', issued(claimsWith({ aud: [...AUDIENCE] })), 'wrong_audience'],
  ['an audience that is an object', issued(claimsWith({ aud: { shop: true } })), 'malformed_claim'],
  ['an issuer that begins like ours', issued(claimsWith({ iss: `${ISSUER}evil` })), 'wrong_issuer'],
  ['a list of issuers', issued(claimsWith({ iss: [ISSUER] })), 'malformed_claim'],
  [
    'a caller by inheritance',
    issued(
      `{"__proto__":{"sub":"admin"},${JSON.stringify(claimsWith({ sub: undefined })).slice(1)}`,
    ),
    'no_subject',
  ],
  ['a caller without a name', issued(claimsWith({ sub: '' })), 'no_subject'],
  ['a bound token without its proof', issued(claimsWith({ cnf: { jkt: 'x' } })), 'proof_missing'],
  [
    'a binding that is not checked here',
    issued(claimsWith({ cnf: { kid: 'x' } })),
    'bound_elsewhere',
  ],
  [
    'a binding beside one that is',
    issued(claimsWith({ cnf: { jkt: 'x', 'x5t#S256': 'y' } })),
    'bound_elsewhere',
  ],
]

/** Another last character for the same bytes. */
function lastCharacter(signature: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return alphabet[alphabet.indexOf(signature.at(-1)!) ^ 1]!
}

function issuedBytes(claims: Buffer): string {
  const data = `${encoded({ alg: 'RS256', kid: 'rsa' })}.${claims.toString('base64url')}`
  return `${data}.${sign('sha256', Buffer.from(data), rsa.privateKey).toString('base64url')}`
}

test('what is not an attack passes', () => {
  assert.equal(decide(good), 'passes')
  assert.equal(decide(ecSignature(ec.privateKey, 'ieee-p1363', es256)), 'passes')
  // Issuers do send these; they are true, and are not believed.
  assert.equal(decide(issued(claimsWith(), { jku: 'https://evil.example/', x5t: 'x' })), 'passes')
  assert.equal(decide(issued(claimsWith({ a: { sub: 1 }, b: [{ sub: 2 }, { sub: 3 }] }))), 'passes')
  assert.equal(decide(issued(claimsWith({ text: 'a "quoted\\\\" \\u0022,"sub":' }))), 'passes')
})

for (const [what, token, reason] of ATTACKS) {
  test(`${what}: ${reason}`, () => {
    for (const _ of ['first', 'again']) assert.equal(decide(token), `token_invalid: ${reason}`)
  })
}

test('keys that could be forged are not taken into the configuration', () => {
  const refused = (jwk: object) =>
    !jwt.settings.safeParse({ issuer: ISSUER, audience: AUDIENCE, keys: JSON.stringify(jwk) })
      .success
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey
  assert.ok(refused(small.export({ format: 'jwk' })))
  assert.ok(refused({ ...rsaJwk, e: 'AQ' }))
  assert.ok(refused({ ...rsaJwk, use: 'enc' }))
  assert.ok(refused({ ...rsaJwk, key_ops: ['encrypt'] }))
  assert.ok(refused({ ...rsaJwk, alg: 'ES256' }))
  assert.ok(refused(attacker.privateKey.export({ format: 'jwk' })))
  assert.ok(refused({ kty: 'oct', k: Buffer.alloc(31).toString('base64url') }))
  const offCurve = { ...ec.publicKey.export({ format: 'jwk' }) } as JsonWebKeyInput['key']
  assert.ok(refused({ ...offCurve, y: offCurve.x }))
})
