// Tokens in front of several threads, in processes of their own: one fetch of the keys for all of them,
// what they remember over a reload, and what becomes of it when a key goes.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { calculateJwkThumbprint, type JWK, SignJWT } from 'jose'
import {
  fetchText,
  RunningGateway,
} from '../../src/control/process/running-gateway.test-support.ts'
import { testKey } from '../../src/policies/jwt/jwt.test-support.ts'
import { eventually } from '../support/changes.ts'
import type { Settings } from '../support/gateway.ts'
import { RawClient } from '../support/raw-client.ts'
import type { WireResponse } from '../support/strict-http.ts'
import { Issuer } from '../support/token-issuer.ts'

const THREADS = 3
const CONNECTIONS_MAX = 200
/** Keys are fetched once in the life of a test. */
const PATIENT = { refetchAfter: '1h' }

/** Clients that stay connected, so many that each thread has some. */
class Crowd {
  readonly gateway: RunningGateway
  readonly #clients: RawClient[] = []

  constructor(gateway: RunningGateway) {
    this.gateway = gateway
  }

  async gather(): Promise<void> {
    while (!(await this.#isEverywhere())) {
      assert.ok(this.#clients.length < CONNECTIONS_MAX, 'the kernel spreads connections')
      for (let count = 0; count < 6; count++) {
        this.#clients.push(await RawClient.connect(this.gateway.port))
      }
    }
  }

  async #isEverywhere(): Promise<boolean> {
    const metrics = await fetchText(this.gateway.adminPort, '/metrics')
    const open = [...metrics.matchAll(/^gatehouse_connections_open\{.*\} (\d+)$/gm)]
    return open.length === THREADS && open.every(([, count]) => Number(count) >= 2)
  }

  /** What one of them is answered. */
  exchange(fields: string, client: RawClient = this.#clients[0]!): Promise<WireResponse> {
    return client.exchange(`GET /orders HTTP/1.1\r\nHost: shop.example\r\n${fields}\r\n`)
  }

  /** What all of them are answered, sorted. */
  async ask(fields: string): Promise<string[]> {
    const answers = await Promise.all(
      this.#clients.map(async (client) => {
        const answer = await this.exchange(fields, client)
        if (answer.status === 200) return '200'
        const { code, reason = '' } = answer.json as Record<string, string>
        return `${answer.status} ${code} ${reason}`.trim()
      }),
    )
    return answers.sort()
  }

  /** The one thing that all of them are told. */
  async all(token: string): Promise<string> {
    const answers = new Set(await this.ask(`Authorization: Bearer ${token}\r\n`))
    return [...answers].join(' | ')
  }

  async leave(): Promise<void> {
    for (const client of this.#clients) await client.destroy()
  }
}

function configuration(issuer: Issuer, more: Settings, use: readonly unknown[] = []): string {
  const jwt = {
    issuer: `${issuer.url}/`,
    audience: 'shop',
    jwks: `${issuer.url}/jwks`,
    refetchAfter: '1s',
    // Only what a test asks for makes the keys be fetched again.
    refreshEvery: '1h',
    ...more,
  }
  const route = { path: '/*', use: [...use, { jwt }], respond: { body: 'ok' } }
  return `listen: http://127.0.0.1:0\nroutes: ${JSON.stringify([route])}\n`
}

async function crowd(t: TestContext, issuer: Issuer, more: Settings = {}): Promise<Crowd> {
  const gateway = await RunningGateway.start({
    threads: THREADS,
    isReal: true,
    configuration: configuration(issuer, more),
  })
  const found = new Crowd(gateway)
  t.after(async () => {
    await found.leave()
    await gateway.stop()
  })
  await found.gather()
  return found
}

/** Brings tokens of unknown keys until the keys are fetched again. */
async function refetch(issuer: Issuer, asker: Crowd): Promise<void> {
  const before = issuer.fetches
  let turn = 0
  await eventually(
    async () => {
      const unknown = await issuer.token(issuer.keys[0]!, {}, `unknown-${turn++}`)
      assert.equal(await asker.all(unknown), '401 token_invalid unknown_key')
      return issuer.fetches > before
    },
    () => 'the keys to be fetched again',
  )
}

