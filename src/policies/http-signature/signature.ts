// The signature of a request as it came: which one is meant, what it covers, and what it says of
// itself (RFC 9421 4).
import { type InnerList, isInnerList, parseDictionary } from 'structured-headers'

/** Why a signature is not accepted. The names are part of the answer: stable. */
export type Reason =
  | 'malformed'
  | 'ambiguous'
  | 'unknown_key'
  | 'algorithm'
  | 'components'
  | 'created'
  | 'expired'
  | 'replayed'
  | 'digest'
  | 'mismatch'

/** One signature. */
export interface ReceivedSignature {
  /** What it covers, with its parameters: what `@signature-params` stands for. */
  readonly input: InnerList
  readonly bytes: Buffer
  /** In seconds since 1970; null if it does not say. */
  readonly created: number | null
  readonly expires: number | null
  readonly keyId: string | null
  readonly algorithm: string | null
  readonly nonce: string | null
}

/** Longer fields are nobody's signature. */
const FIELD_LENGTH_MAX = 8192
const COMPONENTS_MAX = 64

/**
 * Reads the one signature that is meant: the one with that label and that tag, if they are given, of
 * which there must be one only.
 * @param inputs the value of Signature-Input.
 * @param signatures the value of Signature.
 * @returns null if there is none.
 */
export function readSignature(
  inputs: string | null,
  signatures: string | null,
  label: string | null,
  tag: string | null,
): ReceivedSignature | Reason | null {
  if (inputs === null) return null
  if (signatures === null) return 'malformed'
  if (inputs.length > FIELD_LENGTH_MAX || signatures.length > FIELD_LENGTH_MAX) return 'malformed'
  try {
    const found = chosen(parseDictionary(inputs), label, tag)
    if (found === null || typeof found === 'string') return found
    const value = parseDictionary(signatures).get(found.label)
    if (value === undefined || !(value[0] instanceof ArrayBuffer)) return 'malformed'
    return received(found.input, Buffer.from(value[0]))
  } catch {
    return 'malformed'
  }
}

function chosen(
  inputs: ReturnType<typeof parseDictionary>,
  label: string | null,
  tag: string | null,
): { readonly label: string; readonly input: InnerList } | Reason | null {
  let found: { label: string; input: InnerList } | null = null
  for (const [name, input] of inputs) {
    if (label !== null && name !== label) continue
    if (!isInnerList(input)) return 'malformed'
    if (tag !== null && input[1].get('tag') !== tag) continue
    if (found !== null) return 'ambiguous'
    found = { label: name, input }
  }
  return found
}

function received(input: InnerList, bytes: Buffer): ReceivedSignature | Reason {
  const [components, parameters] = input
  if (components.length > COMPONENTS_MAX) return 'malformed'
  const created = parameters.get('created') ?? null
  const expires = parameters.get('expires') ?? null
  const keyId = parameters.get('keyid') ?? null
  const algorithm = parameters.get('alg') ?? null
  const nonce = parameters.get('nonce') ?? null
  if (!isTime(created) || !isTime(expires)) return 'malformed'
  if (!isText(keyId) || !isText(algorithm) || !isText(nonce)) return 'malformed'
  return { input, bytes, created, expires, keyId, algorithm, nonce }
}

function isTime(value: unknown): value is number | null {
  return value === null || (Number.isInteger(value) && (value as number) >= 0)
}

function isText(value: unknown): value is string | null {
  return value === null || typeof value === 'string'
}
