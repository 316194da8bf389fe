// The jwt policy in front of a service, with an issuer that publishes its keys over HTTP.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { type TestContext, test } from 'node:test'
import { calculateJwkThumbprint, type JWK, SignJWT } from 'jose'
import { testKey } from '../../src/policies/jwt/jwt.test-support.ts'
import { eventually } from '../support/changes.ts'
import { pair, type Settings } from '../support/gateway.ts'
import { answersOk } from '../support/recording-upstream.ts'
import type { WireResponse } from '../support/strict-http.ts'
import { Issuer } from '../support/token-issuer.ts'

const HOST = 'Host: shop.example\r\n'

/** A gateway that asks for the issuer's tokens on every route. */
function guarded(t: TestContext, issuer: Issuer, settings: Settings = {}, before: unknown[] = []) {
  const jwt = {
    issuer: `${issuer.url}/`,
    audience: 'shop',
    jwks: `${issuer.url}/jwks`,
    refetchAfter: '1s',
    ...settings,
  }
  return pair(t, answersOk, {}, { use: [...before, { jwt }] })
}

function get(token: string, method = 'GET', fields = ''): string {
  const authorization = token === '' ? '' : `Authorization: Bearer ${token}\r\n`
  return `${method} /orders HTTP/1.1\r\n${HOST}${authorization}${fields}\r\n`
}

/** `200`, or the status with code and reason. */
function outcome(response: WireResponse): string {
  if (response.status === 200) return '200'
  const { code, reason = '' } = JSON.parse(response.text) as Record<string, string>
  return `${response.status} ${code} ${reason}`.trim()
}

test('the service sees requests with a good token only, and who calls', async (t) => {
  const issuer = await Issuer.start(t)
  const { client, upstream } = await guarded(t, issuer, { forward: { 'x-user': 'sub' } })
  const good = await issuer.token(issuer.keys[0]!)
  const missing = await client.exchange(get(''))
  assert.equal(outcome(missing), '401 token_missing')
  assert.equal(missing.header('www-authenticate'), 'Bearer')
  const forged = `${good.slice(0, good.lastIndexOf('.'))}.${'A'.repeat(86)}`
  assert.equal(outcome(await client.exchange(get(forged))), '401 token_invalid bad_signature')
  const twice = get(good, 'GET', `Authorization: Bearer ${good}\r\n`)
  assert.equal(outcome(await client.exchange(twice)), '401 token_invalid repeated')
  assert.equal(upstream.text, '')
  const spoofed = get(good, 'GET', 'X-User: root\r\nx_user: root\r\nX-USER: root\r\n')
  for (const _ of ['fresh', 'remembered']) {
    assert.equal(outcome(await client.exchange(spoofed)), '200')
  }
  assert.equal(upstream.text.match(/x-user: ada\r\n/g)?.length, 2)
  assert.doesNotMatch(upstream.text, /root/)
  assert.match(upstream.text, new RegExp(`Authorization: Bearer ${good}\r\n`))
})

test('first requests wait for one fetch of the keys, found through the issuer', async (t) => {
  const issuer = await Issuer.start(t)
  const held: ServerResponse[] = []
  issuer.answer = (response) => void held.push(response)
  const { gateway } = await guarded(t, issuer, { jwks: undefined })
  const token = await issuer.token(issuer.keys[0]!)
  const clients = await Promise.all(Array.from({ length: 30 }, () => gateway.connect()))
  const answers = clients.map((client) => client.exchange(get(token)))
  await eventually(
    () => gateway.stats().exchanges === 30 && held.length > 0,
    () => `everybody to wait: ${JSON.stringify(gateway.stats())}`,
  )
  for (const response of held) issuer.publish(response)
  assert.deepEqual(
    (await Promise.all(answers)).map(outcome),
    answers.map(() => '200'),
  )
  assert.equal(issuer.fetches, 1)
})

