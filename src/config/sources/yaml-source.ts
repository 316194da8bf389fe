// Reads YAML and JSON (which is YAML 1.2) and remembers where everything stands.
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseAllDocuments,
  visit,
  type YAMLError,
} from 'yaml'
import { type DataPath, errorAt } from '../problem.ts'
import { FILE_START, type Position, type Source, type SyntaxFinding } from './source.ts'

/** Copies that aliases may make in all: a bound for "YAML bombs". */
const ALIAS_COUNT_MAX = 10_000

/** Messages of our own for what people meet; for the rest the parser's own words do. */
const MESSAGES: Readonly<Record<string, string>> = {
  BAD_ALIAS: 'there is no anchor of this name; text that begins with * must stand in quotes',
  DUPLICATE_KEY: 'this key stands here a second time',
  MULTIPLE_DOCS: 'a file holds one configuration; remove what follows "---"',
  NON_STRING_KEY: 'a key must be text',
  TAB_AS_INDENT: 'a tab cannot indent YAML; use spaces',
}

const TOO_DEEP = 'this is nested too deeply'

/** After one of these the parser has lost its way; what it says of the rest helps nobody. */
const IS_LOST = new Set<string>([
  'BAD_INDENT',
  'BAD_SCALAR_START',
  'BLOCK_AS_IMPLICIT_KEY',
  'BLOCK_IN_FLOW',
  'MISSING_CHAR',
  'MULTILINE_IMPLICIT_KEY',
  'TAB_AS_INDENT',
  'UNEXPECTED_TOKEN',
])

/** Reads a text. Never throws: what is wrong is in `problems`. */
export function readYaml(file: string, text: string): Source {
  const counter = new LineCounter()
  const lines = text.split(/\r?\n/)
  const broken = (problems: readonly SyntaxFinding[]): Source => ({
    file,
    lines,
    data: undefined,
    problems,
    locate: () => FILE_START,
  })
  let documents: Document[]
  try {
    documents = parse(text, counter)
  } catch (error) {
    // The parser calls itself for every level of nesting.
    if (!(error instanceof RangeError)) throw error
    return broken([at(FILE_START, TOO_DEEP)])
  }
  const document = documents[0]
  if (document === undefined) return { ...broken([]), data: null }
  const place = (offset: number) => positionAt(counter, offset)
  const problems = untilLost([...document.errors, ...document.warnings]).map((error) =>
    at(place(error.pos[0]), messageOf(error, text)),
  )
  const second = documents[1]
  if (second !== undefined)
    problems.push(at(place(second.range?.[0] ?? 0), MESSAGES.MULTIPLE_DOCS!))
  if (problems.length > 0) return broken(problems)
  try {
    const data: unknown = document.toJS({ maxAliasCount: ALIAS_COUNT_MAX })
    return {
      file,
      lines,
      data,
      problems: [],
      locate: (path, what) => locate(document, path, what, place),
    }
  } catch (error) {
    if (!(error instanceof ReferenceError)) return broken([at(FILE_START, TOO_DEEP)])
    const alias = unresolvedAlias(document)
    const offset = alias?.range?.[0]
    return broken([
      offset === undefined
        ? at(FILE_START, 'the aliases stand for more than a configuration may hold')
        : at(place(offset), MESSAGES.BAD_ALIAS!),
    ])
  }
}

function unresolvedAlias(document: Document): Alias | null {
  let found: Alias | null = null
  visit(document, {
    Alias: (_, alias) => {
      if (alias.resolve(document) !== undefined) return undefined
      found = alias
      return visit.BREAK
    },
  })
  return found
}

function parse(text: string, lineCounter: LineCounter): Document[] {
  const documents = parseAllDocuments(text, {
    lineCounter,
    merge: true,
    prettyErrors: false,
    stringKeys: true,
    uniqueKeys: true,
    version: '1.2',
  })
  return Array.isArray(documents) ? documents : []
}

function positionAt(counter: LineCounter, offset: number): Position {
  const { line, col } = counter.linePos(offset)
  return line < 1 ? FILE_START : { line, column: Math.max(col, 1) }
}

function at(position: Position, message: string): SyntaxFinding {
  return { ...errorAt([], message), position }
}

function untilLost(errors: readonly YAMLError[]): YAMLError[] {
  const sorted = [...errors].sort((a, b) => a.pos[0] - b.pos[0])
  const last = sorted.findIndex((error) => IS_LOST.has(error.code))
  return last < 0 ? sorted : sorted.slice(0, last + 1)
}

function messageOf(error: YAMLError, text: string): string {
  const [start] = error.pos
  if (text[start] === '{' && /\S/.test(text[start - 1] ?? ' ')) {
    return 'text with braces must stand in quotes here, like "/users/{id}"'
  }
  return MESSAGES[error.code] ?? `this is not valid YAML: ${lowerFirst(error.message)}`
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1)
}

/** The pair of a map that holds `key`, in the map itself or in what it merges in. */
function findPair(document: Document, node: Node, key: string | number): Pair | null {
  if (!isMap(node)) return null
  let merged: Pair | null = null
  for (const pair of node.items) {
    const name = isScalar(pair.key) ? pair.key.value : null
    if (name === key || String(name) === String(key)) return pair
    if (name === '<<' || typeof name === 'symbol') merged ??= findMerged(document, pair.value, key)
  }
  return merged
}

function findMerged(document: Document, value: unknown, key: string | number): Pair | null {
  const node = follow(document, value)
  if (node === null) return null
  if (!isSeq(node)) return findPair(document, node, key)
  for (const item of node.items) {
    const target = follow(document, item)
    const pair = target === null ? null : findPair(document, target, key)
    if (pair !== null) return pair
  }
  return null
}

function follow(document: Document, value: unknown): Node | null {
  const node = (isPair(value) ? value.value : value) as Node | null
  return isAlias(node) ? (node.resolve(document) ?? null) : (node ?? null)
}

function locate(
  document: Document,
  path: DataPath,
  what: 'key' | 'value',
  place: (offset: number) => Position,
): Position {
  let node = follow(document, document.contents)
  let best = start(node, null)
  for (const [depth, part] of path.entries()) {
    if (node === null) break
    const pair = findPair(document, node, part)
    const item = pair === null && isSeq(node) && typeof part === 'number' ? node.items[part] : null
    if (pair === null && item === undefined) break
    if (pair === null && item === null) break
    const written = (pair === null ? item : pair.value) as Node | null
    const key = pair === null ? null : (pair.key as Node)
    const isLast = depth === path.length - 1
    best = (isLast && what === 'key' ? start(key, null) : start(written, key)) ?? best
    node = follow(document, written)
  }
  return best === null ? FILE_START : place(best)
}

/** Where a node begins; where its key begins when the node is empty. */
function start(node: Node | null, key: Node | null): number | null {
  const range = node?.range
  const isEmpty = range === null || range === undefined || range[0] === range[1]
  if (!isEmpty) return range[0]
  return key?.range?.[0] ?? range?.[0] ?? null
}
