import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { describe, test } from 'node:test'
import { ManualClock } from '../../lib/clock.ts'
import type { RemoteDocument, RemoteDocuments } from '../../state/remote-documents.ts'
import { FollowedKeys } from './key-source.ts'

/** Documents by URL; a text that is null cannot be fetched. */
class FakeDocuments implements RemoteDocuments {
  readonly texts = new Map<string, string | null>()
  readonly followed: string[] = []
  /** What its time to be fetched again would bring about. */
  readonly fetch = new Map<string, () => Promise<void>>()
  refreshes = 0
  isStuck = false
  /** Every fetch would come too soon. */
  isForbidden = false

  follow(source: { readonly url: string }, onChange: (document: RemoteDocument) => void) {
    const { url } = source
    this.followed.push(url)
    const documents = this
    let told: string | null = null
    let current: RemoteDocument | null = null
    let failure: string | null = null
    const refresh = async () => {
      documents.refreshes++
      await (documents.isStuck ? new Promise(() => {}) : null)
      const text = documents.texts.get(url) ?? null
      failure = text === null ? 'it answered 404' : null
      if (text === null || documents.isForbidden) return
      current = { text, fetchedAtMs: documents.refreshes }
      if (text === told) return
      told = text
      onChange(current)
    }
    this.fetch.set(url, refresh)
    return {
      get current() {
        return current
      },
      get failure() {
        return failure
      },
      refresh,
      stop() {
        documents.followed.splice(documents.followed.indexOf(url), 1)
      },
    }
  }
}

const KEYS = 'https://id.example/keys'
const OPENID = 'https://id.example/shop/.well-known/openid-configuration'
const OAUTH = 'https://id.example/.well-known/oauth-authorization-server/shop'
const ISSUER = 'https://id.example/shop'

function jwk(kid: string, key: KeyObject = generateKeyPairSync('ed25519').publicKey): object {
  return { ...key.export({ format: 'jwk' }), kid }
}

function setOf(...keys: readonly object[]): string {
  return JSON.stringify({ keys })
}

function scene(url: string | null = KEYS) {
  const documents = new FakeDocuments()
  const clock = new ManualClock()
  const lines: string[] = []
  const note = (fields: Readonly<Record<string, unknown>>, message: string) => {
    lines.push(`${message}: ${fields.reason ?? ''}`)
  }
  const keys = new FollowedKeys({
    url,
    issuer: url === null ? ISSUER : null,
    algorithms: ['EdDSA', 'ES256', 'HS256'],
    allowHttp: false,
    waitMs: 50,
    source: { timeoutMs: 1, bytesMax: 1, refetchMinMs: 10_000, refetchMaxMs: 60_000 },
    documents,
    clock,
    log: { info: note, warn: note, error: note, line() {} },
  })
  return { documents, clock, keys, lines }
}

function kids({ keys }: ReturnType<typeof scene>): (string | null)[] {
  return keys.current!.keys.map((key) => key.kid)
}

