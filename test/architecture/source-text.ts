// Reads TypeScript as text: where its strings and comments are, what it imports, how long its
// functions are. A scanner is enough for that, and it does not depend on a compiler's interface.
import { stripTypeScriptTypes } from 'node:module'

/** A function with a body in braces; lines count from the one with its opening brace. */
export interface FunctionSpan {
  line: number
  lines: number
}

const WORDS_BEFORE_REGEX =
  /(?:^|[^\w$.])(?:return|typeof|case|in|of|delete|void|throw|new|instanceof|do|else|yield|await)$/

/**
 * The same text with comments blanked and the insides of strings, templates and regular expressions
 * replaced by `x`, so that what is left is code; every position and line stays the same.
 */
export function maskText(text: string): string {
  const out = text.split('')
  const braces: ('block' | 'template')[] = []
  let position = 0

  const blank = (end: number, filler: string) => {
    for (; position < end; position++) if (text[position] !== '\n') out[position] = filler
  }
  const endOf = (found: number, length: number) => (found < 0 ? text.length : found + length)
  const template = () => {
    while (position < text.length) {
      if (text[position] === '`') return position++
      if (text.startsWith('${', position)) {
        braces.push('template')
        position += 2
        return
      }
      blank(position + (text[position] === '\\' ? 2 : 1), 'x')
    }
  }

  while (position < text.length) {
    const char = text[position]
    if (text.startsWith('//', position)) blank(endOf(text.indexOf('\n', position), 0), ' ')
    else if (text.startsWith('/*', position)) blank(endOf(text.indexOf('*/', position + 2), 2), ' ')
    else if (char === "'" || char === '"') {
      const end = endOfQuoted(text, position, char)
      position++
      blank(end - 1, 'x')
      position = end
    } else if (char === '`') {
      position++
      template()
    } else if (char === '/' && startsRegex(out, position)) {
      const end = endOfRegex(text, position)
      position++
      blank(end - 1, 'x')
      position = end
    } else {
      if (char === '{') braces.push('block')
      position++
      if (char === '}' && braces.pop() === 'template') template()
    }
  }
  return out.join('')
}

function endOfQuoted(text: string, start: number, quote: string): number {
  let position = start + 1
  while (position < text.length && text[position] !== quote && text[position] !== '\n') {
    position += text[position] === '\\' ? 2 : 1
  }
  return position + 1
}

function endOfRegex(text: string, start: number): number {
  let inClass = false
  let position = start + 1
  while (position < text.length && text[position] !== '\n') {
    const char = text[position]
    if (char === '/' && !inClass) return position + 1
    if (char === '[') inClass = true
    if (char === ']') inClass = false
    position += char === '\\' ? 2 : 1
  }
  return position
}

/** A slash begins a regular expression where a value may begin, and divides where one has ended. */
function startsRegex(masked: string[], position: number): boolean {
  let end = position
  while (end > 0 && /\s/.test(masked[end - 1]!)) end--
  if (end === 0) return true
  const before = masked.slice(Math.max(0, end - 12), end).join('')
  return !/[\w$)\]'"`]$/.test(before) || WORDS_BEFORE_REGEX.test(before)
}

/** What a file imports, re-exports or loads by name, type-only imports included. */
export function importsOf(text: string): string[] {
  const masked = maskText(text)
  const found: string[] = []
  for (const { index } of masked.matchAll(/(?:\bfrom|\bimport|\bimport\s*\()\s*(?=['"])/dg)) {
    const start = masked.slice(index).search(/['"]/) + index + 1
    found.push(text.slice(start, masked.indexOf(masked[start - 1]!, start)))
  }
  return found
}

/** Every function of a file that has a body in braces. */
export function functionsOf(text: string): FunctionSpan[] {
  const code = stripTypeScriptTypes(maskText(text).replace(/^#!.*/, ''))
  const spans: FunctionSpan[] = []
  const open: { position: number; isFunction: boolean }[] = []
  for (const { 0: brace, index } of code.matchAll(/[{}]/g)) {
    if (brace === '{') open.push({ position: index, isFunction: opensFunction(code, index) })
    else {
      const start = open.pop()
      if (start?.isFunction) spans.push(spanOf(code, start.position, index))
    }
  }
  return spans
}

function spanOf(code: string, start: number, end: number): FunctionSpan {
  const line = code.slice(0, start).split('\n').length
  return { line, lines: code.slice(start, end).split('\n').length }
}

/** Without types, a function's brace follows an arrow, or a closing parenthesis that no statement opened. */
function opensFunction(code: string, brace: number): boolean {
  const before = code.slice(0, brace).trimEnd()
  if (before.endsWith('=>')) return true
  if (!before.endsWith(')')) return false
  let depth = 0
  let position = before.length - 1
  for (; position >= 0; position--) {
    if (before[position] === ')') depth++
    if (before[position] === '(' && --depth === 0) break
  }
  return !/\b(?:if|for|for\s+await|while|switch|catch|with)\s*$/.test(before.slice(0, position))
}