test('a thousand unknown keys cost at most two fetches', async (t) => {
  const issuer = await Issuer.start(t)
  const { client } = await guarded(t, issuer, { refetchAfter: '1m' })
  const [key] = issuer.keys
  for (let index = 0; index < 1_000; index++) {
    const answer = await client.exchange(get(await issuer.token(key!, {}, `unknown-${index}`)))
    assert.equal(outcome(answer), '401 token_invalid unknown_key')
  }
  assert.ok(issuer.fetches <= 2, `${issuer.fetches} fetches`)
  assert.equal(outcome(await client.exchange(get(await issuer.token(key!)))), '200')
})

test('keys change: a new one is found when it is needed, a removed one is worth nothing', async (t) => {
  const issuer = await Issuer.start(t)
  const { client } = await guarded(t, issuer)
  const first = issuer.keys[0]!
  const old = await issuer.token(first)
  assert.equal(outcome(await client.exchange(get(old))), '200')
  const second = await testKey('ES256', 'second')
  issuer.keys = [first, second]
  const fresh = await issuer.token(second)
  const passes = async () => outcome(await client.exchange(get(fresh))) === '200'
  await eventually(passes, () => 'the new key to be fetched')
  assert.equal(outcome(await client.exchange(get(old))), '200')
  issuer.keys = [second]
  const before = issuer.fetches
  let turn = 0
  const isAsked = async () => {
    // The same would be known to be unknown for a while.
    const unknown = await issuer.token(second, {}, `unknown-${turn++}`)
    assert.equal(outcome(await client.exchange(get(unknown))), '401 token_invalid unknown_key')
    return issuer.fetches > before
  }
  await eventually(isAsked, () => 'the keys to be fetched again')
  assert.equal(outcome(await client.exchange(get(old))), '401 token_invalid unknown_key')
  assert.equal(outcome(await client.exchange(get(fresh))), '200')
})

test('without keys nobody passes, and when they come everybody does', async (t) => {
  const issuer = await Issuer.start(t)
  await issuer.close()
  const { client, upstream } = await guarded(t, issuer)
  const token = await issuer.token(issuer.keys[0]!)
  for (let turn = 0; turn < 5; turn++) {
    const answer = await client.exchange(get(token))
    assert.equal(outcome(answer), '503 keys_unavailable')
    assert.equal(answer.header('retry-after'), '1')
  }
  assert.equal(upstream.text, '')
  await issuer.open()
  const passes = async () => outcome(await client.exchange(get(token))) === '200'
  await eventually(passes, () => 'the keys to be fetched')
})

test('a fetch that hangs keeps a request waiting only so long', async (t) => {
  const issuer = await Issuer.start(t)
  issuer.answer = () => {}
  const { client } = await guarded(t, issuer, { fetchTimeout: '100ms' })
  const token = await issuer.token(issuer.keys[0]!)
  assert.equal(outcome(await client.exchange(get(token))), '503 keys_unavailable')
})

test('the keys that are known outlive the server that had them', async (t) => {
  const issuer = await Issuer.start(t)
  const { client } = await guarded(t, issuer)
  const key = issuer.keys[0]!
  assert.equal(outcome(await client.exchange(get(await issuer.token(key)))), '200')
  await issuer.close()
  const unknown = await issuer.token(key, {}, 'unknown')
  const isTried = async () => {
    const answer = outcome(await client.exchange(get(unknown)))
    assert.match(answer, /^401 token_invalid unknown_key$|^503 keys_unavailable$/)
    return answer.startsWith('503')
  }
  await eventually(isTried, () => 'the fetch to fail')
  assert.equal(outcome(await client.exchange(get(await issuer.token(key, { sub: 'bob' })))), '200')
})

