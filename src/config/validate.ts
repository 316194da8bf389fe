// Holds data against the schema. What is wrong is taken out and the rest is parsed again, so that
// checks across the document run on everything that can be understood: all problems in one go.
import { findingKey, findingsOf, rememberKnownKeys } from './issue.ts'
import { type DataPath, errorAt, type Finding, formatPath, valueAt } from './problem.ts'
import type { Resolved } from './references.ts'
import { type Document, documentSchema, type SchemaContext } from './schema.ts'

/** Each round takes out at least one thing; what is not clean by then is not looked at further. */
const ROUNDS_MAX = 8

/** A document as far as it could be understood. */
export interface Validated {
  readonly findings: readonly Finding[]
  /** Null when not even a part makes sense. */
  readonly document: Document | null
  /** Whether nothing was taken out. */
  readonly isComplete: boolean
  /** For each entry of `document.routes`, its place in the list that was written. */
  readonly routeIndexes: readonly number[]
  /** The same for `document.use`. */
  readonly useIndexes: readonly number[]
}

type Draft = Record<string, unknown>

/** What is parsed: a copy of the written data from which parts are taken out. */
class Remainder {
  readonly draft: Draft
  readonly #places: Record<'routes' | 'use', number[]>
  readonly #policyNames: ReadonlySet<string>
  isComplete = true

  constructor(data: Draft) {
    this.draft = { ...data }
    for (const key of ['services', 'policies'] as const) {
      if (isMap(data[key])) this.draft[key] = { ...data[key] }
    }
    this.#places = { routes: placesOf(data.routes), use: placesOf(data.use) }
    this.#policyNames = new Set(isMap(data.policies) ? Object.keys(data.policies) : [])
  }

  get routeIndexes(): readonly number[] {
    return this.#places.routes
  }

  get useIndexes(): readonly number[] {
    return this.#places.use
  }

  /** The path in the written data of a path in the draft. */
  written(path: DataPath): DataPath {
    const [top, index, ...rest] = path
    if ((top !== 'routes' && top !== 'use') || typeof index !== 'number') return path
    return [top, this.#places[top][index] ?? index, ...rest]
  }

  /** Whether an issue only follows from a policy that was taken out. */
  isConsequence(issue: object): boolean {
    if (!('params' in issue) || typeof issue.params !== 'object' || issue.params === null)
      return false
    return 'given' in issue.params && this.#policyNames.has(String(issue.params.given))
  }

  /** Takes out the parts that the paths lead into. Returns whether there was anything to take. */
  remove(paths: readonly DataPath[]): boolean {
    this.isComplete = false
    const indexes = { routes: new Set<number>(), use: new Set<number>() }
    let didChange = false
    for (const [top, next] of paths) {
      if ((top === 'routes' || top === 'use') && typeof next === 'number') {
        indexes[top].add(next)
        didChange = true
      } else if (top !== undefined) didChange = this.#take(String(top), next) || didChange
    }
    for (const top of ['routes', 'use'] as const) this.#filter(top, indexes[top])
    return didChange
  }

  #filter(top: 'routes' | 'use', without: ReadonlySet<number>): void {
    const list = this.draft[top]
    if (!Array.isArray(list) || without.size === 0) return
    const stays = (_: unknown, index: number) => !without.has(index)
    this.draft[top] = list.filter(stays)
    this.#places[top] = this.#places[top].filter(stays)
    if (top === 'routes' && this.#places.routes.length === 0) this.#take('routes', undefined)
  }

  #take(top: string, next: string | number | undefined): boolean {
    const value = this.draft[top]
    if ((top === 'services' || top === 'policies') && next !== undefined && isMap(value)) {
      return delete value[next]
    }
    const standIn = STAND_INS[top]
    if (standIn === undefined ? !Object.hasOwn(this.draft, top) : value === standIn) return false
    if (standIn === undefined) delete this.draft[top]
    else this.draft[top] = standIn
    if (top === 'routes') this.#places.routes = [-1]
    return true
  }
}

/** In the place of what is needed but broken. */
const STAND_INS: Readonly<Record<string, unknown>> = {
  listen: 'http://127.0.0.1:1',
  routes: [{ respond: {} }],
}

/**
 * A value that is one reference is text, whatever it stands for. Where text does not fit but the number
 * or truth value it spells does, that is meant.
 */
class Spelling {
  readonly #resolved: Resolved
  readonly #states = new Map<string, 'changed' | 'settled'>()

  constructor(resolved: Resolved) {
    this.#resolved = resolved
  }

  /** Changes the value at `path` if that may help; true when parsing again is worth it. */
  change(remainder: Remainder, path: DataPath): boolean {
    const written = remainder.written(path)
    const key = formatPath(written)
    const state = this.#states.get(key)
    if (state === 'settled' || !this.#resolved.whole.has(key)) return false
    const text = String(valueAt(this.#resolved.data, written))
    if (state === 'changed') {
      this.#states.set(key, 'settled')
      setAt(remainder.draft, path, text)
      return true
    }
    if (!/^(-?[0-9]{1,15}|true|false)$/.test(text)) return false
    this.#states.set(key, 'changed')
    setAt(remainder.draft, path, text === 'true' || (text !== 'false' && Number(text)))
    return true
  }
}

/** Changes one value; what lies on the way to it is copied, never changed. */
function setAt(data: Draft, path: DataPath, value: unknown): void {
  let holder = data as Record<string | number, unknown>
  for (const part of path.slice(0, -1)) {
    const inner = holder[part]
    const copy = Array.isArray(inner) ? [...inner] : { ...(inner as object) }
    holder[part] = copy
    holder = copy as Record<string | number, unknown>
  }
  holder[path[path.length - 1]!] = value
}

function isMap(value: unknown): value is Draft {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function placesOf(list: unknown): number[] {
  return Array.isArray(list) ? list.map((_, index) => index) : []
}

const NOTHING = { document: null, isComplete: false, routeIndexes: [], useIndexes: [] }

/** Parses data whose references are resolved. */
export function validate(resolved: Resolved, context: SchemaContext): Validated {
  const { data } = resolved
  if (!isMap(data)) {
    const message = data === null ? 'the file is empty' : 'this is not a configuration'
    const expected = 'a map with `listen` and `routes`'
    return { ...NOTHING, findings: [errorAt([], message, { expected })] }
  }
  const schema = documentSchema(context)
  const remainder = new Remainder(data)
  const spelling = new Spelling(resolved)
  const findings = new Map<string, Finding>()
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const result = schema.safeParse(remainder.draft, { error: rememberKnownKeys })
    if (result.success) {
      const { routeIndexes, useIndexes } = remainder
      const isComplete = remainder.isComplete && resolved.findings.length === 0
      return {
        findings: [...findings.values()],
        document: result.data,
        isComplete,
        routeIndexes,
        useIndexes,
      }
    }
    const found = result.error.issues.flatMap((issue) =>
      findingsOf(issue, remainder.draft).map((finding) => ({ issue, finding })),
    )
    if (found.filter(({ finding }) => spelling.change(remainder, finding.path)).length > 0) continue
    for (const { issue, finding } of found) {
      const written = { ...finding, path: remainder.written(finding.path) }
      if (remainder.isConsequence(issue)) continue
      findings.set(findingKey(written), written)
    }
    if (!remainder.remove(found.map(({ finding }) => finding.path))) break
  }
  return { ...NOTHING, findings: [...findings.values()] }
}
