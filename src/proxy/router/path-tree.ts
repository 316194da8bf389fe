// The routes of one host by path. Segments are a tree, so a lookup costs the same however many
// routes there are; regular expressions and routes without a path are short lists behind it.
import { type CompiledRoute, compareRoutes } from './compiled-route.ts'
import type { PathPattern } from './path-pattern.ts'
import type { RoutedRequest } from './route-entry.ts'
import type { Search } from './search.ts'

class PathNode<T> {
  /** The only literal child and its name; most nodes have no other, and comparing is cheaper than hashing. */
  onlyName: string | null = null
  onlyChild: PathNode<T> | null = null
  /** The literal children where there are several. */
  literals: Map<string, PathNode<T>> | null = null
  parameter: PathNode<T> | null = null
  /** The first of the routes that end here; most nodes have no other, and an array is two more reads. */
  end: CompiledRoute<T> | null = null
  otherEnds: CompiledRoute<T>[] | null = null
  /** Routes that take this and everything below. */
  wildcards: CompiledRoute<T>[] | null = null
}

/** The routes of one host. */
export class PathTree<T> {
  readonly #root = new PathNode<T>()
  readonly #expressions: CompiledRoute<T>[] = []
  readonly #anyPath: CompiledRoute<T>[] = []

  add(route: CompiledRoute<T>): void {
    const { path } = route
    if (path.text === null) insertSorted(this.#anyPath, route)
    else if (path.regexp !== null) insertSorted(this.#expressions, route)
    else insertAt(this.#nodeFor(path), path.wildcard, route)
  }

  find(request: RoutedRequest, search: Search): CompiledRoute<T> | null {
    const found = this.#walk(this.#root, 1, request, search)
    if (found !== null) return found
    const expressions = this.#expressions
    for (let index = 0; index < expressions.length; index++) {
      const route = expressions[index]!
      const { prefix, regexp } = route.path
      if (
        search.text.startsWith(prefix) &&
        regexp!.test(search.text) &&
        search.takes(route, request)
      ) {
        return route
      }
    }
    return search.choose(this.#anyPath, request)
  }

  /**
   * Tries literal, parameter and wildcard in this order and comes back when one fails further down. A
   * node stands for one sequence of segments, so none is visited twice: the work is bounded by the
   * nodes that the path's segments can reach, not by the combinations of choices.
   * @param start where the next segment begins, after its slash; beyond the path: there is none
   */
  #walk(
    node: PathNode<T>,
    start: number,
    request: RoutedRequest,
    search: Search,
  ): CompiledRoute<T> | null {
    const path = search.path
    let found: CompiledRoute<T> | null = null
    if (start > path.length) {
      if (node.end !== null) {
        if (search.takes(node.end, request)) found = node.end
        else if (node.otherEnds !== null) found = search.choose(node.otherEnds, request)
      }
    } else {
      const slash = path.indexOf('/', start)
      const end = slash < 0 ? path.length : slash
      if (node.onlyName !== null) {
        if (end - start === node.onlyName.length && path.startsWith(node.onlyName, start)) {
          found = this.#walk(node.onlyChild!, end + 1, request, search)
        }
      } else if (node.literals !== null) {
        const child = node.literals.get(path.substring(start, end))
        if (child !== undefined) found = this.#walk(child, end + 1, request, search)
      }
      if (found === null && node.parameter !== null && end > start) {
        found = this.#walk(node.parameter, end + 1, request, search)
      }
    }
    if (found === null && node.wildcards !== null) found = search.choose(node.wildcards, request)
    return found
  }

  #nodeFor(path: PathPattern): PathNode<T> {
    let node = this.#root
    for (const segment of path.segments) node = childFor(node, segment)
    return node
  }

  /** All routes in the order of precedence; literals among themselves by name. */
  routes(): CompiledRoute<T>[] {
    const routes: CompiledRoute<T>[] = []
    collect(this.#root, routes)
    return routes.concat(this.#expressions, this.#anyPath)
  }

  /** The wildcard routes that take every path which begins with these segments, the most specific first. */
  wildcardsOver(segments: readonly string[]): CompiledRoute<T>[] {
    const routes: CompiledRoute<T>[] = []
    collectOver(this.#root, segments, 0, routes)
    return routes
  }
}

function literalChild<T>(node: PathNode<T>, name: string): PathNode<T> | undefined {
  return node.onlyName === name ? node.onlyChild! : node.literals?.get(name)
}

function childFor<T>(node: PathNode<T>, segment: string | null): PathNode<T> {
  if (segment === null) {
    node.parameter ??= new PathNode()
    return node.parameter
  }
  const known = literalChild(node, segment)
  if (known !== undefined) return known
  const child = new PathNode<T>()
  if (node.literals !== null) node.literals.set(segment, child)
  else if (node.onlyName === null) {
    node.onlyName = segment
    node.onlyChild = child
  } else {
    node.literals = new Map([[node.onlyName, node.onlyChild!]]).set(segment, child)
    node.onlyName = null
    node.onlyChild = null
  }
  return child
}

function collect<T>(node: PathNode<T>, into: CompiledRoute<T>[]): void {
  if (node.end !== null) into.push(node.end, ...(node.otherEnds ?? []))
  const names = node.onlyName === null ? [...(node.literals?.keys() ?? [])] : [node.onlyName]
  for (const name of names.sort()) collect(literalChild(node, name)!, into)
  if (node.parameter !== null) collect(node.parameter, into)
  if (node.wildcards !== null) into.push(...node.wildcards)
}

function collectOver<T>(
  node: PathNode<T>,
  segments: readonly string[],
  depth: number,
  into: CompiledRoute<T>[],
): void {
  const segment = segments[depth]
  if (segment !== undefined) {
    const child = literalChild(node, segment)
    if (child !== undefined) collectOver(child, segments, depth + 1, into)
    if (node.parameter !== null && segment !== '')
      collectOver(node.parameter, segments, depth + 1, into)
  }
  if (node.wildcards !== null) for (const route of node.wildcards) into.push(route)
}

function insertAt<T>(node: PathNode<T>, wildcard: boolean, route: CompiledRoute<T>): void {
  if (wildcard) {
    node.wildcards ??= []
    insertSorted(node.wildcards, route)
  } else if (node.end === null) node.end = route
  else {
    const [first, ...others] = insertSorted([node.end, ...(node.otherEnds ?? [])], route)
    node.end = first!
    node.otherEnds = others
  }
}

/** Keeps a list in the order of precedence. */
function insertSorted<T>(routes: CompiledRoute<T>[], route: CompiledRoute<T>): CompiledRoute<T>[] {
  let low = 0
  let high = routes.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (compareRoutes(routes[middle]!, route) <= 0) low = middle + 1
    else high = middle
  }
  routes.splice(low, 0, route)
  return routes
}
