// Proofs that a client holds the key its token is bound to (DPoP, RFC 9449 4.3).
import { hash } from 'node:crypto'
import type { Clock } from '../../lib/clock.ts'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import type { Outcome, Store } from '../../state/store.ts'
import { algorithmsOf, PUBLIC_KEY_ALGORITHMS, Verifier } from './algorithms.ts'
import { decodeBase64Url, decodeObject, readHeader, splitToken } from './compact-token.ts'
import { publicKeyOf } from './key-set.ts'
import type { ProofNonces } from './proof-nonces.ts'
import type { Refusal } from './refusal.ts'
import type { JsonObject } from './strict-json.ts'

/** How old a proof may be, tolerance aside. */
const AGE_MAX_MS = 60_000

/** What proofs are held to. */
export interface ProofRules {
  /** `https://api.example` if clients see the gateway under another origin than it does itself, else null. */
  readonly origin: string | null
  readonly toleranceMs: number
  readonly bytesMax: number
  /** Null: proofs need none. */
  readonly nonces: ProofNonces | null
}

/** Checks proofs. */
export class ProofChecker {
  /** Whether the nonce of the proof that was checked last runs out soon; read it at once. */
  hasOldNonce = false
  readonly #rules: ProofRules
  readonly #store: Store
  readonly #clock: Clock

  constructor(rules: ProofRules, store: Store, clock: Clock) {
    this.#rules = rules
    this.#store = store
    this.#clock = clock
  }

  /** Why the proof of a request is refused; null if it shows that the client has the key of the token. */
  check(exchange: Exchange, token: string, thumbprint: string): Outcome<Refusal | null> {
    this.hasOldNonce = false
    const proof = exchange.requestHeader('dpop')
    if (proof === null) return 'proof_missing'
    if (proof.length > this.#rules.bytesMax) return 'proof_malformed'
    const claims = readProof(proof, thumbprint)
    if (typeof claims === 'string') return claims
    const { jti, htm, htu, iat, ath, nonce } = claims
    if (typeof jti !== 'string' || jti === '') return 'proof_malformed'
    if (typeof htm !== 'string' || typeof htu !== 'string' || typeof iat !== 'number') {
      return 'proof_malformed'
    }
    if (htm !== exchange.method || !this.#isTarget(htu, exchange)) return 'proof_request'
    if (ath !== hash('sha256', token, 'base64url')) return 'proof_token'
    const { toleranceMs, nonces } = this.#rules
    if (nonces !== null) {
      const standing = typeof nonce === 'string' ? nonces.standing(nonce) : 'unknown'
      if (standing === 'unknown') return 'proof_nonce'
      this.hasOldNonce = standing === 'old'
    }
    const age = this.#clock.wallTime() - iat * 1000
    if (!(age >= -toleranceMs && age <= AGE_MAX_MS + toleranceMs)) return 'proof_time'
    const key = `dpop ${hash('sha256', `${thumbprint} ${jti}`, 'base64url')}`
    const isFirst = this.#store.claim(key, AGE_MAX_MS + 2 * toleranceMs)
    return typeof isFirst === 'boolean' ? replayed(isFirst) : isFirst.then(replayed)
  }

  /** RFC 9449 4.3: the target without query and fragment, compared after normalization. */
  #isTarget(htu: string, exchange: Exchange): boolean {
    const origin = this.#rules.origin ?? `${exchange.scheme}://${exchange.authority}`
    const here = URL.parse(origin + exchange.path)
    const there = URL.parse(htu)
    if (here === null || there === null) return false
    return here.origin === there.origin && here.pathname === there.pathname
  }
}

function replayed(isFirst: boolean): Refusal | null {
  return isFirst ? null : 'proof_replayed'
}

/** The claims of a proof that was signed with the key of this thumbprint. */
function readProof(proof: string, thumbprint: string): JsonObject | Refusal {
  const parts = splitToken(proof)
  if (typeof parts === 'string') return 'proof_malformed'
  const header = readHeader(proof.slice(0, parts.headerEnd))
  if (typeof header === 'string' || header.typ !== 'dpop+jwt') return 'proof_malformed'
  const { alg, jwk } = header
  if (!PUBLIC_KEY_ALGORITHMS.includes(alg)) return 'proof_malformed'
  if (typeof jwk !== 'object' || jwk === null || 'd' in jwk) return 'proof_malformed'
  if (thumbprintOf(jwk as JsonObject) !== thumbprint) return 'proof_key'
  const signature = decodeBase64Url(proof.slice(parts.payloadEnd + 1))
  if (signature === null) return 'proof_malformed'
  try {
    const key = publicKeyOf(jwk)
    if (!algorithmsOf(key).includes(alg)) return 'proof_malformed'
    const data = Buffer.from(proof.slice(0, parts.payloadEnd), 'latin1')
    if (!new Verifier(key, alg).verify(data, signature)) return 'proof_signature'
  } catch {
    return 'proof_malformed'
  }
  const claims = decodeObject(proof.slice(parts.headerEnd + 1, parts.payloadEnd))
  return typeof claims === 'string' ? 'proof_malformed' : claims
}

/** The members that make a key, in the order of RFC 7638 3.2. */
const THUMBPRINT_MEMBERS: Readonly<Record<string, readonly string[]>> = {
  EC: ['crv', 'kty', 'x', 'y'],
  RSA: ['e', 'kty', 'n'],
  OKP: ['crv', 'kty', 'x'],
}

/** The SHA-256 thumbprint of a public key (RFC 7638); null for a key that has none here. */
export function thumbprintOf(jwk: Readonly<Record<string, unknown>>): string | null {
  const { kty } = jwk
  const members =
    typeof kty === 'string' && Object.hasOwn(THUMBPRINT_MEMBERS, kty)
      ? THUMBPRINT_MEMBERS[kty]!
      : []
  const canonical: Record<string, string> = {}
  for (const member of members) {
    const value = jwk[member]
    if (typeof value !== 'string') return null
    canonical[member] = value
  }
  return members.length === 0 ? null : hash('sha256', JSON.stringify(canonical), 'base64url')
}
