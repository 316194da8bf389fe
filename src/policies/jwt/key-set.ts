// Keys that tokens are verified with: from a shared secret, PEM, JWK or a JWK set (RFC 7517). What a
// key is decides which algorithms it allows; what a token says never does.
import {
  createHash,
  createPublicKey,
  createSecretKey,
  type JsonWebKeyInput,
  type KeyObject,
} from 'node:crypto'
import { type AlgorithmName, algorithmsOf, Verifier } from './algorithms.ts'

/** More keys than any issuer publishes at once. */
const KEYS_MAX = 100
/** Keys tried for a token that does not say which one. */
const TRIED_MAX = 4

/** A key that is sound, but not for what is done here. */
class UnfitKey extends Error {}

/** One key. */
export class VerificationKey {
  /** False once its set has been replaced by one without it: what it verified is no longer believed. */
  isCurrent = true
  /** The name by which tokens ask for it; null: it is tried for any name. */
  readonly kid: string | null
  /** Equal for equal keys with equal use. */
  readonly fingerprint: string
  readonly #verifiers = new Map<string, Verifier>()

  /** @throws UnfitKey when no algorithm is left. */
  constructor(key: KeyObject, kid: string | null, allowed: readonly AlgorithmName[]) {
    this.kid = kid
    const usable = algorithmsOf(key).filter((name) => allowed.includes(name))
    if (usable.length === 0) throw new UnfitKey('none of the algorithms can be used with this key')
    for (const name of usable) this.#verifiers.set(name, new Verifier(key, name))
    const content =
      key.type === 'secret' ? key.export() : key.export({ type: 'spki', format: 'der' })
    this.fingerprint = createHash('sha256')
      .update(JSON.stringify([kid, usable]))
      .update(content)
      .digest('base64')
  }

  /** Its way of verifying this algorithm; null if it does not allow it. */
  verifier(alg: AlgorithmName): Verifier | null {
    return this.#verifiers.get(alg) ?? null
  }
}

/** The keys that are believed at one moment. */
export class KeySet {
  readonly keys: readonly VerificationKey[]
  /** The last answer: one token after the other asks for the same key. */
  #kid: string | null | undefined
  #candidates: readonly VerificationKey[] = []

  constructor(keys: readonly VerificationKey[]) {
    this.keys = keys
  }

  /** The set that follows this one: keys that stay are the same objects, keys that go are no longer current. */
  replacedBy(next: KeySet): KeySet {
    const known = new Map(this.keys.map((key) => [key.fingerprint, key]))
    const keys = next.keys.map((key) => known.get(key.fingerprint) ?? key)
    for (const key of this.keys) key.isCurrent = keys.includes(key)
    return new KeySet(keys)
  }

  /** The keys that a token with this `kid` may have been signed with, best first. */
  candidates(kid: string | null): readonly VerificationKey[] {
    if (kid !== this.#kid) {
      this.#candidates = this.#find(kid)
      this.#kid = kid
    }
    return this.#candidates
  }

  #find(kid: string | null): readonly VerificationKey[] {
    const found: VerificationKey[] = []
    for (const key of this.keys) {
      if (kid === null ? found.length < TRIED_MAX : key.kid === kid) found.push(key)
    }
    if (found.length > 0 || kid === null) return found
    for (const key of this.keys) {
      if (key.kid === null && found.length < TRIED_MAX) found.push(key)
    }
    return found
  }
}

/** A set with one shared secret (HMAC). @throws Error when it is too short for all of `allowed`. */
export function secretKeySet(secret: string, allowed: readonly AlgorithmName[]): KeySet {
  return new KeySet([new VerificationKey(createSecretKey(secret, 'utf8'), null, allowed)])
}

/**
 * The keys of texts from a configuration: PEM, a JWK, or a JWK set, of which what does not fit is left out.
 * @throws Error naming the text by its place.
 */
