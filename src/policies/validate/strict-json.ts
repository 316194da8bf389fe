// JSON that every reader reads alike (RFC 8259, RFC 7493): UTF-8 without a byte order mark, no key twice
// in one object, and neither too deep nor too many parts.

/** How much a text may hold. */
export interface JsonBounds {
  /** Objects and arrays within each other. */
  readonly depthMax: number
  /** Members of objects and items of arrays, in all. */
  readonly membersMax: number
}

/** A text that was read. */
export interface JsonText {
  readonly value: unknown
  /** Members of objects and items of arrays, in all. */
  readonly members: number
}

const DECODER = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d

/** Reads a JSON text; what is wrong with it comes back as a sentence without any of its content. */
export function readJson(bytes: Uint8Array, bounds: JsonBounds): JsonText | string {
  let text: string
  try {
    text = DECODER.decode(bytes)
  } catch {
    return 'is not valid UTF-8'
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return 'is not valid JSON'
  }
  const members = countMembers(text, bounds)
  return typeof members === 'string' ? members : { value, members }
}

/** Walks through a text that is known to be valid. */
function countMembers(text: string, { depthMax, membersMax }: JsonBounds): number | string {
  /** The keys so far of each open object; null for an array. */
  const open: (Set<string> | null)[] = []
  let members = 0
  let isKey = false
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      const end = stringEnd(text, at)
      if (isKey) {
        const keys = open[open.length - 1]!
        const key = keyAt(text, at, end)
        if (keys.has(key)) return 'holds an object with the same key twice'
        keys.add(key)
        isKey = false
      }
      at = end
    } else if (code === OPEN_OBJECT || code === OPEN_ARRAY) {
      if (open.length === depthMax) return `is nested deeper than ${depthMax} levels`
      const isObject = code === OPEN_OBJECT
      open.push(isObject ? new Set() : null)
      isKey = isObject
      // As many commas as members but one: the first is counted here, unless there is none.
      if (!isEmpty(text, at)) members++
    } else if (code === COMMA) {
      members++
      isKey = open[open.length - 1] !== null
    } else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) {
      open.pop()
      isKey = false
    } else continue
    if (members > membersMax) return `holds more than ${membersMax} members`
  }
  return members
}

/** Where the string that begins at `start` has its closing quote. */
function stringEnd(text: string, start: number): number {
  let at = start + 1
  for (;;) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) return at
    at += code === BACKSLASH ? 2 : 1
  }
}

function keyAt(text: string, start: number, end: number): string {
  const written = text.slice(start + 1, end)
  return written.includes('\\') ? JSON.parse(`"${written}"`) : written
}

/** Whether the object or array that opens at `start` closes at once. */
function isEmpty(text: string, start: number): boolean {
  let at = start + 1
  let code = text.charCodeAt(at)
  while (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) {
    code = text.charCodeAt(++at)
  }
  return code === CLOSE_OBJECT || code === CLOSE_ARRAY
}
