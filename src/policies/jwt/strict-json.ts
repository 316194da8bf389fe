// JSON as a token may hold it: an object without a member named twice (RFC 7515 4, RFC 7519 4), in
// valid UTF-8.
import { isUtf8 } from 'node:buffer'

/** A JSON object. */
export type JsonObject = Record<string, unknown>

/** Deeper than any token that means well. */
const DEPTH_MAX = 32

const BACKSLASH = 0x5c
const COLON = 0x3a
const SPACE = 0x20

/** Reads one object, or says what is wrong with it. */
export function parseStrictObject(bytes: Buffer): JsonObject | 'malformed' | 'duplicate_member' {
  if (!isUtf8(bytes)) return 'malformed'
  const text = bytes.toString('utf8')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return 'malformed'
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'malformed'
  const members = membersIn(value, 1)
  if (members === TOO_DEEP) return 'malformed'
  // Of members with one name only the last is there, and so fewer than names in the text.
  return members === namesIn(text) ? (value as JsonObject) : 'duplicate_member'
}

const TOO_DEEP = -1

/** How many members the object has, with those of all that is in it. */
function membersIn(value: object, depth: number): number {
  if (depth > DEPTH_MAX) return TOO_DEEP
  const isList = Array.isArray(value)
  const items: readonly unknown[] = isList ? value : Object.values(value)
  let count = isList ? 0 : items.length
  for (let index = 0; index < items.length; index++) {
    const item = items[index]
    if (typeof item !== 'object' || item === null) continue
    const inside = membersIn(item, depth + 1)
    if (inside === TOO_DEEP) return TOO_DEEP
    count += inside
  }
  return count
}

/** How many members text that is known to be JSON names: strings before a colon. */
function namesIn(text: string): number {
  let count = 0
  let at = text.indexOf('"')
  while (at !== -1) {
    at = endOfString(text, at) + 1
    let code = text.charCodeAt(at)
    // Between a name and its colon there may be white space, and nothing else below a space.
    while (code <= SPACE) code = text.charCodeAt(++at)
    if (code === COLON) count++
    at = text.indexOf('"', at)
  }
  return count
}

/** Where the string that begins at `start` has its closing quote. */
function endOfString(text: string, start: number): number {
  let at = text.indexOf('"', start + 1)
  while (text.charCodeAt(at - 1) === BACKSLASH) {
    let backslashes = 1
    while (text.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes++
    if (backslashes % 2 === 0) break
    at = text.indexOf('"', at + 1)
  }
  return at
}
