// Reads message heads. One pass over one string; whatever could be read in two ways is refused.
import type { ErrorCode } from '../../errors.ts'
import { isHost } from './host-field.ts'
import type { HttpLimits } from './limits.ts'
import { RESPONSE_HEADERS_MAX } from './limits.ts'
import {
  equalsFolded,
  equalsNormalized,
  FIELD_STRIDE,
  FieldKind,
  type MessageHead,
  RequestHead,
  ResponseHead,
} from './message-head.ts'
import { parseTarget } from './request-target.ts'

/** 1 for each byte of a token (RFC 9110 5.6.2). */
const TOKEN = new Uint8Array(256)
/** 1 for each byte that a field value may hold (RFC 9110 5.5). */
const VALUE = new Uint8Array(256)
for (const char of "!#$%&'*+-.^_`|~0123456789") TOKEN[char.charCodeAt(0)] = 1
for (let code = 0x41; code <= 0x5a; code++) TOKEN[code] = TOKEN[code | 0x20] = 1
VALUE[0x09] = 1
for (let code = 0x20; code <= 0xff; code++) if (code !== 0x7f) VALUE[code] = 1
/** Long values (tokens, cookies) are read by an expression, which takes half the time of a loop. */
const NOT_VALUE = /[^\t\x20-\x7e\x80-\xff]/g
const LOOPED_LENGTH_MAX = 48

/** Fields that Connection may not name: without them the request would mean something else. */
const PROTECTED_FIELDS: ReadonlySet<string> = new Set([
  'host',
  'authorization',
  'cookie',
  'content-length',
  'transfer-encoding',
  'forwarded',
  'via',
  'x-real-ip',
  'expect',
  'trailer',
  'date',
  'content-type',
  'set-cookie',
])

/**
 * Parses the head of a request (RFC 9112 2-3).
 * @param raw the head in latin1, up to and including the empty line.
 * @returns the head, or the code of what is wrong with it.
 */
export function parseRequestHead(raw: string, limits: HttpLimits): RequestHead | ErrorCode {
  const head = new RequestHead(raw)
  const lineEnd = raw.indexOf('\r\n')
  const methodEnd = tokenEnd(raw, 0, lineEnd)
  if (methodEnd === 0 || raw.charCodeAt(methodEnd) !== 0x20) return 'bad_request_line'
  const targetEnd = raw.indexOf(' ', methodEnd + 1)
  if (targetEnd === -1 || targetEnd > lineEnd || targetEnd === methodEnd + 1)
    return 'bad_request_line'
  if (targetEnd - methodEnd - 1 > limits.targetBytesMax) return 'target_too_long'
  const version = parseVersion(raw, targetEnd + 1, lineEnd)
  if (version < 0) return version === -2 ? 'bad_version' : 'bad_request_line'
  head.minorVersion = version
  head.keepAlive = version === 1
  head.method = raw.slice(0, methodEnd)
  if (head.method === 'CONNECT' || head.method === 'TRACE') return 'method_refused'

  const fieldError = parseFields(head, lineEnd + 2, limits.headersMax, true)
  if (fieldError !== null) return fieldError
  return finishRequest(head, raw.slice(methodEnd + 1, targetEnd))
}

function finishRequest(head: RequestHead, target: string): RequestHead | ErrorCode {
  const hosts = applyRequestFields(head)
  if (typeof hosts === 'string') return hosts
  if (hosts > 1 || (hosts === 0 && head.minorVersion === 1)) return 'bad_host'
  if (hosts === 1 && !isHost(head.host)) return 'bad_host'
  const targetError = parseTarget(head, target)
  if (targetError !== null) return targetError
  const framingError = checkFraming(head)
  if (framingError !== null) return framingError
  if (head.isChunked && head.minorVersion === 0) return 'bad_framing'
  const connectionError = applyConnection(head)
  if (connectionError !== null) return connectionError
  return head
}