test('all threads share one fetch of the keys, and one of keys that nobody has', async (t) => {
  const issuer = await Issuer.start(t)
  const asker = await crowd(t, issuer, PATIENT)
  const key = issuer.keys[0]!
  assert.equal(await asker.all(await issuer.token(key)), '200')
  assert.equal(issuer.fetches, 1)
  for (let turn = 0; turn < 5; turn++) {
    const unknown = await issuer.token(key, {}, `unknown-${turn}`)
    assert.equal(await asker.all(unknown), '401 token_invalid unknown_key')
  }
  assert.equal(issuer.fetches, 1, 'unknown keys are asked for once in an interval')
})

test('keys that come and go do so in every thread', async (t) => {
  const issuer = await Issuer.start(t)
  const asker = await crowd(t, issuer)
  const first = issuer.keys[0]!
  const old = await issuer.token(first)
  assert.equal(await asker.all(old), '200', 'from now on every thread remembers it')
  const second = await testKey('ES256', 'second')
  issuer.keys = [first, second]
  const fresh = await issuer.token(second)
  await eventually(
    async () => (await asker.all(fresh)) === '200',
    () => 'all threads to have the new key',
  )
  assert.equal(await asker.all(old), '200')
  issuer.keys = [second]
  await refetch(issuer, asker)
  await eventually(
    async () => (await asker.all(old)) === '401 token_invalid unknown_key',
    () => 'no thread to believe what the removed key has signed',
  )
  assert.equal(await asker.all(fresh), '200')
})

test('a reload forgets neither keys nor tokens, even if nobody could be asked', async (t) => {
  const issuer = await Issuer.start(t)
  const asker = await crowd(t, issuer, PATIENT)
  const key = issuer.keys[0]!
  const seen = await issuer.token(key)
  assert.equal(await asker.all(seen), '200')
  await issuer.close()
  const { gateway } = asker
  const from = gateway.output.length
  gateway.write(configuration(issuer, PATIENT, ['request-id']))
  gateway.signal('SIGHUP')
  await gateway.said(/the new configuration is live/, from)
  assert.equal(await asker.all(seen), '200')
  assert.equal(await asker.all(await issuer.token(key, { sub: 'bob' })), '200')
  const next = gateway.output.length
  gateway.write(configuration(issuer, { ...PATIENT, audience: 'bank' }, ['request-id']))
  gateway.signal('SIGHUP')
  await gateway.said(/the new configuration is live/, next)
  assert.equal(await asker.all(seen), '401 token_invalid wrong_audience', 'under other rules')
  assert.equal(issuer.fetches, 1)
})

test('a proof of possession is good once, and a nonce everywhere, whichever threads are asked', async (t) => {
  const issuer = await Issuer.start(t)
  const dpopNonce = { secret: 'a secret of no less than 32 characters' }
  const asker = await crowd(t, issuer, { dpop: 'required', dpopNonce })
  const holder = await testKey('ES256', 'holder')
  const { kty, crv, x, y } = holder.jwk
  const jkt = await calculateJwkThumbprint(holder.jwk)
  const token = await issuer.token(issuer.keys[0]!, { cnf: { jkt } })
  const ath = createHash('sha256').update(token).digest('base64url')
  const htu = 'http://shop.example/orders'
  const fields = async (jti: string, nonce?: string): Promise<string> => {
    const proof = await new SignJWT({ jti, htm: 'GET', htu, ath, nonce })
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: { kty, crv, x, y } as JWK })
      .setIssuedAt()
      .sign(holder.privateKey)
    return `Authorization: DPoP ${token}\r\nDPoP: ${proof}\r\n`
  }
  const first = await asker.exchange(await fields('none'))
  assert.match(first.header('www-authenticate')!, /^DPoP error="use_dpop_nonce"/)
  const nonce = first.header('dpop-nonce')!
  for (const jti of ['one', 'two', 'three']) {
    const answers = await asker.ask(await fields(jti, nonce))
    const passed = answers.filter((answer) => answer === '200')
    assert.equal(passed.length, 1, `of all threads at once one lets it in: ${answers.join(', ')}`)
    const others = new Set(answers.filter((answer) => answer !== '200'))
    assert.deepEqual([...others], ['401 token_invalid proof_replayed'])
  }
})
