// JWS in compact form (RFC 7515 3.1), read strictly: one spelling for every token.
import type { AlgorithmName } from './algorithms.ts'
import { ALGORITHMS } from './algorithms.ts'
import type { Refusal } from './refusal.ts'
import { type JsonObject, parseStrictObject } from './strict-json.ts'

/** What a header says, as far as it matters. */
export interface TokenHeader {
  readonly alg: AlgorithmName
  readonly kid: string | null
  /** Lower case, without `application/`; null if absent. */
  readonly typ: string | null
  /** Whether it brings or points to a key: `jku`, `jwk`, `x5u`, `x5c`. */
  readonly bringsKey: boolean
  /** The member `jwk`, for proofs; undefined if absent. */
  readonly jwk: unknown
}

/** Where the parts of a token are. */
export interface TokenParts {
  readonly headerEnd: number
  readonly payloadEnd: number
}

/** Finds the parts of a token. */
export function splitToken(token: string): TokenParts | Refusal {
  const headerEnd = token.indexOf('.')
  if (headerEnd <= 0) return 'malformed'
  const payloadEnd = token.indexOf('.', headerEnd + 1)
  if (payloadEnd === -1) return 'malformed'
  const third = token.indexOf('.', payloadEnd + 1)
  if (third === -1) return { headerEnd, payloadEnd }
  const fourth = token.indexOf('.', third + 1)
  // RFC 7516 3.1: five parts.
  return fourth !== -1 && token.indexOf('.', fourth + 1) === -1 ? 'encrypted' : 'malformed'
}

/** The bytes of base64url without padding; null if another spelling would give the same bytes. */
export function decodeBase64Url(text: string): Buffer | null {
  const { length } = text
  const rest = length & 3
  // Node takes `+` and `/` as well; whatever else is not of the alphabet leaves fewer bytes.
  if (rest === 1 || text.indexOf('+') !== -1 || text.indexOf('/') !== -1) return null
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.length !== (length * 3) >> 2) return null
  return rest === 0 || hasNoSpareBits(text.charCodeAt(length - 1), rest) ? bytes : null
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** Whether the last character has only bits that become part of a byte: its first 2 of 2, or 4 of 3. */
function hasNoSpareBits(code: number, rest: number): boolean {
  return (ALPHABET.indexOf(String.fromCharCode(code)) & (rest === 2 ? 0x0f : 0x03)) === 0
}

/** Reads a part that holds a JSON object. */
export function decodeObject(text: string): JsonObject | 'malformed' | 'duplicate_member' {
  const bytes = decodeBase64Url(text)
  return bytes === null ? 'malformed' : parseStrictObject(bytes)
}

/** Reads a header, and refuses what no token may say that is taken here. */
export function readHeader(text: string): TokenHeader | Refusal {
  const header = decodeObject(text)
  if (typeof header === 'string') return header
  const { alg, kid, typ, cty, crit, zip, enc, b64, jwk } = header
  // Nothing is understood that a token could demand, `b64` (RFC 7797) included.
  if (crit !== undefined || (b64 !== undefined && b64 !== true)) return 'unknown_critical'
  if (typeof alg !== 'string') return 'malformed'
  if (enc !== undefined) return 'encrypted'
  if (zip !== undefined) return 'compressed'
  if (alg.toLowerCase() === 'none') return 'unsigned'
  if (!Object.hasOwn(ALGORITHMS, alg)) return 'algorithm_refused'
  if (kid !== undefined && typeof kid !== 'string') return 'malformed'
  if (typ !== undefined && typeof typ !== 'string') return 'malformed'
  if (cty !== undefined && typeof cty !== 'string') return 'malformed'
  if (cty !== undefined && mediaType(cty) === 'jwt') return 'nested'
  return {
    alg: alg as AlgorithmName,
    kid: kid ?? null,
    typ: typ === undefined ? null : mediaType(typ),
    bringsKey: ['jku', 'jwk', 'x5u', 'x5c'].some((name) => header[name] !== undefined),
    jwk,
  }
}

/** RFC 7515 4.1.9: `application/` may be left out, and case does not matter. */
export function mediaType(text: string): string {
  const lower = text.toLowerCase()
  return lower.startsWith('application/') ? lower.slice('application/'.length) : lower
}
