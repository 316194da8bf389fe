// What a route's path may be: segments (`/users/{id}/*`), a regular expression (`~ ^/v\d+/`), or any.
import { LinearRegExp } from '../../lib/linear-regexp.ts'
import {
  canonicalLiteral,
  canonicalPath,
  canonicalText,
  decodeSegment,
  octetAt,
} from './path-text.ts'

/** Bounds the depth of the tree and so what one lookup may cost. */
const SEGMENTS_MAX = 100
const PARAMETER = /^\{([A-Za-z][\w-]*)\}$/

/** A path that was understood. */
export interface PathPattern {
  /** As it was written; null if the route takes any path. */
  readonly text: string | null
  /** Segments in order: the canonical text of a literal, or null for a parameter. */
  readonly segments: readonly (string | null)[]
  /** Ends in `/*`: matches what the segments match and everything below it. */
  readonly wildcard: boolean
  /** Set when the path is a regular expression; then there are no segments. */
  readonly regexp: LinearRegExp | null
  /** What every path that the expression matches begins with, as far as that is known. */
  readonly prefix: string
  readonly parameters: readonly string[]
  /** For every parameter the number of its segment, from 0. */
  readonly parameterSegments: readonly number[]
  /** Equal for two patterns that match the same paths; parameters' names do not count. */
  readonly shape: string
}

const ANY_PATH: PathPattern = {
  text: null,
  segments: [],
  wildcard: false,
  regexp: null,
  prefix: '',
  parameters: [],
  parameterSegments: [],
  shape: '',
}

/**
 * Reads a path: null for any, segments, or `~` and a regular expression.
 * @throws SyntaxError that says what is wrong
 */
export function parsePathPattern(text: string | null): PathPattern {
  if (text === null) return ANY_PATH
  if (text.startsWith('~')) return parseExpression(text)
  if (!text.startsWith('/'))
    throw new SyntaxError('a path begins with "/", a regular expression with "~"')
  if (/[?#]/.test(text))
    throw new SyntaxError('a path holds no "?" and no "#"; use `query` for conditions')
  const parts = text.split('/').slice(1)
  const wildcard = parts.at(-1) === '*'
  if (wildcard) parts.pop()
  if (parts.length > SEGMENTS_MAX)
    throw new SyntaxError(`a path has at most ${SEGMENTS_MAX} segments`)
  const segments: (string | null)[] = []
  const parameters: string[] = []
  const parameterSegments: number[] = []
  for (const part of parts) {
    const name = PARAMETER.exec(part)?.[1]
    if (name === undefined) {
      segments.push(parseLiteral(part))
      continue
    }
    if (parameters.includes(name)) throw new SyntaxError(`the parameter {${name}} appears twice`)
    parameters.push(name)
    parameterSegments.push(segments.length)
    segments.push(null)
  }
  // Encoded literals hold no brace that could be taken for structure.
  const shape = segments.map((it) => (it === null ? '/{}' : `/${encodeURIComponent(it)}`)).join('')
  return {
    text,
    segments,
    wildcard,
    regexp: null,
    prefix: '',
    parameters,
    parameterSegments,
    shape: wildcard ? `${shape}/{*}` : shape,
  }
}

function parseLiteral(part: string): string {
  if (part.includes('*')) {
    throw new SyntaxError(
      '"*" stands only at the end, as a whole segment; write a literal one as %2A',
    )
  }
  if (/[{}]/.test(part)) {
    throw new SyntaxError(
      'a parameter is a whole segment, {name}: letters, digits, "_" and "-", a letter first; write literal braces as %7B and %7D',
    )
  }
  for (let percent = part.indexOf('%'); percent >= 0; percent = part.indexOf('%', percent + 1)) {
    if (octetAt(part, percent) < 0)
      throw new SyntaxError('"%" needs two hexadecimal digits; write a literal one as %25')
  }
  const literal = canonicalLiteral(part)
  if (literal === '.' || literal === '..')
    throw new SyntaxError('"." and ".." never match: such requests are refused')
  return literal
}

function parseExpression(text: string): PathPattern {
  const source = text.slice(1).trim()
  if (source === '') throw new SyntaxError('a regular expression follows "~"')
  const regexp = new LinearRegExp(source)
  return {
    text,
    segments: [],
    wildcard: false,
    regexp,
    prefix: literalPrefix(source),
    parameters: regexp.groupNames,
    parameterSegments: [],
    shape: `~${source}`,
  }
}

/** What every match of an expression that begins with `^` must begin with, as far as it is plain text. */
export function literalPrefix(source: string): string {
  if (!source.startsWith('^') || source.includes('\\Q') || hasTopLevelAlternative(source)) return ''
  let end = 1
  while (end < source.length && !'\\.[](){}*+?|^$'.includes(source[end]!)) end++
  // A quantifier belongs to the character before it, except that "+" needs it once.
  if (end < source.length && '*?{'.includes(source[end]!)) end--
  return source.slice(1, Math.max(end, 1))
}

function hasTopLevelAlternative(source: string): boolean {
  let depth = 0
  for (let index = 0; index < source.length; index++) {
    const character = source[index]
    if (character === '\\') index++
    else if (character === '(') depth++
    else if (character === ')') depth--
    else if (character === '|' && depth === 0) return true
    else if (character === '[') index = classEnd(source, index)
  }
  return false
}

/** Where the character class that begins at `start` ends. */
function classEnd(source: string, start: number): number {
  let index = start + 1
  if (source[index] === '^') index++
  if (source[index] === ']') index++
  for (; index < source.length && source[index] !== ']'; index++) {
    if (source[index] === '\\') index++
    else if (source.startsWith('[:', index)) {
      const end = source.indexOf(':]', index)
      if (end > 0) index = end + 1
    }
  }
  return index
}

/** Whether a path matches, by itself: for explanations; requests are looked up in a tree. */
export function matchesPath(pattern: PathPattern, path: string): boolean {
  if (pattern.text === null) return true
  const canonical = canonicalPath(path)
  if (pattern.regexp !== null) return pattern.regexp.test(canonicalText(canonical))
  const parts = canonical.split('/').slice(1)
  const { segments, wildcard } = pattern
  if (wildcard ? parts.length < segments.length : parts.length !== segments.length) return false
  return segments.every((segment, index) =>
    segment === null ? parts[index] !== '' : parts[index] === segment,
  )
}

/** The parameters of a path that matched. */
export function pathParameters(pattern: PathPattern, path: string): Record<string, string> {
  const { parameters, parameterSegments, regexp } = pattern
  if (regexp !== null) return regexp.groups(canonicalText(canonicalPath(path))) ?? {}
  const values: Record<string, string> = {}
  let segment = 0
  let start = 1
  for (let index = 0; index < parameters.length; index++) {
    const wanted = parameterSegments[index]!
    for (; segment < wanted; segment++) start = path.indexOf('/', start) + 1
    const end = path.indexOf('/', start)
    values[parameters[index]!] = decodeSegment(
      end < 0 ? path.substring(start) : path.substring(start, end),
    )
  }
  return values
}
