// Holds data against the schema. What is wrong is taken out and the rest is parsed again, so that
// checks across the document run on everything that can be understood: all problems in one go.
import { findingKey, findingsOf, rememberKnownKeys } from './issue.ts'
import { type DataPath, errorAt, type Finding, formatPath, valueAt } from './problem.ts'
import type { Resolved } from './references.ts'
import { type Draft, isMap, Remainder } from './remainder.ts'
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
  /** Whether a part of the route or service that was written at this path is missing. */
  isDamaged(written: DataPath): boolean
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
  let holder = data
  for (const part of path.slice(0, -1)) {
    const inner = holder[part]
    const copy = Array.isArray(inner) ? [...inner] : { ...(inner as object) }
    holder[part] = copy
    holder = copy as Draft
  }
  holder[path[path.length - 1]!] = value
}

const NOTHING = {
  document: null,
  isComplete: false,
  routeIndexes: [],
  useIndexes: [],
  isDamaged: () => false,
}

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
      return {
        findings: [...findings.values()],
        document: result.data,
        isComplete: remainder.isComplete && resolved.findings.length === 0,
        routeIndexes,
        useIndexes,
        isDamaged: (path) => remainder.isDamaged(path),
      }
    }
    const found = result.error.issues.flatMap((issue) =>
      findingsOf(issue, remainder.draft).map((finding) => ({ issue, finding })),
    )
    if (found.filter(({ finding }) => spelling.change(remainder, finding.path)).length > 0) continue
    for (const { issue, finding } of found) {
      const written = { ...finding, path: remainder.written(finding.path) }
      if (remainder.isConsequence(issue, written.path)) continue
      findings.set(findingKey(written), written)
    }
    if (!remainder.remove(found.map(({ finding }) => finding.path))) break
  }
  return { ...NOTHING, findings: [...findings.values()] }
}
