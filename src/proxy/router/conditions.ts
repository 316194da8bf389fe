// A route's conditions beside host and path, compiled: each answers by itself whether a request holds it.
import { IpPrefixTree } from '../../lib/ip-prefix-tree.ts'
import { LinearRegExp } from '../../lib/linear-regexp.ts'
import { queryValue } from './query-value.ts'
import type { RoutedRequest, RouteEntry, ValueCondition } from './route-entry.ts'

/** One condition on a header or query parameter, ready to test. */
export class CompiledCondition {
  readonly name: string
  readonly kind: ValueCondition['kind']
  readonly value: string
  readonly regexp: LinearRegExp | null

  /** @throws SyntaxError when the condition is a regular expression that is not valid */
  constructor(condition: ValueCondition, name: string) {
    this.name = name
    this.kind = condition.kind
    this.value = condition.value
    this.regexp = condition.kind === 'regex' ? new LinearRegExp(condition.value) : null
  }

  /** @param value null if the request has no such field */
  holds(value: string | null): boolean {
    if (value === null) return this.kind === 'absent'
    switch (this.kind) {
      case 'exact':
        return value === this.value
      case 'present':
        return true
      case 'absent':
        return false
      case 'prefix':
        return value.startsWith(this.value)
      case 'regex':
        return this.regexp!.test(value)
    }
  }
}

/** Everything that a route asks of a request after host and path matched. */
export class RouteConditions {
  /** Empty: any. With GET, and not by itself HEAD, it takes HEAD too (RFC 9110 9.3.2). */
  readonly methods: readonly string[]
  readonly headers: readonly CompiledCondition[]
  readonly query: readonly CompiledCondition[]
  readonly #clientIps: IpPrefixTree<true> | null

  /** @throws SyntaxError for a bad expression, TypeError for a bad network */
  constructor(entry: RouteEntry<unknown>) {
    this.methods = effectiveMethods(entry.methods)
    this.headers = entry.headers.map((it) => new CompiledCondition(it, it.name.toLowerCase()))
    this.query = entry.query.map((it) => new CompiledCondition(it, it.name))
    this.#clientIps = entry.clientIps.length === 0 ? null : new IpPrefixTree()
    for (const network of entry.clientIps) this.#clientIps!.insert(network, true)
  }

  takesMethod(method: string): boolean {
    const methods = this.methods
    if (methods.length === 0) return true
    for (let index = 0; index < methods.length; index++) {
      if (methods[index] === method) return true
    }
    return false
  }

  /** Whether all conditions but the method hold. */
  hold(request: RoutedRequest): boolean {
    const { headers, query } = this
    for (let index = 0; index < headers.length; index++) {
      const condition = headers[index]!
      if (!condition.holds(request.requestHeader(condition.name))) return false
    }
    for (let index = 0; index < query.length; index++) {
      const condition = query[index]!
      if (!condition.holds(queryValue(request.query, condition.name))) return false
    }
    return this.#clientIps === null || this.#clientIps.lookup(request.clientIp) !== null
  }

  /** The first condition that fails, in words; null if all hold. */
  failure(request: RoutedRequest): string | null {
    if (!this.takesMethod(request.method)) return 'method'
    const header = this.headers.find((it) => !it.holds(request.requestHeader(it.name)))
    if (header !== undefined) return `header ${header.name}`
    const parameter = this.query.find((it) => !it.holds(queryValue(request.query, it.name)))
    if (parameter !== undefined) return `query ${parameter.name}`
    return this.hold(request) ? null : 'client ip'
  }
}

/** The methods that a list of them lets pass: GET brings HEAD. */
export function effectiveMethods(methods: readonly string[]): readonly string[] {
  return methods.includes('GET') && !methods.includes('HEAD') ? [...methods, 'HEAD'] : methods
}

/**
 * The part of the precedence that follows host and path: negative if `a` goes before `b`, 0 if nothing
 * separates them.
 */
export function compareConditions(a: RouteEntry<unknown>, b: RouteEntry<unknown>): number {
  return (
    Math.min(b.methods.length, 1) - Math.min(a.methods.length, 1) ||
    b.headers.length - a.headers.length ||
    b.query.length - a.query.length ||
    Math.min(b.clientIps.length, 1) - Math.min(a.clientIps.length, 1) ||
    b.priority - a.priority
  )
}
