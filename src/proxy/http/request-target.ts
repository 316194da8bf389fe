// Reads request targets (RFC 9112 3.2). The path is looked at byte by byte for everything that two
// readers could resolve differently; nothing is repaired.
import type { ErrorCode } from '../../errors.ts'
import { equalsFolded, type RequestHead, TargetFlag } from './message-head.ts'

/** Sets `target`, `pathLength` and `targetFlags` of the head, or returns what is wrong. */
export function parseTarget(head: RequestHead, target: string): ErrorCode | null {
  if (target.charCodeAt(0) === 0x2f) return parseOrigin(head, target)
  if (target === '*') {
    if (head.method !== 'OPTIONS') return 'bad_target'
    head.target = target
    head.pathLength = 1
    return null
  }
  return parseAbsolute(head, target)
}

/** RFC 9112 3.2.2: taken, when its authority is the one that Host names; sent on in origin-form. */
function parseAbsolute(head: RequestHead, target: string): ErrorCode | null {
  const isHttps = target.length > 8 && equalsSchemePrefix(target, 'https')
  if (!isHttps && !(target.length > 7 && equalsSchemePrefix(target, 'http'))) return 'bad_target'
  const start = isHttps ? 8 : 7
  let end = start
  while (end < target.length) {
    const code = target.charCodeAt(end)
    if (code === 0x2f || code === 0x3f || code === 0x23) break
    end++
  }
  if (target.slice(start, end).toLowerCase() !== head.host.toLowerCase() || end === start)
    return 'bad_host'
  const rest = target.slice(end)
  return parseOrigin(head, rest.charCodeAt(0) === 0x2f ? rest : `/${rest}`)
}

function equalsSchemePrefix(target: string, scheme: string): boolean {
  return equalsFolded(target, 0, scheme) && target.startsWith('://', scheme.length)
}

function parseOrigin(head: RequestHead, target: string): ErrorCode | null {
  let flags = 0
  let dots = 0
  let onlyDots = true
  let i = 1
  const end = target.length
  for (; i < end; i++) {
    const code = target.charCodeAt(i)
    if (code === 0x2f) {
      if (onlyDots && dots > 0 && dots < 3) return 'bad_target'
      if (target.charCodeAt(i - 1) === 0x2f) flags |= TargetFlag.doubleSlash
      dots = 0
      onlyDots = true
    } else if (code === 0x2e) {
      dots++
    } else if (code === 0x25) {
      const value = hexPair(target, i + 1)
      if (value <= 0 || value === 0x5c) return 'bad_target'
      if (value === 0x2e) dots++
      else if (value === 0x2f) {
        if (onlyDots && dots > 0 && dots < 3) return 'bad_target'
        flags |= TargetFlag.encodedSlash
        dots = 0
        onlyDots = true
      } else {
        if (value === 0x3b && onlyDots && dots > 0 && dots < 3) return 'bad_target'
        if (value >= 0xc0 && isOverlong(target, i, value)) return 'bad_target'
        if (value === 0x25 && hidesSeparator(target, i + 3)) flags |= TargetFlag.encodedPercent
        onlyDots = false
      }
      i += 2
    } else if (code === 0x3f) {
      break
    } else if (code === 0x3b) {
      if (onlyDots && dots > 0 && dots < 3) return 'bad_target'
      onlyDots = false
    } else if (code <= 0x20 || code >= 0x7f || code === 0x5c || code === 0x23) {
      return 'bad_target'
    } else onlyDots = false
  }
  if (onlyDots && dots > 0 && dots < 3) return 'bad_target'
  head.target = target
  head.pathLength = i
  head.targetFlags = flags
  return isQuery(target, i) ? null : 'bad_target'
}

/** Queries are the services' own business; only bytes that no target may hold are refused. */
function isQuery(target: string, start: number): boolean {
  for (let i = start; i < target.length; i++) {
    const code = target.charCodeAt(i)
    if (code <= 0x20 || code >= 0x7f || code === 0x23) return false
  }
  return true
}

/** The byte that two hex digits name, or -1. */
function hexPair(text: string, start: number): number {
  const high = hexDigit(text.charCodeAt(start))
  const low = hexDigit(text.charCodeAt(start + 1))
  return high < 0 || low < 0 ? -1 : high * 16 + low
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

/**
 * Whether what follows an encoded percent sign would be a dot, slash, backslash, or another percent sign,
 * once decoded again. Its digits may be encoded themselves.
 */
function hidesSeparator(target: string, start: number): boolean {
  const isEncoded = target.charCodeAt(start) === 0x25
  const high = decodedDigit(target, start)
  const low = decodedDigit(target, start + (isEncoded ? 3 : 1))
  const value = high < 0 || low < 0 ? -1 : high * 16 + low
  return value === 0x2e || value === 0x2f || value === 0x5c || value === 0x25
}

/** The hex digit at `start`, plain or percent-encoded; -1 if there is none. */
function decodedDigit(target: string, start: number): number {
  const code = target.charCodeAt(start)
  return hexDigit(code === 0x25 ? hexPair(target, start + 1) : code)
}

/**
 * Whether the encoded octets at `start` are a character of ASCII in more bytes than it needs: no UTF-8
 * (RFC 3629 3), but decoded by some all the same, to a dot or a slash.
 */
function isOverlong(target: string, start: number, lead: number): boolean {
  const next = encodedOctet(target, start + 3)
  if (lead === 0xc0 || lead === 0xc1) return next >= 0x80 && next < 0xc0
  if (lead === 0xe0) return next === 0x80 || next === 0x81
  return lead === 0xf0 && next === 0x80
}

/** The octet that is percent-encoded at `start`, or -1. */
function encodedOctet(target: string, start: number): number {
  return target.charCodeAt(start) === 0x25 ? hexPair(target, start + 1) : -1
}
