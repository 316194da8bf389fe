// Verifies tokens that are not remembered: form, signature, claims, in this order, so that nothing is
// believed that nobody has signed.
import type { Clock } from '../../lib/clock.ts'
import type { ClaimReader, Claims, Identity } from '../claims.ts'
import type { AlgorithmName } from './algorithms.ts'
import {
  decodeBase64Url,
  decodeObject,
  readHeader,
  splitToken,
  type TokenHeader,
} from './compact-token.ts'
import type { KeySet, VerificationKey } from './key-set.ts'
import type { Refusal } from './refusal.ts'

/** What a token must be. */
export interface TokenRules {
  /** Empty: any. */
  readonly issuers: readonly string[]
  /** Empty: any. */
  readonly audiences: readonly string[]
  readonly needsExpiry: boolean
  /** Lower case, without `application/`. */
  readonly types: readonly string[]
  /** Whether a token without a type is refused. */
  readonly needsType: boolean
  /** `at+jwt` has claims that must be there (RFC 9068 2.2). */
  readonly isAccessToken: boolean
  readonly algorithms: readonly AlgorithmName[]
  readonly toleranceMs: number
  readonly bytesMax: number
}

/** A token that was verified, with all that its requests need. */
export class VerifiedToken {
  readonly identity: Identity
  readonly key: VerificationKey
  /** Wall clock: from then on it is valid, and from then on no longer. Tolerance is in both. */
  readonly startsAtMs: number
  readonly endsAtMs: number
  /** Thumbprint (RFC 7638) of the key that its holder must prove to have; null for a bearer token. */
  readonly thumbprint: string | null
  /** For whoever remembers it. */
  readonly bytes: number
  wasUsed = false

  constructor(
    identity: Identity,
    key: VerificationKey,
    times: { readonly startsAtMs: number; readonly endsAtMs: number },
    thumbprint: string | null,
    bytes: number,
  ) {
    this.identity = identity
    this.key = key
    this.startsAtMs = times.startsAtMs
    this.endsAtMs = times.endsAtMs
    this.thumbprint = thumbprint
    this.bytes = bytes
  }
}

/** Headers of tokens that were verified; issuers use a few, over and over. */
const HEADERS_MAX = 64
/** Roughly what an entry takes besides its claims, and claims as objects per character of the token. */
const ENTRY_BYTES = 600
const BYTES_PER_CHARACTER = 4

/** Verifies by one set of rules. */
export class TokenVerifier {
  /** The name of the key that the last token asked for; null when it named none. */
  lastKid: string | null = null
  /** Whether there was no key that it could have been signed with. */
  wantsKey = false
  readonly #rules: TokenRules
  readonly #reader: ClaimReader
  readonly #clock: Clock
  readonly #headers = new Map<string, TokenHeader>()
  /** The one that was looked for last: one token after the other has the same. */
  #lastText = ''
  #lastHeader: TokenHeader | null = null

  constructor(rules: TokenRules, reader: ClaimReader, clock: Clock) {
    this.#rules = rules
    this.#reader = reader
    this.#clock = clock
  }

  /** Verifies a token, or says why it is refused. Never throws. */
  verify(token: string, keys: KeySet): VerifiedToken | Refusal {
    this.lastKid = null
    this.wantsKey = false
    if (token.length > this.#rules.bytesMax) return 'too_large'
    const parts = splitToken(token)
    if (typeof parts === 'string') return parts
    const known = this.#knownHeader(token, parts.headerEnd)
    const header = known ?? this.#readHeader(token.slice(0, parts.headerEnd))
    if (typeof header === 'string') return header
    this.lastKid = header.kid
    const key = signerOf(token, parts.payloadEnd, header, keys)
    this.wantsKey = key === 'unknown_key'
    if (typeof key === 'string') {
      const isDoubtful = key === 'unknown_key' || key === 'bad_signature'
      return isDoubtful && header.bringsKey ? 'foreign_key' : key
    }
    if (known === null) this.#rememberHeader(token.slice(0, parts.headerEnd), header)
    const claims = decodeObject(token.slice(parts.headerEnd + 1, parts.payloadEnd))
    if (typeof claims === 'string') return claims
    return this.#check(claims, key, token.length)
  }

  /** The header of a token, if one that was signed had the same. */
  #knownHeader(token: string, end: number): TokenHeader | null {
    if (this.#lastText.length === end && token.startsWith(this.#lastText)) return this.#lastHeader
    const text = token.slice(0, end)
    const header = this.#headers.get(text)
    if (header === undefined) return null
    this.#lastText = text
    this.#lastHeader = header
    return header
  }

  #readHeader(text: string): TokenHeader | Refusal {
    const header = readHeader(text)
    if (typeof header === 'string') return header
    if (!this.#rules.algorithms.includes(header.alg)) return 'algorithm_refused'
    if (header.typ === null ? this.#rules.needsType : !this.#rules.types.includes(header.typ)) {
      return 'wrong_type'
    }
    return header
  }

  #rememberHeader(text: string, header: TokenHeader): void {
    if (this.#headers.size === HEADERS_MAX) this.#headers.clear()
    this.#headers.set(text, header)
  }

  #check(claims: Claims, key: VerificationKey, length: number): VerifiedToken | Refusal {
    const { toleranceMs } = this.#rules
    const refusal = this.#wrongTypes(claims) ?? this.#misplaced(claims)
    if (refusal !== null) return refusal
    const { exp, nbf } = claims as { readonly exp?: number; readonly nbf?: number }
    const endsAtMs = exp === undefined ? Number.POSITIVE_INFINITY : exp * 1000 + toleranceMs
    const startsAtMs = nbf === undefined ? Number.NEGATIVE_INFINITY : nbf * 1000 - toleranceMs
    const now = this.#clock.wallTime()
    if (now >= endsAtMs) return 'expired'
    if (now < startsAtMs) return 'not_yet_valid'
    const thumbprint = confirmation(claims.cnf)
    if (thumbprint === undefined) return 'bound_elsewhere'
    const identity = this.#reader.identity(claims)
    if (identity === null) return 'no_subject'
    const bytes = ENTRY_BYTES + length * BYTES_PER_CHARACTER
    return new VerifiedToken(identity, key, { startsAtMs, endsAtMs }, thumbprint, bytes)
  }