/** Gathers what the request's own fields mean; returns the number of Host lines. */
function applyRequestFields(head: RequestHead): number | ErrorCode {
  const { raw, fields } = head
  let hosts = 0
  for (let i = 0; i < fields.length; i += FIELD_STRIDE) {
    const fieldKind = fields[i + 4]!
    if (fieldKind === FieldKind.ordinary) continue
    if (fieldKind === FieldKind.host) {
      hosts++
      head.host = raw.slice(fields[i + 2], fields[i + 3])
    } else if (fieldKind === FieldKind.expect) {
      const value = raw.slice(fields[i + 2], fields[i + 3]).toLowerCase()
      if (value !== '100-continue') return 'expectation_failed'
      head.expectsContinue = head.minorVersion === 1
    } else if (fieldKind === FieldKind.te) {
      if (/(?:^|[\s,])trailers(?:$|[\s,;])/i.test(raw.slice(fields[i + 2], fields[i + 3]))) {
        head.takesTrailers = true
      }
    }
  }
  return hosts
}

/**
 * Parses the head of a response (RFC 9112 4).
 * @returns the head, or null when it is not valid HTTP/1.
 */
export function parseResponseHead(raw: string): ResponseHead | null {
  const head = new ResponseHead(raw)
  const lineEnd = raw.indexOf('\r\n')
  if (!raw.startsWith('HTTP/1.')) return null
  const minor = raw.charCodeAt(7) - 0x30
  if (minor !== 0 && minor !== 1) return null
  if (raw.charCodeAt(8) !== 0x20) return null
  let status = 0
  for (let i = 9; i < 12; i++) {
    const digit = raw.charCodeAt(i) - 0x30
    if (digit < 0 || digit > 9) return null
    status = status * 10 + digit
  }
  // Many servers leave the space out when there is no reason phrase.
  if (status < 100 || (lineEnd !== 12 && raw.charCodeAt(12) !== 0x20)) return null
  for (let i = 12; i < lineEnd; i++) if (VALUE[raw.charCodeAt(i)] === 0) return null
  head.status = status
  head.reason = lineEnd > 13 ? raw.slice(13, lineEnd) : ''
  head.minorVersion = minor
  head.keepAlive = minor === 1
  if (parseFields(head, lineEnd + 2, RESPONSE_HEADERS_MAX, false) !== null) return null
  if (checkFraming(head) !== null || applyConnection(head) !== null) return null
  if (head.isChunked && minor === 0) return null
  return head
}

/** 0 or 1 for HTTP/1.x; -2 for another version of HTTP, -1 for something else. */
function parseVersion(raw: string, start: number, lineEnd: number): number {
  if (!raw.startsWith('HTTP/', start)) return -1
  if (lineEnd - start === 8 && raw.startsWith('1.', start + 5)) {
    const minor = raw.charCodeAt(start + 7) - 0x30
    if (minor === 0 || minor === 1) return minor
  }
  for (let i = start + 5; i < lineEnd; i++) {
    const code = raw.charCodeAt(i)
    if ((code < 0x30 || code > 0x39) && code !== 0x2e) return -1
  }
  return -2
}

function tokenEnd(raw: string, start: number, end: number): number {
  let i = start
  while (i < end && TOKEN[raw.charCodeAt(i)] === 1) i++
  return i
}

/** Fills `head.fields` from the lines that begin at `start`. */
function parseFields(
  head: MessageHead,
  start: number,
  countMax: number,
  isRequest: boolean,
): ErrorCode | null {
  const { raw, fields } = head
  const end = raw.length - 2
  let i = start
  let count = 0
  while (i < end) {
    if (++count > countMax) return 'head_too_large'
    const nameEnd = tokenEnd(raw, i, end)
    if (nameEnd === i || raw.charCodeAt(nameEnd) !== 0x3a) return 'bad_header'
    let valueStart = nameEnd + 1
    let code = raw.charCodeAt(valueStart)
    while (code === 0x20 || code === 0x09) code = raw.charCodeAt(++valueStart)
    let lineEnd = valueStart
    const looped = valueStart + LOOPED_LENGTH_MAX
    while (VALUE[code] === 1 && lineEnd < looped) code = raw.charCodeAt(++lineEnd)
    if (lineEnd === looped) {
      lineEnd = valueEndAfter(raw, lineEnd)
      code = raw.charCodeAt(lineEnd)
    }
    if (code !== 0x0d || raw.charCodeAt(lineEnd + 1) !== 0x0a || lineEnd > end) return 'bad_header'
    let valueEnd = lineEnd
    while (valueEnd > valueStart && isBlank(raw.charCodeAt(valueEnd - 1))) valueEnd--
    const fieldKind = classify(head, i, nameEnd, valueStart, valueEnd, isRequest)
    if (fieldKind < 0) return 'bad_framing'
    fields.push(i, nameEnd, valueStart, valueEnd, fieldKind)
    i = lineEnd + 2
  }
  head.fieldsEnd = i
  return i === end ? null : 'bad_header'
}

