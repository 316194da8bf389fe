// What a token costs: one that is remembered, one that was never seen, and node:crypto's own verification.
// Run: node bench/micro/jwt.bench.ts. CPU microseconds per request, medians of alternating rounds.
// The budget: (fresh - remembered) is at most 1.5 times what node:crypto takes for that algorithm.
import {
  constants,
  createHmac,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'
import { jwt } from '../../src/policies/jwt/jwt.ts'
import { testExchange } from '../../src/proxy/pipeline/exchange.test-support.ts'
import type { Exchange } from '../../src/proxy/pipeline/exchange.ts'
import { inertEnvironment } from '../../src/proxy/pipeline/inert-environment.ts'

const ROUNDS = 15
/** Rounds for the compiler, not counted. */
const WARM = 10
const REQUESTS = 1_000
const BUDGET = 1.5
const SECRET = 'a shared secret of more than sixty-four bytes, for every HMAC that there is'

type Signature = (data: Buffer) => Buffer
type Check = (data: Buffer, signature: Buffer) => boolean

interface Subject {
  readonly alg: string
  /** What the policy is given. */
  readonly settings: { readonly secret: string } | { readonly keys: string }
  readonly sign: Signature
  /** As little as node:crypto can be asked to do. */
  readonly check: Check
}

function hmac(bits: number): Subject {
  const key = createSecretKey(Buffer.from(SECRET))
  const digest: Signature = (data) => createHmac(`sha${bits}`, key).update(data).digest()
  const check: Check = (data, signature) => digest(data).equals(signature)
  return { alg: `HS${bits}`, settings: { secret: SECRET }, sign: digest, check }
}

function pair(alg: string, keys: { privateKey: KeyObject; publicKey: KeyObject }): Subject {
  const { privateKey, publicKey } = keys
  const pem = publicKey.export({ type: 'spki', format: 'pem' }) as string
  const hash = alg === 'EdDSA' ? null : `sha${alg.slice(2)}`
  const pss = {
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
  }
  const how = alg.startsWith('PS')
    ? pss
    : alg.startsWith('ES')
      ? { dsaEncoding: 'ieee-p1363' as const }
      : {}
  const key = { key: createPublicKey(pem), ...how }
  return {
    alg,
    settings: { keys: pem },
    sign: (data) => sign(hash, data, { key: privateKey, ...how }),
    check: (data, signature) => verify(hash, data, key, signature),
  }
}

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const subjects: readonly Subject[] = [
  hmac(256),
  hmac(512),
  pair('RS256', rsa),
  pair('PS256', rsa),
  pair('ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' })),
  pair('ES384', generateKeyPairSync('ec', { namedCurve: 'P-384' })),
  pair('EdDSA', generateKeyPairSync('ed25519')),
]

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

let serial = 0

/** A token as an identity provider makes them. */
function tokenOf({ alg, sign }: Subject): string {
  const now = Math.floor(Date.now() / 1000)
  const claims = {
    iss: 'https://id.myshop.example/',
    aud: ['shop', 'https://id.myshop.example/userinfo'],
    sub: 'auth|5f7c8ec7c33c6c004bbafe82',
    exp: now + 3600,
    iat: now,
    jti: `token-${serial++}`,
    azp: 'pS4Q1xkJz0cJ7Qn2',
    scope: 'openid profile email read:orders write:orders',
    groups: ['customers', 'early-birds'],
  }
  const data = `${encode({ alg, typ: 'JWT', kid: 'key-2026-01' })}.${encode(claims)}`
  return `${data}.${sign(Buffer.from(data)).toString('base64url')}`
}

function exchangeWith(token: string): Exchange {
  const fields = [
    'User-Agent: bench',
    'Accept: */*',
    `Authorization: Bearer ${token}`,
    'Accept-Encoding: gzip',
  ]
  return testExchange({ fields })
}

/** Of CPU time: what others do on the machine counts less than with the clock on the wall. */
function microsecondsOf(work: () => void): number {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / REQUESTS
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!
}

function measure(subject: Subject): { remembered: number; fresh: number; own: number } {
  const environment = inertEnvironment()
  const settings = jwt.settings.parse({
    ...subject.settings,
    issuer: 'https://id.myshop.example/',
    audience: 'shop',
    // Room for all tokens of two rounds: what was pushed out would be fresh again.
    remember: '64mb',
  })
  const hooks = jwt.create(settings, environment)
  const pass = (exchange: Exchange): void => {
    if (hooks.onRequest!(exchange) !== undefined) throw new Error('a good token was refused')
  }
  const signatures = Array.from({ length: REQUESTS }, () => {
    const data = Buffer.from(tokenOf(subject))
    return [data, subject.sign(data)] as const
  })
  const result = { remembered: [] as number[], fresh: [] as number[], own: [] as number[] }
  for (let round = 0; round < ROUNDS + WARM; round++) {
    const tokens = Array.from({ length: REQUESTS }, () => tokenOf(subject))
    const first = tokens.map(exchangeWith)
    const second = tokens.map(exchangeWith)
    const times = {
      fresh: microsecondsOf(() => first.forEach(pass)),
      remembered: microsecondsOf(() => second.forEach(pass)),
      own: microsecondsOf(() => {
        for (const [data, signature] of signatures) {
          if (!subject.check(data, signature)) throw new Error('a good signature does not verify')
        }
      }),
    }
    if (round < WARM) continue
    result.fresh.push(times.fresh)
    result.remembered.push(times.remembered)
    result.own.push(times.own)
  }
  hooks.dispose?.()
  environment.dispose()
  return {
    fresh: median(result.fresh),
    remembered: median(result.remembered),
    own: median(result.own),
  }
}

const columns = ['fresh', 'remembered', 'node:crypto', 'ratio']
console.log(`us per request`.padEnd(16) + columns.map((name) => name.padStart(13)).join(''))
for (const subject of subjects) {
  const { fresh, remembered, own } = measure(subject)
  const ratio = (fresh - remembered) / own
  const cells = [fresh, remembered, own, ratio].map((value) => value.toFixed(2).padStart(13))
  console.log(subject.alg.padEnd(16) + cells.join('') + (ratio > BUDGET ? '  over the budget' : ''))
}
