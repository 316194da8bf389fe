// Mistakes between routes, found before any request: pairs that precedence does not separate, and
// routes that no request can reach. Routes are grouped first, so that 10,000 are quick to check.
import { CompiledRoute, compareRoutes } from './compiled-route.ts'
import { conditionsCover, conditionsExclude } from './condition-logic.ts'
import { compareConditions } from './conditions.ts'
import { DividedRoutes } from './divided-routes.ts'
import { HostIndex } from './host-index.ts'
import { canonicalLiteral } from './path-text.ts'
import type { PathTree } from './path-tree.ts'
import type { RouteEntry } from './route-entry.ts'

type Route = CompiledRoute<unknown>

/** Two routes that one request could match and that precedence does not separate: an error. */
export interface Overlap {
  readonly a: string
  readonly b: string
  /** What both take, in words. */
  readonly reason: string
}

/** A route whose every request another one takes. */
export interface Unreachable {
  readonly id: string
  readonly by: string
}

/**
 * Finds overlaps; for every route one other at most, so that N equal routes are N - 1 findings.
 * Two regular expressions overlap unless they begin with different plain text.
 * @throws SyntaxError or TypeError when an entry is not valid
 */
export function findOverlaps(entries: Iterable<RouteEntry<unknown>>): Overlap[] {
  const overlaps = new Map<string, Overlap>()
  for (const { host, tree } of indexOf(entries).trees()) {
    for (const group of runsOf(tree.routes(), separatedByNothing)) {
      const pairs =
        group[0]!.path.regexp === null ? overlapsOnOnePath(group) : overlapsOfExpressions(group)
      for (const [first, second] of pairs) {
        const a = first.entry.id
        const b = second.entry.id
        const key = `${a}\0${b}`
        if (!overlaps.has(key)) overlaps.set(key, { a, b, reason: reasonOf(first, host) })
      }
    }
  }
  return [...overlaps.values()]
}

/**
 * Finds routes that are never reached because another one goes first wherever they match. What overlaps is
 * left to `findOverlaps`; a route that only several others together hide is not found.
 * @throws SyntaxError or TypeError when an entry is not valid
 */
export function findUnreachable(entries: Iterable<RouteEntry<unknown>>): Unreachable[] {
  const reachable = new Set<Route>()
  const hidden = new Map<Route, Route>()
  for (const { tree } of indexOf(entries).trees()) {
    const hiddenHere = hiddenRoutes(tree)
    for (const route of tree.routes()) {
      const by = hiddenHere.get(route)
      if (by === undefined) reachable.add(route)
      else hidden.set(route, by)
    }
  }
  const unreachable: Unreachable[] = []
  for (const [route, by] of hidden) {
    if (!reachable.has(route)) unreachable.push({ id: route.entry.id, by: by.entry.id })
  }
  return unreachable
}

function indexOf(entries: Iterable<RouteEntry<unknown>>): HostIndex<unknown> {
  const index = new HostIndex<unknown>()
  for (const entry of entries) index.add(new CompiledRoute(entry))
  return index
}

/** Splits a list wherever two neighbours do not belong together. */
function runsOf<T>(list: readonly T[], together: (a: T, b: T) => boolean): T[][] {
  const runs: T[][] = []
  for (const [index, item] of list.entries()) {
    if (index > 0 && together(list[index - 1]!, item)) runs.at(-1)!.push(item)
    else runs.push([item])
  }
  return runs
}

function sameShape(a: Route, b: Route): boolean {
  return a.path.shape === b.path.shape
}

function separatedByNothing(a: Route, b: Route): boolean {
  if (compareConditions(a.entry, b.entry) !== 0) return false
  return a.path.regexp !== null ? b.path.regexp !== null : sameShape(a, b)
}

/** Routes of one path and rank. Values that exclude each other are told apart before pairs are compared. */
function* overlapsOnOnePath(routes: readonly Route[]): Generator<[Route, Route]> {
  const divided = new DividedRoutes(routes)
  for (const route of routes) {
    const other = divided.mayMeet(route, (it) => !conditionsExclude(it, route))
    if (other !== null) yield [other, route]
    divided.add(route)
  }
}

/** Regular expressions of one rank: only those that begin with the same plain text can meet. */
function* overlapsOfExpressions(routes: readonly Route[]): Generator<[Route, Route]> {
  const enclosing: Route[] = []
  const sorted = routes.toSorted((a, b) => compareText(a.path.prefix, b.path.prefix))
  for (const route of sorted) {
    const { prefix } = route.path
    while (enclosing.length > 0 && !prefix.startsWith(enclosing.at(-1)!.path.prefix))
      enclosing.pop()
    const other = enclosing.find((it) => !conditionsExclude(it, route))
    if (other !== undefined) yield compareRoutes(other, route) < 0 ? [other, route] : [route, other]
    enclosing.push(route)
  }
}

/** The routes of a tree that another one of it hides. */
function hiddenRoutes(tree: PathTree<unknown>): Map<Route, Route> {
  const hidden = new Map<Route, Route>()
  const routes = tree.routes().toSorted((a, b) => compareText(a.path.shape, b.path.shape))
  for (const group of runsOf(routes, sameShape)) {
    const divided = new DividedRoutes(group)
    for (const route of group) {
      const by = divided.mayCover(
        route,
        (it) => compareConditions(it.entry, route.entry) < 0 && conditionsCover(it, route),
      )
      if (by !== null) hidden.set(route, by)
      divided.add(route)
    }
  }
  for (const route of routes) {
    // Expressions and routes without a path stand behind every wildcard, whatever its conditions.
    if (route.path.text !== null && route.path.regexp === null) continue
    const segments = canonicalLiteral(route.path.prefix).split('/').slice(1, -1)
    const by = tree.wildcardsOver(segments).find((it) => conditionsCover(it, route))
    if (by !== undefined) hidden.set(route, by)
  }
  return hidden
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function reasonOf(route: Route, host: string | null): string {
  const where = host === null ? 'on any host' : `on ${host}`
  return route.path.regexp === null
    ? `both take ${route.path.text ?? 'any path'} ${where}`
    : `one path may match the regular expressions of both ${where}`
}