/** Where a value ends that goes on at `start`: at the first byte that it may not hold. */
function valueEndAfter(raw: string, start: number): number {
  NOT_VALUE.lastIndex = start
  return NOT_VALUE.test(raw) ? NOT_VALUE.lastIndex - 1 : raw.length
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}

/** What a field means; takes note of framing and connection on the way. -1: framing is ambiguous. */
function classify(
  head: MessageHead,
  nameStart: number,
  nameEnd: number,
  valueStart: number,
  valueEnd: number,
  isRequest: boolean,
): number {
  const { raw } = head
  switch (nameEnd - nameStart) {
    case 2:
      return equalsFolded(raw, nameStart, 'te') ? hop(head, FieldKind.te) : FieldKind.ordinary
    case 3:
      return equalsFolded(raw, nameStart, 'via') ? FieldKind.via : FieldKind.ordinary
    case 4:
      if (equalsFolded(raw, nameStart, 'host')) return FieldKind.host
      return equalsFolded(raw, nameStart, 'date') ? FieldKind.date : FieldKind.ordinary
    case 6:
      return equalsFolded(raw, nameStart, 'expect') ? FieldKind.expect : FieldKind.ordinary
    case 7:
      if (equalsFolded(raw, nameStart, 'upgrade')) {
        const value = raw.slice(valueStart, valueEnd)
        head.upgrade = head.upgrade === null ? value : `${head.upgrade}, ${value}`
        return hop(head, FieldKind.upgrade)
      }
      return equalsFolded(raw, nameStart, 'trailer') ? FieldKind.trailer : FieldKind.ordinary
    case 10:
      if (equalsFolded(raw, nameStart, 'connection')) {
        readConnection(head, raw.slice(valueStart, valueEnd))
        return hop(head, FieldKind.connection)
      }
      return equalsFolded(raw, nameStart, 'keep-alive')
        ? hop(head, FieldKind.hopByHop)
        : FieldKind.ordinary
    case 14:
      if (!equalsNormalized(raw, nameStart, 'content-length')) {
        return classifyLong(head, nameStart, nameEnd, isRequest)
      }
      return equalsFolded(raw, nameStart, 'content-length') &&
        readContentLength(head, valueStart, valueEnd)
        ? FieldKind.contentLength
        : -1
    case 17:
      if (equalsNormalized(raw, nameStart, 'transfer-encoding')) {
        if (!equalsFolded(raw, nameStart, 'transfer-encoding')) return -1
        return readTransferEncoding(head, valueStart, valueEnd)
          ? hop(head, FieldKind.transferEncoding)
          : -1
      }
      return classifyLong(head, nameStart, nameEnd, isRequest)
    default:
      return classifyLong(head, nameStart, nameEnd, isRequest)
  }
}

