// JSON as a token may hold it: an object without a member named twice (RFC 7515 4, RFC 7519 4), in
// valid UTF-8.
import { isUtf8 } from 'node:buffer'

/** A JSON object. */
export type JsonObject = Record<string, unknown>

/** Deeper than any token that means well. */
const DEPTH_MAX = 32

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d
const COMMA = 0x2c

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
  const problem = structureProblem(text)
  return problem ?? (value as JsonObject)
}

/**
 * Goes over text that is known to be JSON. Only what decides about names is looked at: where objects
 * begin and end, and the strings that stand first in their members.
 */
function structureProblem(text: string): 'malformed' | 'duplicate_member' | null {
  /** The names seen in each object that is open; null for a list. */
  const open: (string[] | null)[] = []
  let isName = false
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      const end = endOfString(text, at)
      if (isName) {
        const name = text.slice(at + 1, end)
        const names = open[open.length - 1]!
        const plain = name.indexOf('\\') === -1 ? name : (JSON.parse(`"${name}"`) as string)
        if (names.includes(plain)) return 'duplicate_member'
        names.push(plain)
        isName = false
      }
      at = end
    } else if (code === OPEN_OBJECT || code === OPEN_LIST) {
      if (open.length === DEPTH_MAX) return 'malformed'
      isName = code === OPEN_OBJECT
      open.push(isName ? [] : null)
    } else if (code === CLOSE_OBJECT || code === CLOSE_LIST) {
      open.pop()
      isName = false
    } else if (code === COMMA) {
      isName = open[open.length - 1] !== null
    }
  }
  return null
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
