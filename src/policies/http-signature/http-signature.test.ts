import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { describe, test } from 'node:test'
import { type ExchangeParts, testExchange } from '../../proxy/pipeline/exchange.test-support.ts'
import { Reply } from '../../proxy/pipeline/reply.ts'
import { hooksOf, refusals, type TestEnvironment, testEnvironment } from '../policy.test-support.ts'
import { ContentDigest } from './content-digest.ts'
import { type SignOptions, signedFields } from './http-signature.test-support.ts'
import { httpSignature } from './http-signature.ts'
import { ALGORITHMS, VerificationKey } from './verification-key.ts'

type Settings = Parameters<typeof hooksOf<typeof httpSignature.settings>>[1]

const SECRET = Buffer.from('a secret of thirty-two bytes, so').toString('base64')
const KEY = { id: 'partner', algorithm: 'hmac-sha256', key: SECRET } as const
const PAIRS = {
  ed25519: generateKeyPairSync('ed25519'),
  p256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  p384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  small: generateKeyPairSync('rsa', { modulusLength: 1024 }),
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'pem' }).toString()
}

interface Case extends Partial<SignOptions> {
  readonly settings?: Settings
  readonly parts?: ExchangeParts
  readonly environment?: TestEnvironment
  /** In place of the fields that a signature makes. */
  readonly fields?: readonly string[]
}

/** Asks the policy about a request, most often a signed one. */
function ask(options: Case = {}) {
  const { settings = {}, environment = testEnvironment(), parts = {}, fields, ...sign } = options
  const request = { method: 'GET', target: '/orders?id=1', ...parts }
  const made = signedFields({
    keyId: KEY.id,
    algorithm: 'hmac-sha256',
    key: SECRET,
    created: Math.floor(environment.clock.wallTime() / 1_000),
    method: request.method,
    target: request.target,
    fields: request.fields ?? [],
    ...sign,
  })
  const exchange = testExchange({
    ...request,
    fields: [...(request.fields ?? []), ...(fields ?? made)],
  })
  const hooks = hooksOf(httpSignature, { keys: [KEY], ...settings }, environment)
  return { exchange, hooks, verdict: hooks.onRequest!(exchange) }
}

/** Why a request is refused; null when it passes. */
function reasonOf(verdict: unknown): string | null {
  if (verdict === undefined) return null
  assert.ok(verdict instanceof Reply)
  assert.equal(verdict.status, 401)
  assert.match(verdict.fieldLines, /\r\nWWW-Authenticate: Signature/)
  const problem = JSON.parse(verdict.body.toString())
  assert.equal(verdict.code, problem.code)
  return problem.code === 'signature_missing' ? 'missing' : problem.reason
}

