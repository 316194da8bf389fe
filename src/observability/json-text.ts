// Text as JSON, in ASCII alone, so that a line's length is its size and no byte of a client can
// end the line, hide in a terminal or make it invalid UTF-8.

const ESCAPES: string[] = []
for (let code = 0; code < 0x80; code++) {
  const plain = code >= 0x20 && code !== 0x22 && code !== 0x5c && code !== 0x7f
  ESCAPES.push(plain ? String.fromCharCode(code) : unicodeEscape(code))
}
ESCAPES[0x22] = '\\"'
ESCAPES[0x5c] = '\\\\'
ESCAPES[0x08] = '\\b'
ESCAPES[0x09] = '\\t'
ESCAPES[0x0a] = '\\n'
ESCAPES[0x0c] = '\\f'
ESCAPES[0x0d] = '\\r'

function unicodeEscape(code: number): string {
  return `\\u${code.toString(16).padStart(4, '0')}`
}

/** The text as a JSON string with its quotes; of what is longer than `lengthMax`, the beginning and `...`. */
export function jsonText(text: string, lengthMax: number = 4_096): string {
  const end = Math.min(text.length, lengthMax)
  for (let index = 0; index < end; index++) {
    const code = text.charCodeAt(index)
    if (code < 0x20 || code > 0x7e || code === 0x22 || code === 0x5c) {
      return escaped(text, index, end)
    }
  }
  return end === text.length ? `"${text}"` : `"${text.slice(0, end)}..."`
}

/** As above, from the first character that needs it. */
function escaped(text: string, first: number, end: number): string {
  let result = `"${text.slice(0, first)}`
  for (let index = first; index < end; index++) {
    const code = text.charCodeAt(index)
    result += code < 0x80 ? ESCAPES[code]! : unicodeEscape(code)
  }
  return end === text.length ? `${result}"` : `${result}..."`
}
