// What a signature signs: the covered parts of a request, as it was received (RFC 9421 2).
import {
  type Item,
  isInnerList,
  parseDictionary,
  serializeByteSequence,
  serializeDictionary,
  serializeInnerList,
  serializeItem,
} from 'structured-headers'
import {
  equalsFolded,
  FIELD_STRIDE,
  FieldKind,
  type RequestHead,
} from '../../proxy/http/message-head.ts'
import type { ReceivedSignature } from './signature.ts'

/** A request, as far as its signature may cover it. */
export interface SignedRequest {
  readonly request: RequestHead
  readonly method: string
  readonly scheme: string
}

type Parameters = Item[1]

/** Fields whose type is known, so that `sf` has a meaning; all are dictionaries. */
const DICTIONARIES: ReadonlySet<string> = new Set([
  'accept-signature',
  'content-digest',
  'priority',
  'repr-digest',
  'signature',
  'signature-input',
  'want-content-digest',
  'want-repr-digest',
])
const NO_VALUE = Symbol('no value')

/**
 * The signature base (RFC 9421 2.5), as the bytes that were signed; null if a covered part is not there,
 * is there twice, or is one that no request has or nobody here can read.
 */
export function signatureBase(
  signed: SignedRequest,
  { input }: Pick<ReceivedSignature, 'input'>,
): Buffer | null {
  const seen = new Set<string>()
  let base = ''
  for (const item of input[0]) {
    const identifier = serializeItem(item)
    if (seen.has(identifier)) return null
    seen.add(identifier)
    const value = componentValue(signed, item)
    if (value === NO_VALUE) return null
    base += `${identifier}: ${value}\n`
  }
  return Buffer.from(`${base}"@signature-params": ${serializeInnerList(input)}`, 'latin1')
}

function componentValue(signed: SignedRequest, [name, parameters]: Item): string | typeof NO_VALUE {
  if (typeof name !== 'string') return NO_VALUE
  if (name === '@query-param') return queryParameter(signed.request, parameters)
  if (!name.startsWith('@')) return fieldValue(signed.request, name, parameters)
  return parameters.size === 0 ? derivedValue(signed, name) : NO_VALUE
}

/** RFC 9421 2.2. */
function derivedValue(signed: SignedRequest, name: string): string | typeof NO_VALUE {
  const { request, method, scheme } = signed
  const { target, pathLength } = request
  switch (name) {
    case '@method':
      return method
    case '@target-uri':
      return `${scheme}://${authority(signed)}${target}`
    case '@authority':
      return authority(signed)
    case '@scheme':
      return scheme
    case '@request-target':
      return target
    case '@path':
      return target.slice(0, pathLength)
    case '@query':
      return target.length > pathLength ? target.slice(pathLength) : '?'
    default:
      return NO_VALUE
  }
}

/** In lower case and without the scheme's own port (RFC 9421 2.2.3). */
function authority({ request, scheme }: SignedRequest): string {
  const host = request.host.toLowerCase()
  const port = scheme === 'https' ? ':443' : ':80'
  return host.endsWith(port) ? host.slice(0, -port.length) : host
}

/** RFC 9421 2.2.8: a parameter that is there more than once cannot be covered. */
function queryParameter(
  { target, pathLength }: RequestHead,
  parameters: Parameters,
): string | typeof NO_VALUE {
  const wanted = parameters.get('name')
  if (typeof wanted !== 'string' || parameters.size !== 1) return NO_VALUE
  let found: string | typeof NO_VALUE = NO_VALUE
  for (const [name, value] of new URLSearchParams(target.slice(pathLength + 1))) {
    if (formEncoded(name) !== wanted) continue
    if (found !== NO_VALUE) return NO_VALUE
    found = formEncoded(value)
  }
  return found
}

/** Percent-encodes everything but letters, digits and `*-._`. */
function formEncoded(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()~]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

/** RFC 9421 2.1. */
function fieldValue(
  request: RequestHead,
  name: string,
  parameters: Parameters,
): string | typeof NO_VALUE {
  // A field has one name only, in lower case.
  if (name !== name.toLowerCase()) return NO_VALUE
  const lines = fieldLines(request, name)
  if (lines.length === 0) return NO_VALUE
  if (parameters.size === 0) return lines.join(', ')
  // `tr` and `req` have no meaning here, and two of the others none together.
  if (parameters.size > 1) return NO_VALUE
  if (parameters.get('bs') === true) {
    return lines.map((line) => serializeByteSequence(Buffer.from(line, 'latin1'))).join(', ')
  }
  try {
    const key = parameters.get('key')
    if (typeof key === 'string') return memberValue(lines, key)
    if (parameters.get('sf') !== true || !DICTIONARIES.has(name)) return NO_VALUE
    return serializeDictionary(parseDictionary(lines.join(', ')))
  } catch {
    return NO_VALUE
  }
}

function memberValue(lines: readonly string[], key: string): string | typeof NO_VALUE {
  const member = parseDictionary(lines.join(', ')).get(key)
  if (member === undefined) return NO_VALUE
  return isInnerList(member) ? serializeInnerList(member) : serializeItem(member)
}

/** The values of a field, line by line, without the whitespace around them. */
function fieldLines({ raw, fields }: RequestHead, name: string): string[] {
  const lines: string[] = []
  for (let i = 0; i < fields.length; i += FIELD_STRIDE) {
    const start = fields[i]!
    if (fields[i + 1]! - start !== name.length || !equalsFolded(raw, start, name)) continue
    if (fields[i + 4] === FieldKind.removed) continue
    lines.push(raw.slice(fields[i + 2], fields[i + 3]))
  }
  return lines
}