describe('a signature', () => {
  test('tells who calls', () => {
    const { exchange, verdict } = ask()
    assert.equal(reasonOf(verdict), null)
    assert.equal(exchange.consumer?.id, 'partner')
    assert.deepEqual(exchange.authentication, { stage: 'stage', scheme: 'Signature' })
  })

  for (const [what, options, reason] of [
    ['that is missing', { fields: [] }, 'missing'],
    ['without its input', { fields: ['Signature: sig=:AAAA:'] }, 'missing'],
    ['without its value', { fields: ['Signature-Input: sig=();created=1'] }, 'malformed'],
    ['under another label', { valueLabel: 'other' }, 'malformed'],
    [
      'that cannot be read',
      { fields: ['Signature-Input: sig=(', 'Signature: sig=:AA==:'] },
      'malformed',
    ],
    [
      'that is no inner list',
      { fields: ['Signature-Input: sig=1', 'Signature: sig=:AA==:'] },
      'malformed',
    ],
    [
      'that is no bytes',
      { fields: ['Signature-Input: sig=();created=1', 'Signature: sig=1'] },
      'malformed',
    ],
    ['with a time that is none', { extra: ';expires="soon"' }, 'malformed'],
    ['with a fraction of a second', { created: 1.5 }, 'malformed'],
    ['without a time', { created: null }, 'created'],
    ['of an unknown key', { keyId: 'nobody' }, 'unknown_key'],
    ['of no key', { keyId: null }, 'unknown_key'],
    ['by another algorithm', { extra: ';alg="ed25519"' }, 'algorithm'],
    ['by its algorithm, which it names', { extra: ';alg="hmac-sha256"' }, null],
    ['with another secret', { key: Buffer.alloc(32).toString('base64') }, 'mismatch'],
    ['of another method', { method: 'POST' }, 'mismatch'],
    ['of another target', { target: '/orders?id=2' }, 'mismatch'],
    ['of too little', { components: ['@method', '@path'] }, 'components'],
    [
      'of one parameter only',
      { components: ['@method', '@authority', '@path', '@query-param;name="id"'] },
      'components',
    ],
    ['of the target in parts', { components: ['@method', '@authority', '@path', '@query'] }, null],
    ['of the target in two', { components: ['@request-target', '@authority', '@method'] }, null],
    ['of what is not there', { components: ['@method', '@target-uri', 'x-absent'] }, 'components'],
    ['of one part twice', { components: ['@method', '@target-uri', '@method'] }, 'components'],
    ['with parameters of its own', { extra: ';purpose="x";n=1.5;t=token' }, null],
  ] as const) {
    test(`${what} is ${reason === null ? 'accepted' : `refused: ${reason}`}`, () => {
      const { exchange, verdict } = ask(options as Case)
      assert.equal(reasonOf(verdict), reason)
      if (reason !== null) assert.equal(exchange.consumer, null)
    })
  }

  test('covers what an edit of a policy before cannot change', () => {
    const { exchange, hooks } = ask({ fields: ['X-None: 1'] })
    exchange.setRequestHeader('Signature-Input', 'sig=();created=1')
    assert.equal(reasonOf(hooks.onRequest!(exchange)), 'missing')
  })

  test('is of the URL that the client asked for, wherever TLS ends', () => {
    assert.equal(reasonOf(ask({ scheme: 'https' }).verdict), 'mismatch')
    assert.equal(reasonOf(ask({ scheme: 'https', settings: { scheme: 'https' } }).verdict), null)
  })

  test('is good for its time, give or take what clocks are off', () => {
    const settings = { maxAge: '60s', tolerance: '10s' } as const
    for (const [age, extra, reason] of [
      [0, '', null],
      [70, '', null],
      [71, '', 'expired'],
      [-10, '', null],
      [-11, '', 'created'],
      [20, ';expires=-10', null],
      [20, ';expires=-11', 'expired'],
    ] as const) {
      const environment = testEnvironment()
      const now = environment.clock.wallTime() / 1_000
      const written = extra.replace(/-\d+/, (offset) => String(now + Number(offset)))
      const { verdict } = ask({ settings, environment, created: now - age, extra: written })
      assert.equal(reasonOf(verdict), reason, `${age} ${extra}`)
    }
  })

  test('is one of several only by label or tag', () => {
    const first = ask().exchange.request
    const input = `${first.field('signature-input')}, b=();created=1`
    const fields = [`Signature-Input: ${input}`, `Signature: ${first.field('signature')}`]
    assert.equal(reasonOf(ask({ fields }).verdict), 'ambiguous')
    assert.equal(reasonOf(ask({ fields, settings: { label: 'sig' } }).verdict), null)
    assert.equal(reasonOf(ask({ fields, settings: { label: 'other' } }).verdict), 'missing')
    assert.equal(reasonOf(ask({ settings: { tag: 'shop' } }).verdict), 'missing')
    assert.equal(reasonOf(ask({ settings: { tag: 'shop' }, extra: ';tag="shop"' }).verdict), null)
    assert.equal(reasonOf(ask({ settings: { tag: 'shop' }, extra: ';tag="b"' }).verdict), 'missing')
  })
})

