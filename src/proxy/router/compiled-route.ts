// One route, prepared: its path understood, its conditions compiled.
import { compareConditions, RouteConditions } from './conditions.ts'
import { matchesHost, parseHostPattern } from './host-pattern.ts'
import { matchesPath, type PathPattern, parsePathPattern, pathParameters } from './path-pattern.ts'
import type { PathParameters, RoutedRequest, RouteEntry } from './route-entry.ts'

/** A route entry, ready to match. */
export class CompiledRoute<T> implements PathParameters {
  readonly entry: RouteEntry<T>
  readonly path: PathPattern
  readonly conditions: RouteConditions
  /** Copies of what every lookup needs, so that it touches few objects. */
  readonly value: T
  readonly hasParameters: boolean
  readonly unconditional: boolean

  constructor(entry: RouteEntry<T>) {
    this.entry = entry
    this.path = parsePathPattern(entry.path)
    this.conditions = new RouteConditions(entry)
    this.value = entry.value
    this.hasParameters = this.path.parameters.length > 0
    const { methods, headers, query, clientIps } = entry
    this.unconditional = methods.length + headers.length + query.length + clientIps.length === 0
  }

  parametersOf(path: string): Record<string, string> {
    return pathParameters(this.path, path)
  }

  /** What keeps the request away, in words; null if nothing does. */
  failure(host: string | null, request: RoutedRequest): string | null {
    if (host !== null && !matchesHost(parseHostPattern(host), request.host)) return 'host'
    if (!matchesPath(this.path, request.path)) return 'path'
    return this.conditions.failure(request)
  }
}

/** The order of precedence under one host and path. Ids decide what the configuration left open. */
export function compareRoutes(a: CompiledRoute<unknown>, b: CompiledRoute<unknown>): number {
  return (
    compareConditions(a.entry, b.entry) ||
    (a.entry.id < b.entry.id ? -1 : a.entry.id > b.entry.id ? 1 : 0)
  )
}
