// The contract of the router: which route takes a request, and why. Generic in what a route is; it
// knows nothing of sockets or HTTP objects.

import { CompiledRoute } from './compiled-route.ts'
import { HostIndex } from './host-index.ts'
import type { PathParameters, RoutedRequest, RouteEntry, ValueCondition } from './route-entry.ts'
import { Search } from './search.ts'

export type { PathParameters, RoutedRequest, RouteEntry, ValueCondition }

/** A route under one of its hosts; null is any host. */
export interface RouteRow<T> {
  readonly host: string | null
  readonly entry: RouteEntry<T>
}

/** A row and what one request makes of it. */
export interface Candidate<T> extends RouteRow<T> {
  /** Whether host, path and conditions hold. */
  readonly matches: boolean
  /** `matched`, `would match, outranked by <id>`, or what failed: `host`, `path`, `method`, `header x`, ... */
  readonly reason: string
}

/** Takes routes one by one, so that a thread can build a large table in slices. */
export class RoutingTableBuilder<T> {
  readonly #hosts = new HostIndex<T>()

  /** @throws SyntaxError or TypeError when a host, path or condition is not valid */
  add(entry: RouteEntry<T>): void {
    this.#hosts.add(new CompiledRoute(entry))
  }

  /** The table; the builder is not to be used any more. */
  finish(): RoutingTable<T> {
    return new RoutingTable(this.#hosts)
  }
}

/** Builds a table at once. @throws SyntaxError or TypeError when an entry is not valid */
export function buildRoutingTable<T>(entries: Iterable<RouteEntry<T>>): RoutingTable<T> {
  const builder = new RoutingTableBuilder<T>()
  for (const entry of entries) builder.add(entry)
  return builder.finish()
}

/** An immutable set of routes. Made by a builder. */
export class RoutingTable<T> {
  readonly #hosts: HostIndex<T>
  readonly #search = new Search()
  /** Reads the path parameters of the request found last; null if its route has none. */
  lastParameters: PathParameters | null = null
  /** For an `Allow` header: set when `find` found nothing and only the method was wrong, else null. */
  allow: string | null = null

  constructor(hosts: HostIndex<T>) {
    this.#hosts = hosts
  }

  /**
   * The value of the route that takes the request, or null; sets `lastParameters` and `allow`. Costs at most
   * one visit of every tree node whose segments the path begins with, whatever the path is.
   */
  find(request: RoutedRequest): T | null {
    const search = this.#search
    search.begin(request.path)
    const route = this.#hosts.find(request, search)
    if (route === null) {
      this.lastParameters = null
      this.allow = search.methodFailed ? this.#allowedMethods(request) : null
      return null
    }
    this.lastParameters = route.hasParameters ? route : null
    this.allow = null
    return route.value
  }

  /** All routes in the order of precedence, one row for every host of a route. */
  list(): RouteRow<T>[] {
    return this.#hosts.rows().map(({ host, route }) => ({ host, entry: route.entry }))
  }

  /** Every row in the order of precedence with what the request makes of it. Slow: for people. */
  explain(request: RoutedRequest): Candidate<T>[] {
    let winner: string | null = null
    return this.#hosts.rows().map(({ host, route }) => {
      const { entry } = route
      const failure = route.failure(host, request)
      if (failure !== null) return { host, entry, matches: false, reason: failure }
      if (winner !== null) {
        return { host, entry, matches: true, reason: `would match, outranked by ${winner}` }
      }
      winner = entry.id
      return { host, entry, matches: true, reason: 'matched' }
    })
  }

  /** The methods with which the request would find a route; null if there is none. */
  #allowedMethods(request: RoutedRequest): string | null {
    const search = this.#search
    search.beginMethods(request.path)
    this.#hosts.find(request, search)
    return search.allowedMethods()
  }
}