describe('a signature that was used', () => {
  test('is refused, but not another one', () => {
    const environment = testEnvironment()
    const created = environment.clock.wallTime() / 1_000
    assert.equal(reasonOf(ask({ environment, created }).verdict), null)
    assert.equal(reasonOf(ask({ environment, created }).verdict), 'replayed')
    assert.equal(reasonOf(ask({ environment, created: created - 1 }).verdict), null)
    const target = '/orders?id=2'
    assert.equal(reasonOf(ask({ environment, created, target, parts: { target } }).verdict), null)
  })

  test('is known by its nonce, whatever else it says', () => {
    const environment = testEnvironment()
    const created = environment.clock.wallTime() / 1_000
    const first = ';nonce="one"'
    assert.equal(reasonOf(ask({ environment, created, extra: first }).verdict), null)
    assert.equal(reasonOf(ask({ environment, created, extra: ';nonce="two"' }).verdict), null)
    const again = ask({ environment, created: created - 1, extra: first })
    assert.equal(reasonOf(again.verdict), 'replayed')
  })

  test('is remembered as long as it would be good', () => {
    const settings = { maxAge: '60s', tolerance: '10s' } as const
    const environment = testEnvironment()
    const created = environment.clock.wallTime() / 1_000
    assert.equal(reasonOf(ask({ settings, environment, created }).verdict), null)
    environment.clock.advance(70_000)
    assert.equal(reasonOf(ask({ settings, environment, created }).verdict), 'replayed')
    environment.clock.advance(1_000)
    assert.equal(reasonOf(ask({ settings, environment, created }).verdict), 'expired')
  })

  test('is not used up by one who only knows what it signs', () => {
    const environment = testEnvironment()
    const created = environment.clock.wallTime() / 1_000
    const forged = Buffer.alloc(32).toString('base64')
    assert.equal(reasonOf(ask({ environment, created, key: forged }).verdict), 'mismatch')
    assert.equal(reasonOf(ask({ environment, created }).verdict), null)
  })

  test('passes where that is allowed', () => {
    const environment = testEnvironment()
    const settings = { replays: 'allow' } as const
    for (let i = 0; i < 2; i++) assert.equal(reasonOf(ask({ environment, settings }).verdict), null)
  })

  test('waits for a store that has to be asked', async () => {
    const { store } = testEnvironment()
    for (const first of [true, false]) {
      const slow = { ...store, claim: () => Promise.resolve(first) } as typeof store
      const { exchange, verdict } = ask({ environment: testEnvironment({ store: slow }) })
      assert.ok(verdict instanceof Promise)
      assert.equal(reasonOf(await verdict), first ? null : 'replayed')
      assert.equal(exchange.consumer?.id ?? null, first ? 'partner' : null)
    }
  })
})

describe('a body', () => {
  const body = Buffer.from('{"sku":"AB12"}')

  function digestOf(bytes: Buffer, name = 'sha-256'): string {
    const hash = createHash(name.replace('-', '')).update(bytes).digest('base64')
    return `${name}=:${hash}:`
  }

  function send(digest: string | null, components: readonly string[], settings: Settings = {}) {
    const fields = [
      `Content-Length: ${body.length}`,
      ...(digest === null ? [] : [`Content-Digest: ${digest}`]),
    ]
    const parts = { method: 'POST', target: '/orders', fields }
    return ask({ parts, components, settings })
  }

  const COVERED = ['@method', '@target-uri', 'content-digest']

  test('passes with the digest that was signed', () => {
    for (const name of ['sha-256', 'sha-512']) {
      const { exchange, hooks, verdict } = send(digestOf(body, name), COVERED)
      assert.equal(reasonOf(verdict), null)
      assert.equal(hooks.onRequestBody!(exchange, body), body)
      assert.equal(hooks.onRequestBody!(exchange, null), null)
    }
  })

  test('of another digest is refused', () => {
    const other = Buffer.from('{"sku":"AB13"}')
    for (const sent of [other, null]) {
      const { exchange, hooks, verdict } = send(digestOf(body), COVERED)
      assert.equal(reasonOf(verdict), null)
      assert.equal(reasonOf(hooks.onRequestBody!(exchange, sent)), 'digest')
    }
  })

  test('must fit all the digests that count', () => {
    const wrong = digestOf(Buffer.from('x'), 'sha-512')
    const { exchange, hooks } = send(`${digestOf(body)}, ${wrong}`, COVERED)
    assert.equal(reasonOf(hooks.onRequestBody!(exchange, body)), 'digest')
  })

  for (const [what, digest, components, reason] of [
    ['without a digest', null, ['@method', '@target-uri'], 'components'],
    ['with one that is not covered', digestOf(body), ['@method', '@target-uri'], 'components'],
    [
      'with one that is covered in part',
      digestOf(body),
      ['@method', '@target-uri', 'content-digest;key="sha-256"'],
      'components',
    ],
    ['with a weak one', 'md5=:AAAA:', COVERED, 'digest'],
    ['with one that cannot be read', 'sha-256=AAAA', COVERED, 'digest'],
  ] as const) {
    test(`${what} is refused`, () => {
      assert.equal(reasonOf(send(digest, components).verdict), reason)
    })
  }

  test('that is not there fits no digest of another', () => {
    const fields = [`Content-Digest: ${digestOf(body)}`]
    const sent = ask({ parts: { target: '/orders', fields }, components: COVERED })
    assert.equal(reasonOf(sent.verdict), 'digest')
    const empty = [`Content-Digest: ${digestOf(Buffer.alloc(0))}`]
    assert.equal(reasonOf(ask({ parts: { target: '/', fields: empty } }).verdict), null)
  })

  test('is not looked at where it is told so, and then nothing is held', () => {
    const settings = { digest: false } as const
    const { hooks, verdict } = send(null, ['@method', '@target-uri'], settings)
    assert.equal(reasonOf(verdict), null)
    assert.equal(hooks.onRequestBody, undefined)
    const use = httpSignature.body?.request
    assert.ok(typeof use === 'object')
    const held = (written: Settings) => use.buffer(httpSignature.settings.parse(written))
    assert.equal(held(settings), 0)
    assert.equal(held({ bodyMax: '64kb' }), 65_536)
  })

  test('is known by hashes that nobody has broken', () => {
    assert.equal(ContentDigest.parse('sha=:AAAA:, md5=:AAAA:'), null)
    assert.equal(ContentDigest.parse(`${digestOf(body)}, md5=:AAAA:`)?.fits(body), true)
  })
})