describe('keys from a URL', () => {
  test('are waited for once, whoever asks', async () => {
    const made = scene()
    made.documents.texts.set(KEYS, setOf(jwk('a')))
    assert.equal(made.keys.current, null)
    await Promise.all(Array.from({ length: 100 }, (_, index) => made.keys.ask(`k${index}`)))
    assert.deepEqual(kids(made), ['a'])
    assert.equal(made.documents.refreshes, 1)
  })

  test('are not asked for again too soon, and an unknown one not for several intervals', async () => {
    const { documents, clock, keys } = scene()
    documents.texts.set(KEYS, setOf(jwk('a')))
    await keys.ask('b')
    assert.equal(keys.ask('c'), null, 'within the interval')
    clock.advance(10_000)
    assert.equal(keys.ask('b'), null, 'known to be unknown')
    await keys.ask('c')
    assert.equal(documents.refreshes, 2)
    clock.advance(50_000)
    await keys.ask('b')
    assert.equal(documents.refreshes, 3)
  })

  test('are not called unknown by an answer that is older than the question', async () => {
    const { documents, clock, keys } = scene()
    documents.texts.set(KEYS, setOf(jwk('a')))
    await keys.ask(null)
    clock.advance(10_000)
    documents.isForbidden = true
    await keys.ask('b')
    clock.advance(10_000)
    documents.isForbidden = false
    assert.notEqual(keys.ask('b'), null)
  })

  test('that are new make the unknown ones worth asking for', async () => {
    const made = scene()
    made.documents.texts.set(KEYS, setOf(jwk('a')))
    await made.keys.ask('b')
    made.clock.advance(10_000)
    made.documents.texts.set(KEYS, setOf(jwk('a'), jwk('c')))
    await made.keys.ask('c')
    made.clock.advance(10_000)
    made.documents.texts.set(KEYS, setOf(jwk('b')))
    await made.keys.ask('b')
    assert.deepEqual(kids(made), ['b'])
  })

  test('stay the same objects through changes, and are no longer current once they go', async () => {
    const made = scene()
    const stays = jwk('a')
    made.documents.texts.set(KEYS, setOf(stays, jwk('b')))
    await made.keys.ask(null)
    const [a, b] = made.keys.current!.keys
    made.clock.advance(10_000)
    // The key of the name b is another one now.
    made.documents.texts.set(KEYS, setOf(jwk('b'), stays))
    await made.keys.ask(null)
    const [newB, sameA] = made.keys.current!.keys
    assert.equal(sameA, a)
    assert.deepEqual([a!.isCurrent, b!.isCurrent, newB!.isCurrent], [true, false, true])
  })

  test('survive what is no set of keys, and that is said once', async () => {
    const made = scene()
    made.documents.texts.set(KEYS, setOf(jwk('a')))
    await made.keys.ask(null)
    for (const text of ['<html>', '{}', '[]', 'null', null]) {
      made.clock.advance(10_000)
      made.documents.texts.set(KEYS, text)
      await made.keys.ask('b')
      assert.deepEqual(kids(made), ['a'])
      assert.equal(made.keys.isFailing, true, `${text}`)
    }
    made.clock.advance(10_000)
    made.documents.texts.set(KEYS, setOf(jwk('a'), jwk('b')))
    await made.keys.ask('b')
    assert.equal(made.keys.isFailing, false)
    assert.match(made.lines.at(-1)!, /again/)
  })

  test('leave out shared secrets, private keys and keys for other things', async () => {
    const made = scene()
    const { privateKey } = generateKeyPairSync('ed25519')
    made.documents.texts.set(
      KEYS,
      setOf(
        { kty: 'oct', kid: 'secret', k: Buffer.alloc(64).toString('base64url') },
        { ...privateKey.export({ format: 'jwk' }), kid: 'private' },
        { ...jwk('encrypts'), use: 'enc' },
        { ...jwk('other'), alg: 'ES256' },
        { kty: 'XYZ', kid: 'strange' },
        jwk('rsa', generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey),
        jwk('good'),
      ),
    )
    await made.keys.ask(null)
    assert.deepEqual(kids(made), ['good'])
  })

  test('that never come end the wait', async () => {
    const { documents, keys } = scene()
    documents.isStuck = true
    await keys.ask('a')
    assert.equal(keys.current, null)
    keys.dispose()
  })
})

describe('keys of an issuer', () => {
  const metadata = JSON.stringify({ issuer: ISSUER, jwks_uri: KEYS })

  for (const url of [OPENID, OAUTH]) {
    test(`are found through ${url}`, async () => {
      const made = scene(null)
      made.documents.texts.set(url, metadata)
      made.documents.texts.set(KEYS, setOf(jwk('a')))
      await made.keys.ask('a')
      assert.deepEqual(kids(made), ['a'])
      made.keys.dispose()
      assert.deepEqual(made.documents.followed, [])
    })
  }

  test('are not taken from metadata of somebody else, or from an unsafe place', async () => {
    for (const wrong of [
      { issuer: `${ISSUER}/`, jwks_uri: KEYS },
      { issuer: ISSUER, jwks_uri: 'http://id.example/keys' },
      { issuer: ISSUER, jwks_uri: 'file:///etc/passwd' },
      { issuer: ISSUER },
    ]) {
      const made = scene(null)
      made.documents.texts.set(OPENID, JSON.stringify(wrong))
      made.documents.texts.set(KEYS, setOf(jwk('a')))
      await made.keys.ask('a')
      assert.equal(made.keys.current, null)
      assert.equal(made.keys.isFailing, true)
    }
  })

  test('move when the issuer says so', async () => {
    const made = scene(null)
    made.documents.texts.set(OPENID, metadata)
    made.documents.texts.set(KEYS, setOf(jwk('a')))
    await made.keys.ask('a')
    const elsewhere = 'https://keys.example/set'
    made.documents.texts.set(elsewhere, setOf(jwk('b')))
    made.documents.texts.set(OPENID, JSON.stringify({ issuer: ISSUER, jwks_uri: elsewhere }))
    await made.documents.fetch.get(OPENID)!()
    assert.deepEqual(kids(made), ['a'], 'the old ones stay until the new ones are there')
    await made.documents.fetch.get(elsewhere)!()
    assert.deepEqual(kids(made), ['b'])
    assert.deepEqual(made.documents.followed, [OPENID, elsewhere])
  })
})