export function configuredKeySet(
  texts: readonly string[],
  allowed: readonly AlgorithmName[],
): KeySet {
  const keys: VerificationKey[] = []
  for (const [index, text] of texts.entries()) {
    try {
      if (text.includes('-----BEGIN ')) keys.push(pemKey(text, allowed))
      else keys.push(...fittingKeys(jwksOf(text), allowed))
    } catch (error) {
      throw new Error(`key ${index + 1}: ${(error as Error).message}`)
    }
  }
  return new KeySet(keys)
}

/** @throws Error when one is broken, or none fits. */
function fittingKeys(
  jwks: readonly unknown[],
  allowed: readonly AlgorithmName[],
): VerificationKey[] {
  const keys: VerificationKey[] = []
  let unfit: UnfitKey | null = null
  for (const jwk of jwks) {
    try {
      keys.push(jwkKey(jwk, allowed, true))
    } catch (error) {
      if (!(error instanceof UnfitKey)) throw error
      unfit = error
    }
  }
  if (keys.length === 0) throw unfit ?? new Error('this set holds no keys')
  return keys
}

/**
 * The keys of a set that was published: whatever can't be used here is passed over, shared secrets
 * among it, for nobody may publish one.
 * @throws Error when it is no JWK set.
 */
export function publishedKeySet(text: string, allowed: readonly AlgorithmName[]): KeySet {
  const keys: VerificationKey[] = []
  for (const jwk of jwksOf(text).slice(0, KEYS_MAX)) {
    try {
      keys.push(jwkKey(jwk, allowed, false))
    } catch {
      // For encryption, of a kind that is not known, or too weak.
    }
  }
  return new KeySet(keys)
}

function pemKey(text: string, allowed: readonly AlgorithmName[]): VerificationKey {
  if (text.includes('PRIVATE KEY-----')) {
    throw new Error('this is a private key; only its public half belongs here')
  }
  let key: KeyObject
  try {
    key = createPublicKey(text)
  } catch {
    throw new Error('this PEM holds no public key and no certificate')
  }
  return new VerificationKey(key, null, allowed)
}

function jwksOf(text: string): unknown[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new Error('expected PEM, a JWK or a JWK set')
  }
  if (typeof value !== 'object' || value === null) {
    throw new Error('expected PEM, a JWK or a JWK set')
  }
  if ('kty' in value) return [value]
  if ('keys' in value && Array.isArray(value.keys)) return value.keys
  throw new Error('a JWK set has a list `keys`')
}

function jwkKey(
  jwk: unknown,
  allowed: readonly AlgorithmName[],
  secrets: boolean,
): VerificationKey {
  if (typeof jwk !== 'object' || jwk === null) throw new Error('a JWK is an object')
  const { kty, kid, alg, use, key_ops: operations, k, d } = jwk as Record<string, unknown>
  if (use !== undefined && use !== 'sig') throw new UnfitKey('this key is not for signatures')
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) {
    throw new UnfitKey('this key is not for verifying (`key_ops`)')
  }
  if (kid !== undefined && typeof kid !== 'string') throw new Error('`kid` is not a text')
  const usable = alg === undefined ? allowed : allowed.filter((name) => name === alg)
  if (kty === 'oct') {
    if (!secrets || typeof k !== 'string') throw new Error('this shared secret cannot be used')
    const secret = createSecretKey(Buffer.from(k, 'base64url'))
    return new VerificationKey(secret, kid ?? null, usable)
  }
  if (d !== undefined) throw new Error('this is a private key; only its public half belongs here')
  return new VerificationKey(publicKeyOf(jwk), kid ?? null, usable)
}

/** @throws Error without the words of the key. */
export function publicKeyOf(jwk: object): KeyObject {
  try {
    return createPublicKey({ key: jwk as JsonWebKeyInput['key'], format: 'jwk' })
  } catch {
    throw new Error('this JWK holds no public key')
  }
}
