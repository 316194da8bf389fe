// What is left of a configuration when the parts that are wrong are taken out, so that the rest can be
// checked as well. Knows where each part that is left was written.
import { type DataPath, formatPath } from './problem.ts'

/** A map of settings. */
export type Draft = Record<string | number, unknown>

/** Whether a value is a map. */
export function isMap(value: unknown): value is Draft {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** In the place of what is needed but broken. */
const STAND_INS: Readonly<Record<string, unknown>> = {
  listen: 'http://127.0.0.1:1',
  routes: [{ respond: {} }],
}

/** A copy of the written data from which parts are taken out. */
export class Remainder {
  readonly draft: Draft
  /** Whether nothing was taken out. */
  isComplete = true
  /** For each entry that is left, its place in the list that was written. */
  readonly #places: Record<'routes' | 'use', number[]>
  /** Written paths of routes and services of which a part was taken out. */
  readonly #damaged = new Set<string>()
  readonly #policyNames: ReadonlySet<string>

  constructor(data: Draft) {
    this.draft = { ...data }
    for (const key of NAMED) {
      const value = data[key]
      if (isMap(value)) this.draft[key] = { ...value }
    }
    for (const key of ['routes', 'use']) {
      const value = data[key]
      if (Array.isArray(value)) this.draft[key] = [...value]
    }
    this.#places = { routes: placesOf(data.routes), use: placesOf(data.use) }
    this.#policyNames = new Set(isMap(data.policies) ? Object.keys(data.policies) : [])
  }

  /** The place of each route that is left; -1 for one that stands in for all. */
  get routeIndexes(): readonly number[] {
    return this.#places.routes
  }

  /** The same for uses on every route. */
  get useIndexes(): readonly number[] {
    return this.#places.use
  }

  /** The path in the written data of a path in the draft. */
  written(path: DataPath): DataPath {
    const [top, index, ...rest] = path
    if ((top !== 'routes' && top !== 'use') || typeof index !== 'number') return path
    return [top, this.#places[top][index] ?? index, ...rest]
  }

  /** Whether a part was taken out of the route or service at a written path. */
  isDamaged(written: DataPath): boolean {
    return this.#damaged.has(formatPath(written.slice(0, 2)))
  }

  /** Whether an issue, at a written path, only follows from something that was taken out. */
  isConsequence(issue: object, written: DataPath): boolean {
    if (written.length === 2 && this.isDamaged(written)) return true
    const params = 'params' in issue && isMap(issue.params) ? issue.params : {}
    return 'given' in params && this.#policyNames.has(String(params.given))
  }

  /** Takes out the parts that the paths lead into. Returns whether there was anything to take. */
  remove(paths: readonly DataPath[]): boolean {
    this.isComplete = false
    const indexes = { routes: new Set<number>(), use: new Set<number>() }
    const gone = new Set<string>()
    let didChange = false
    for (const path of paths) {
      const [top, next] = path
      if (top === undefined) continue
      if (this.#damage(path, gone)) didChange = true
      else if ((top === 'routes' || top === 'use') && typeof next === 'number') {
        indexes[top].add(next)
        didChange = true
      } else didChange = this.#take(top, next) || didChange
    }
    for (const top of ['routes', 'use'] as const) this.#filter(top, indexes[top])
    return didChange
  }

  /** Takes one setting out of a route or a service, if it is there; `gone` has those taken already. */
  #damage([top, next, setting, ...rest]: DataPath, gone: Set<string>): boolean {
    if ((top !== 'routes' && top !== 'services') || next === undefined || setting === undefined)
      return false
    const list = this.draft[top]
    const item = isMap(list) || Array.isArray(list) ? (list as Draft)[next] : undefined
    if (!isMap(item)) return false
    // What stands under `match` goes alone, as it would from the route itself.
    const { match } = item
    const [condition] = rest
    const isCondition = setting === 'match' && condition !== undefined && isMap(match)
    const key = formatPath(isCondition ? [next, setting, condition] : [next, setting])
    if (gone.has(`${top}${key}`)) return true
    if (!Object.hasOwn(isCondition ? match : item, isCondition ? condition : setting)) return false
    gone.add(`${top}${key}`)
    const copy = isCondition
      ? { ...item, match: without(match, condition) }
      : without(item, setting)
    ;(list as Draft)[next] = copy
    this.#damaged.add(formatPath(this.written([top, next])))
    return true
  }

  #filter(top: 'routes' | 'use', indexes: ReadonlySet<number>): void {
    const list = this.draft[top]
    if (!Array.isArray(list) || indexes.size === 0) return
    const stays = (_: unknown, index: number) => !indexes.has(index)
    this.draft[top] = list.filter(stays)
    this.#places[top] = this.#places[top].filter(stays)
    if (top === 'routes' && this.#places.routes.length === 0) this.#take('routes', undefined)
  }

  #take(top: string | number, next: string | number | undefined): boolean {
    const value = this.draft[top]
    if (NAMED.has(top) && next !== undefined && isMap(value)) {
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

/** Maps whose entries stand for themselves: one that is wrong goes alone. */
const NAMED: ReadonlySet<string | number> = new Set(['services', 'policies', 'consumers'])

function without(map: Draft, key: string | number): Draft {
  const copy = { ...map }
  delete copy[key]
  return copy
}

function placesOf(list: unknown): number[] {
  return Array.isArray(list) ? list.map((_, index) => index) : []
}