  /** RFC 7519 4.1 and RFC 9068 2.2: what a claim must be, if it is there, and which must be there. */
  #wrongTypes(claims: Claims): Refusal | null {
    const { issuers, audiences, needsExpiry, isAccessToken } = this.#rules
    const { exp, nbf, iat, iss, aud, sub, jti, client_id: client } = claims
    if (isWrongTime(exp) || isWrongTime(nbf) || isWrongTime(iat)) return 'malformed_claim'
    if (isWrongText(iss) || isWrongText(sub) || isWrongText(jti) || isWrongText(client)) {
      return 'malformed_claim'
    }
    if (aud !== undefined && !isAudience(aud)) return 'malformed_claim'
    if (exp === undefined && needsExpiry) return 'missing_claim'
    if (iss === undefined && issuers.length > 0) return 'missing_claim'
    if (aud === undefined && audiences.length > 0) return 'missing_claim'
    if (!isAccessToken) return null
    const needed = [iss, exp, aud, sub, client, iat, jti]
    return needed.includes(undefined) ? 'missing_claim' : null
  }

  #misplaced(claims: Claims): Refusal | null {
    const { issuers, audiences } = this.#rules
    if (issuers.length > 0 && !issuers.includes(claims.iss as string)) return 'wrong_issuer'
    if (audiences.length === 0) return null
    const aud = claims.aud as string | readonly string[]
    const isHere =
      typeof aud === 'string' ? audiences.includes(aud) : aud.some((one) => audiences.includes(one))
    return isHere ? null : 'wrong_audience'
  }
}

/** The key that signed a token, among those that it may have been signed with. */
export function signerOf(
  token: string,
  payloadEnd: number,
  header: TokenHeader,
  keys: KeySet,
): VerificationKey | Refusal {
  const candidates = keys.candidates(header.kid)
  if (candidates.length === 0) return 'unknown_key'
  let data: Buffer | null = null
  let signature: Buffer | null = null
  let isAllowed = false
  for (let index = 0; index < candidates.length; index++) {
    const key = candidates[index]!
    const verifier = key.verifier(header.alg)
    if (verifier === null) continue
    isAllowed = true
    if (verifier.isSecret) {
      if (verifier.signed(token, payloadEnd)) return key
      continue
    }
    data ??= Buffer.from(token.slice(0, payloadEnd), 'latin1')
    signature ??= decodeBase64Url(token.slice(payloadEnd + 1))
    if (signature === null) return 'malformed'
    if (verifier.verify(data, signature)) return key
  }
  if (signature === null && decodeBase64Url(token.slice(payloadEnd + 1)) === null) {
    return 'malformed'
  }
  return isAllowed ? 'bad_signature' : 'algorithm_refused'
}

function isWrongTime(claim: unknown): boolean {
  return claim !== undefined && !Number.isFinite(claim)
}

function isWrongText(claim: unknown): boolean {
  return claim !== undefined && typeof claim !== 'string'
}

function isAudience(aud: unknown): boolean {
  return (
    typeof aud === 'string' || (Array.isArray(aud) && aud.every((item) => typeof item === 'string'))
  )
}

/** RFC 7800 3.1: the thumbprint, null without a confirmation, undefined for one that can't be checked. */
function confirmation(cnf: unknown): string | null | undefined {
  if (cnf === undefined) return null
  if (typeof cnf !== 'object' || cnf === null) return
  const { jkt } = cnf as Record<string, unknown>
  return typeof jkt === 'string' && Object.keys(cnf).length === 1 ? jkt : undefined
}
