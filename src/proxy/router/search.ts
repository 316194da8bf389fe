// What one lookup carries with it through the trees.
import type { CompiledRoute } from './compiled-route.ts'
import { canonicalPath, canonicalText } from './path-text.ts'
import type { RoutedRequest } from './route-entry.ts'

/** The state of one lookup; a table has one and uses it again. */
export class Search {
  /** The path in canonical form. */
  path = ''
  /** Whether some route lacked only the method, as far as was looked. */
  methodFailed = false
  /** Set in the second pass, which finds out what other methods would have found. */
  #methods: Set<string> | null = null
  #text: string | null = null

  begin(path: string): void {
    this.path = canonicalPath(path)
    this.methodFailed = false
    this.#methods = null
    this.#text = null
  }

  beginMethods(path: string): void {
    this.begin(path)
    this.#methods = new Set()
  }

  allowedMethods(): string | null {
    const methods = this.#methods
    return methods === null || methods.size === 0 ? null : [...methods].sort().join(', ')
  }

  /** The canonical path as text, for regular expressions. */
  get text(): string {
    this.#text ??= canonicalText(this.path)
    return this.#text
  }

  /** The first route of a sorted list whose path matched that takes the request. */
  choose<T>(routes: readonly CompiledRoute<T>[], request: RoutedRequest): CompiledRoute<T> | null {
    for (let index = 0; index < routes.length; index++) {
      const route = routes[index]!
      if (this.takes(route, request)) return route
    }
    return null
  }

  /** Whether a route whose path matched takes the request. */
  takes<T>(route: CompiledRoute<T>, request: RoutedRequest): boolean {
    if (route.unconditional) return true
    const { conditions } = route
    if (conditions.takesMethod(request.method)) return conditions.hold(request)
    if (this.#methods === null) this.methodFailed = true
    else if (conditions.hold(request)) {
      for (const method of conditions.methods) this.#methods.add(method)
    }
    return false
  }
}
