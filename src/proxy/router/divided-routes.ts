// Routes of one path, divided by the exact value that tells most of them apart, so that comparing
// each with the others does not take the square of their number.
import type { CompiledRoute } from './compiled-route.ts'
import type { CompiledCondition } from './conditions.ts'

type Route = CompiledRoute<unknown>

/** Routes added so far, by the value of one header or query parameter. */
export class DividedRoutes {
  readonly #field: string | null
  readonly #all: Route[] = []
  readonly #byValue = new Map<string, Route[]>()
  /** Those that ask for no exact value. */
  readonly #rest: Route[] = []

  /** @param routes all that will be added; decides by which field they are divided */
  constructor(routes: readonly Route[]) {
    this.#field = routes.length > 2 ? mostTellingField(routes) : null
  }

  add(route: Route): void {
    const value = this.#valueOf(route)
    this.#all.push(route)
    if (value === null) this.#rest.push(route)
    else if (this.#byValue.has(value)) this.#byValue.get(value)!.push(route)
    else this.#byValue.set(value, [route])
  }

  /** The first route that satisfies `test`, among those that one request could match together with `route`. */
  mayMeet(route: Route, test: (other: Route) => boolean): Route | null {
    const value = this.#valueOf(route)
    return (value === null ? this.#all.find(test) : this.#find(value, test)) ?? null
  }

  /** The first route that satisfies `test`, among those that could match wherever `route` does. */
  mayCover(route: Route, test: (other: Route) => boolean): Route | null {
    const value = this.#valueOf(route)
    return (value === null ? this.#rest.find(test) : this.#find(value, test)) ?? null
  }

  #find(value: string, test: (other: Route) => boolean): Route | undefined {
    return this.#byValue.get(value)?.find(test) ?? this.#rest.find(test)
  }

  #valueOf(route: Route): string | null {
    if (this.#field === null) return null
    for (const [field, condition] of exactConditions(route)) {
      if (field === this.#field) return condition.value
    }
    return null
  }
}

/** The field for which the routes ask for the greatest number of different values. */
function mostTellingField(routes: readonly Route[]): string | null {
  const values = new Map<string, Set<string>>()
  for (const route of routes) {
    for (const [field, { value }] of exactConditions(route)) {
      if (!values.has(field)) values.set(field, new Set())
      values.get(field)!.add(value)
    }
  }
  let best: string | null = null
  for (const [field, { size }] of values) {
    if (size > (best === null ? 0 : values.get(best)!.size)) best = field
  }
  return best
}

function* exactConditions(route: Route): Generator<[string, CompiledCondition]> {
  for (const header of route.conditions.headers) {
    if (header.kind === 'exact') yield [`header ${header.name}`, header]
  }
  for (const parameter of route.conditions.query) {
    if (parameter.kind === 'exact') yield [`query ${parameter.name}`, parameter]
  }
}