test('a remembered token ends on time', async (t) => {
  const issuer = await Issuer.start(t)
  const { client } = await guarded(t, issuer, { tolerance: '0ms' })
  const end = Math.floor(Date.now() / 1000) + 2
  const token = await issuer.token(issuer.keys[0]!, { exp: end })
  assert.equal(outcome(await client.exchange(get(token))), '200')
  const ends = async () => {
    const startedAt = Date.now()
    const answer = outcome(await client.exchange(get(token)))
    if (answer === '200') assert.ok(startedAt < end * 1000, 'it passed after its end')
    else assert.equal(answer, '401 token_invalid expired')
    return answer !== '200'
  }
  await eventually(ends, () => 'the token to expire')
  assert.ok(Date.now() >= end * 1000, 'it ended before its time')
})

test('whoever fails too often has to wait, but not who was let in before', async (t) => {
  const issuer = await Issuer.start(t)
  const { client, gateway } = await guarded(t, issuer, { failures: { perAddress: 3 } })
  const key = issuer.keys[0]!
  const good = await issuer.token(key)
  assert.equal(outcome(await client.exchange(get(good))), '200')
  const thief = await testKey('ES256', key.kid)
  const other = await gateway.connect({ localAddress: '127.0.0.2' })
  for (let turn = 0; turn < 3; turn++) {
    const forged = get(await issuer.token(thief, { turn }))
    assert.equal(outcome(await client.exchange(forged)), '401 token_invalid bad_signature')
  }
  const next = get(await issuer.token(key, { sub: 'bob' }))
  assert.equal(outcome(await client.exchange(next)), '429 too_many_failures')
  assert.equal(outcome(await client.exchange(get(good))), '200')
  assert.equal(outcome(await other.exchange(next)), '200')
})

test('a token that is bound to a key passes with a fresh proof only', async (t) => {
  const issuer = await Issuer.start(t)
  const { client, upstream } = await guarded(t, issuer, { dpop: 'required' })
  const holder = await testKey('ES256', 'holder')
  const { kty, crv, x, y } = holder.jwk
  const jkt = await calculateJwkThumbprint(holder.jwk)
  const token = await issuer.token(issuer.keys[0]!, { cnf: { jkt } })
  const ath = createHash('sha256').update(token).digest('base64url')
  const proof = await new SignJWT({
    jti: 'once',
    htm: 'GET',
    htu: 'http://shop.example/orders',
    ath,
  })
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: { kty, crv, x, y } as JWK })
    .setIssuedAt()
    .sign(holder.privateKey)
  const request = `GET /orders?page=2 HTTP/1.1\r\n${HOST}Authorization: DPoP ${token}\r\n`
  assert.equal(outcome(await client.exchange(get(token))), '401 token_invalid proof_missing')
  assert.equal(upstream.text, '')
  assert.equal(outcome(await client.exchange(`${request}DPoP: ${proof}\r\n\r\n`)), '200')
  assert.equal(
    outcome(await client.exchange(`${request}DPoP: ${proof}\r\n\r\n`)),
    '401 token_invalid proof_replayed',
  )
})

test('a refusal can be read by pages of other origins, and a HEAD has no body', async (t) => {
  const issuer = await Issuer.start(t)
  const origin = 'Origin: https://shop.example\r\n'
  const cors = { cors: { origins: ['https://shop.example'] } }
  const { client, upstream } = await guarded(t, issuer, {}, [cors])
  const asked = `${origin}Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: authorization\r\n`
  const preflight = await client.exchange(get('', 'OPTIONS', asked))
  assert.equal(preflight.status, 204)
  const refused = await client.exchange(get('', 'GET', origin))
  assert.equal(outcome(refused), '401 token_missing')
  assert.equal(refused.header('access-control-allow-origin'), 'https://shop.example')
  const head = await client.exchange(get('', 'HEAD', origin))
  assert.equal(head.status, 401)
  assert.equal(head.body.length, 0)
  assert.equal(head.header('www-authenticate'), 'Bearer')
  assert.equal(upstream.text, '')
  const good = get(await issuer.token(issuer.keys[0]!), 'GET', origin)
  assert.equal(
    (await client.exchange(good)).header('access-control-allow-origin'),
    'https://shop.example',
  )
})
