// Percent-encoding of paths: the one form in which routes and requests are compared, and the way
// from a path to its parameters and back (RFC 3986 2.1, 6.2.2).

const SLASH = 0x2f
const PERCENT = 0x25
const NEEDS_ENCODING = /[^A-Za-z0-9\-._~!$&'()*+,;=:@]/gu
const NEEDS_ENCODING_IN_PATH = /[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]/gu

/**
 * The form in which paths are compared: every octet is decoded, except `%2F` and `%25`, which stay,
 * in this spelling. So two spellings of one path are equal, and no separator appears or goes away.
 * One character stands for one byte. A percent sign that begins no octet stays as it is.
 */
export function canonicalPath(path: string): string {
  let percent = path.indexOf('%')
  if (percent < 0) return path
  let canonical = ''
  let from = 0
  while (percent >= 0) {
    const octet = octetAt(path, percent)
    if (octet >= 0) {
      canonical += path.substring(from, percent)
      if (octet === SLASH) canonical += '%2F'
      else if (octet === PERCENT) canonical += '%25'
      else canonical += String.fromCharCode(octet)
      from = percent + 3
    }
    percent = path.indexOf('%', octet >= 0 ? from : percent + 1)
  }
  return canonical + path.substring(from)
}

/** A canonical path as text: its bytes are read as UTF-8. */
export function canonicalText(canonical: string): string {
  return isAscii(canonical) ? canonical : Buffer.from(canonical, 'latin1').toString('utf8')
}

/** A path as a person writes it, decoded or encoded, in canonical form. */
export function canonicalLiteral(text: string): string {
  return canonicalPath(Buffer.from(text, 'utf8').toString('latin1'))
}

/** The text that an encoded segment stands for, `%2F` and `%25` included. */
export function decodeSegment(segment: string): string {
  const text = canonicalText(canonicalPath(segment))
  return text.indexOf('%') < 0 ? text : text.replaceAll('%2F', '/').replaceAll('%25', '%')
}

/** Encodes text, such as the value of a `{parameter}`, as one segment of a path. */
export function encodeSegment(text: string): string {
  return text.replace(NEEDS_ENCODING, encodeCharacter)
}

/** Encodes what a regular expression captured: separators and octets in it stay. */
export function encodePathText(text: string): string {
  return text.replace(NEEDS_ENCODING_IN_PATH, encodeCharacter)
}

function encodeCharacter(character: string): string {
  let encoded = ''
  for (const octet of Buffer.from(character, 'utf8')) {
    encoded += `%${octet < 16 ? '0' : ''}${octet.toString(16).toUpperCase()}`
  }
  return encoded
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) > 0x7f) return false
  }
  return true
}

/** The octet that the percent sign at `index` begins, or -1. */
export function octetAt(text: string, index: number): number {
  const high = hexDigit(text.charCodeAt(index + 1))
  const low = hexDigit(text.charCodeAt(index + 2))
  return high < 0 || low < 0 ? -1 : (high << 4) | low
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const letter = code | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}