describe('keys', () => {
  for (const [algorithm, pair] of [
    ['ed25519', PAIRS.ed25519],
    ['ecdsa-p256-sha256', PAIRS.p256],
    ['ecdsa-p384-sha384', PAIRS.p384],
    ['rsa-pss-sha512', PAIRS.rsa],
    ['rsa-v1_5-sha256', PAIRS.rsa],
  ] as const) {
    test(`of ${algorithm} verify what their other half signs`, () => {
      const keys = [{ id: 'k', algorithm, key: pemOf(pair.publicKey) }]
      const sign = { keyId: 'k', algorithm, key: pair.privateKey, settings: { keys } }
      assert.equal(reasonOf(ask(sign).verdict), null)
      assert.equal(reasonOf(ask({ ...sign, method: 'POST' }).verdict), 'mismatch')
    })
  }

  test('belong to consumers of the configuration', () => {
    const consumer = {
      id: 'ada',
      groups: ['staff', 'shop'],
      claims: null,
      metadata: {},
      limits: {},
    }
    const entry = { consumer, algorithm: 'hmac-sha256', key: SECRET }
    const unusable = { consumer, algorithm: 'ed25519', key: SECRET }
    const logged: unknown[] = []
    const { consumers, log } = testEnvironment()
    const directory = {
      ...consumers,
      byId: (id: string) => (id === 'ada' ? consumer : null),
      bySignatureKey: (id: string) => (id === 'k' ? entry : id === 'bad' ? unusable : null),
    }
    const environment = testEnvironment({
      consumers: directory,
      log: { ...log, error: (fields) => void logged.push(fields) },
    })
    const settings = { forward: { id: 'x-consumer', groups: 'x-groups' } }
    const { exchange, verdict } = ask({ environment, settings, keyId: 'k' })
    assert.equal(reasonOf(verdict), null)
    assert.equal(exchange.consumer, consumer)
    assert.equal(exchange.requestHeader('x-consumer'), 'ada')
    assert.equal(exchange.requestHeader('x-groups'), 'staff,shop')
    assert.equal(reasonOf(ask({ environment, keyId: 'bad' }).verdict), 'unknown_key')
    assert.equal(logged.length, 1)
    assert.ok(!JSON.stringify(logged).includes(SECRET))

    const owned = { keys: [{ ...KEY, consumer: 'ada' }] }
    assert.equal(ask({ environment, settings: owned }).exchange.consumer, consumer)
    const lost = { keys: [{ ...KEY, consumer: 'bob' }] }
    assert.throws(() => ask({ environment, settings: lost }), /there is no consumer "bob"/)
  })

  for (const [algorithm, key, problem] of [
    ['hmac-sha256', 'c2hvcnQ=', /fewer than 16 bytes/],
    ['hmac-sha256', 'not base64!', /not base64/],
    ['ed25519', pemOf(PAIRS.p256.publicKey), /not one for ed25519/],
    ['ecdsa-p256-sha256', pemOf(PAIRS.p384.publicKey), /not one for ecdsa-p256-sha256/],
    ['ecdsa-p384-sha384', pemOf(PAIRS.p256.publicKey), /not one for ecdsa-p384-sha384/],
    ['rsa-pss-sha512', pemOf(PAIRS.small.publicKey), /not one for rsa-pss-sha512/],
    ['rsa-v1_5-sha256', pemOf(PAIRS.ed25519.publicKey), /not one for rsa-v1_5-sha256/],
    ['ed25519', 'hello', /no public key in PEM/],
    [
      'ed25519',
      PAIRS.ed25519.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      /private key; give the public one/,
    ],
  ] as const) {
    test(`that cannot be ones for ${algorithm} are refused (${problem.source})`, () => {
      assert.throws(() => new VerificationKey(algorithm, key), problem)
      try {
        hooksOf(httpSignature, { keys: [{ id: 'k', algorithm, key }] })
        assert.fail('it is taken')
      } catch (error) {
        const { message } = error as Error
        assert.match(message, /the key "k" cannot be used/)
        assert.ok(!message.includes(key.slice(0, 20)))
      }
    })
  }

  test('have one algorithm each, and one name', () => {
    assert.equal(ALGORITHMS.length, 6)
    assert.throws(() => hooksOf(httpSignature, { keys: [KEY, KEY] }), /"partner" is there twice/)
    const pem = pemOf(PAIRS.ed25519.publicKey)
    const confused = Buffer.from(pem).toString('base64')
    const keys = [{ id: 'k', algorithm: 'ed25519', key: pem }] as const
    // A public key is nobody's shared secret.
    const verdict = ask({ settings: { keys: [...keys] }, keyId: 'k', key: confused }).verdict
    assert.equal(reasonOf(verdict), 'mismatch')
  })
})

