// The routes by host: exact names, then wildcards from the longest to the shortest, then any host.

import type { CompiledRoute } from './compiled-route.ts'
import { parseHostPattern, withoutTrailingDot } from './host-pattern.ts'
import { PathTree } from './path-tree.ts'
import type { RoutedRequest } from './route-entry.ts'
import type { Search } from './search.ts'

/** A path tree for every host that routes name. */
export class HostIndex<T> {
  readonly #exact = new Map<string, PathTree<T>>()
  /** By what follows `*.`. */
  readonly #wildcard = new Map<string, PathTree<T>>()
  readonly #any = new PathTree<T>()
  #wildcardLengthMax = 0

  /** @throws SyntaxError when one of its hosts is not valid */
  add(route: CompiledRoute<T>): void {
    const trees = new Set<PathTree<T>>()
    for (const { wildcard, name } of route.entry.hosts.map(parseHostPattern)) {
      if (wildcard) this.#wildcardLengthMax = Math.max(this.#wildcardLengthMax, name.length)
      trees.add(treeFor(wildcard ? this.#wildcard : this.#exact, name))
    }
    if (trees.size === 0) trees.add(this.#any)
    for (const tree of trees) tree.add(route)
  }

  find(request: RoutedRequest, search: Search): CompiledRoute<T> | null {
    let found: CompiledRoute<T> | null = null
    if (this.#exact.size > 0 || this.#wildcard.size > 0) {
      const host = withoutTrailingDot(request.host)
      const tree = this.#exact.get(host)
      if (tree !== undefined) found = tree.find(request, search)
      if (found === null && this.#wildcard.size > 0)
        found = this.#findWildcard(host, request, search)
    }
    return found === null ? this.#any.find(request, search) : found
  }

  #findWildcard(host: string, request: RoutedRequest, search: Search): CompiledRoute<T> | null {
    // Starts where a suffix can be known: a host of thousands of labels costs no more than a short one.
    let dot = host.indexOf('.', Math.max(1, host.length - this.#wildcardLengthMax - 1))
    while (dot >= 0) {
      const tree = this.#wildcard.get(host.substring(dot + 1))
      const found = tree === undefined ? null : tree.find(request, search)
      if (found !== null) return found
      dot = host.indexOf('.', dot + 1)
    }
    return null
  }

  /** Every tree with its host as a route would name it, in the order of precedence. */
  trees(): { readonly host: string | null; readonly tree: PathTree<T> }[] {
    const names = [...this.#exact.keys()].sort()
    const suffixes = [...this.#wildcard.keys()].sort(
      (a, b) => b.length - a.length || (a < b ? -1 : 1),
    )
    return [
      ...names.map((name) => ({ host: name, tree: this.#exact.get(name)! })),
      ...suffixes.map((name) => ({ host: `*.${name}`, tree: this.#wildcard.get(name)! })),
      { host: null, tree: this.#any },
    ]
  }

  /** Every route under each of its hosts, in the order of precedence. */
  rows(): { readonly host: string | null; readonly route: CompiledRoute<T> }[] {
    return this.trees().flatMap(({ host, tree }) => tree.routes().map((route) => ({ host, route })))
  }
}

function treeFor<T>(trees: Map<string, PathTree<T>>, name: string): PathTree<T> {
  let tree = trees.get(name)
  if (tree === undefined) {
    tree = new PathTree()
    trees.set(name, tree)
  }
  return tree
}
