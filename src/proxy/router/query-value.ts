// Reads one parameter out of a raw query without parsing the rest.
import { octetAt } from './path-text.ts'

/**
 * The decoded value of the first parameter of that name; '' if it has none, null if there is no such
 * parameter. Names and values are percent-encoded UTF-8, "+" is a space.
 */
export function queryValue(query: string, name: string): string | null {
  let start = 0
  while (start < query.length) {
    let end = query.indexOf('&', start)
    if (end < 0) end = query.length
    let equals = query.indexOf('=', start)
    if (equals < 0 || equals > end) equals = end
    if (isName(query, start, equals, name))
      return equals >= end ? '' : decodeForm(query.substring(equals + 1, end))
    start = end + 1
  }
  return null
}

function isName(query: string, start: number, end: number, name: string): boolean {
  if (end === start) return false
  if (end - start === name.length && query.startsWith(name, start)) return true
  // Only an encoded name can be equal in spite of its length; it is never shorter than the text.
  if (end - start < name.length) return false
  const raw = query.substring(start, end)
  return decodeForm(raw) === name
}

function decodeForm(text: string): string {
  if (text.indexOf('%') < 0 && text.indexOf('+') < 0) return text
  const spaced = text.replaceAll('+', ' ')
  try {
    return decodeURIComponent(spaced)
  } catch {
    return decodeBytes(spaced)
  }
}

/** For what is not valid UTF-8 or not validly encoded: keeps what has no meaning. */
function decodeBytes(text: string): string {
  const bytes: number[] = []
  for (let index = 0; index < text.length; index++) {
    const octet = text.charCodeAt(index) === 0x25 ? octetAt(text, index) : -1
    bytes.push(octet < 0 ? text.charCodeAt(index) : octet)
    if (octet >= 0) index += 2
  }
  return Buffer.from(bytes).toString('utf8')
}