test('who fails too often is told to wait, and nobody who signs is', () => {
  const noted: unknown[] = []
  const failedAttempts = {
    mayTry: () => noted.length < 2,
    failed: (...what: unknown[]) => void noted.push(what),
  }
  const environment = testEnvironment({ failedAttempts })
  for (const keyId of ['nobody', 'partner']) {
    ask({ environment, keyId, key: Buffer.alloc(32).toString('base64') })
  }
  assert.equal(noted.length, 2)
  const { verdict } = ask({ environment, keyId: 'nobody' })
  assert.ok(verdict instanceof Reply)
  assert.equal(verdict.status, 429)
  assert.equal(reasonOf(ask({ environment }).verdict), null)
})

test('a refusal says what a signature should be like', () => {
  const settings = { components: ['@method', 'date'], tag: 'shop', realm: 'orders' }
  const { verdict } = ask({ settings, fields: [] })
  assert.ok(verdict instanceof Reply)
  assert.match(verdict.fieldLines, /\r\nWWW-Authenticate: Signature realm="orders"\r\n/)
  assert.ok(
    verdict.fieldLines.includes(
      'Accept-Signature: sig=("@method" "date" "content-digest");created;keyid;tag="shop"\r\n',
    ),
  )
})

test('settings that cannot be meant are refused', () => {
  for (const [settings, problem] of [
    [{ components: ['@status'] }, /^components\.0/],
    [{ components: ['Date'] }, /^components\.0/],
    [{ components: [] }, /^components/],
    [{ maxAge: '0s' }, /^maxAge/],
    [{ label: 'Sig' }, /^label/],
    [{ keys: [{ ...KEY, algorithm: 'none' }] }, /^keys\.0\.algorithm/],
  ] as const) {
    assert.match(refusals(httpSignature, settings)[0]!, problem)
  }
})