/** The rarer names, by their first letter. */
function classifyLong(
  head: MessageHead,
  nameStart: number,
  nameEnd: number,
  isRequest: boolean,
): number {
  const { raw } = head
  const length = nameEnd - nameStart
  const first = raw.charCodeAt(nameStart) | 0x20
  if (first === 0x70) {
    const isHop =
      (length === 16 && equalsFolded(raw, nameStart, 'proxy-connection')) ||
      (length === 19 && equalsFolded(raw, nameStart, 'proxy-authorization')) ||
      (length === 18 && equalsFolded(raw, nameStart, 'proxy-authenticate'))
    return isHop ? hop(head, FieldKind.hopByHop) : FieldKind.ordinary
  }
  if (!isRequest) return FieldKind.ordinary
  if (first === 0x66) {
    return length === 9 && equalsFolded(raw, nameStart, 'forwarded')
      ? hop(head, FieldKind.forwarded)
      : FieldKind.ordinary
  }
  if (first === 0x78) {
    const saysOrigin =
      (length > 12 && equalsNormalized(raw, nameStart, 'x-forwarded-')) ||
      (length === 9 && equalsNormalized(raw, nameStart, 'x-real-ip')) ||
      // By these, some services take another target than the one that was routed.
      (length === 14 && equalsNormalized(raw, nameStart, 'x-original-url')) ||
      (length === 14 && equalsNormalized(raw, nameStart, 'x-original-uri')) ||
      (length === 13 && equalsNormalized(raw, nameStart, 'x-rewrite-url'))
    return saysOrigin ? hop(head, FieldKind.forwarded) : FieldKind.ordinary
  }
  return FieldKind.ordinary
}

function hop(head: MessageHead, fieldKind: number): number {
  head.hasHopFields = true
  return fieldKind
}

/** RFC 9110 8.6: 1*DIGIT, once, and here at most 2^53-1. */
function readContentLength(head: MessageHead, start: number, end: number): boolean {
  if (head.contentLength !== -1 || start === end || end - start > 16) return false
  let length = 0
  for (let i = start; i < end; i++) {
    const digit = head.raw.charCodeAt(i) - 0x30
    if (digit < 0 || digit > 9) return false
    length = length * 10 + digit
  }
  if (length > Number.MAX_SAFE_INTEGER) return false
  head.contentLength = length
  return true
}

/** RFC 9112 6.1, narrowed: exactly one coding, chunked. */
function readTransferEncoding(head: MessageHead, start: number, end: number): boolean {
  if (head.isChunked || end - start !== 7 || !equalsFolded(head.raw, start, 'chunked')) return false
  head.isChunked = true
  return true
}

function checkFraming(head: MessageHead): ErrorCode | null {
  return head.isChunked && head.contentLength !== -1 ? 'bad_framing' : null
}

function readConnection(head: MessageHead, value: string): void {
  if (equalsValue(value, 'keep-alive')) {
    head.keepAlive = true
    return
  }
  for (const part of value.split(',')) {
    const option = part.trim().toLowerCase()
    if (option === '' || option === 'te') continue
    if (option === 'upgrade') head.connectionUpgrade = true
    else head.connectionOptions = [...(head.connectionOptions ?? []), option]
  }
}

function equalsValue(value: string, lower: string): boolean {
  return value.length === lower.length && equalsFolded(value, 0, lower)
}

/** Settles persistence and marks the fields that Connection names (RFC 9110 7.6.1). */
function applyConnection(head: MessageHead): ErrorCode | null {
  const options = head.connectionOptions
  if (options === null) return null
  if (options.includes('close')) head.keepAlive = false
  else if (options.includes('keep-alive')) head.keepAlive = true
  for (const option of options) {
    if (option === 'close' || option === 'keep-alive') continue
    if (tokenEnd(option, 0, option.length) !== option.length) return 'bad_connection'
    const name = option.replaceAll('_', '-')
    if (PROTECTED_FIELDS.has(name) || name.startsWith('x-forwarded-')) return 'bad_connection'
    markHop(head, option)
  }
  return null
}

function markHop(head: MessageHead, lowerName: string): void {
  const { raw, fields } = head
  for (let i = 0; i < fields.length; i += FIELD_STRIDE) {
    const start = fields[i]!
    if (fields[i + 4] !== FieldKind.ordinary || fields[i + 1]! - start !== lowerName.length)
      continue
    if (raw.slice(start, fields[i + 1]).toLowerCase() === lowerName)
      fields[i + 4] = FieldKind.removed
  }
}
