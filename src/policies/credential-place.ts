// Where a credential stands in a request: found, counted and taken out without the rest being touched.
import type { Exchange } from '../proxy/pipeline/exchange.ts'
import { queryValue } from '../proxy/router/query-value.ts'

/** A header, a query parameter or a cookie. */
export type PlaceKind = 'header' | 'query' | 'cookie'

/** One place, by its kind and name. */
export class CredentialPlace {
  readonly #kind: PlaceKind
  readonly #name: string

  /** @param name of a header: in lower case. */
  constructor(kind: PlaceKind, name: string) {
    this.#kind = kind
    this.#name = name
  }

  /** Reads `header:x-api-key` and the like, as `credentialPlaces` of a policy gives them. */
  static parse(text: string): CredentialPlace {
    const colon = text.indexOf(':')
    return new CredentialPlace(text.slice(0, colon) as PlaceKind, text.slice(colon + 1))
  }

  /** How often it is there. */
  count(exchange: Exchange): number {
    if (this.#kind === 'header') {
      return exchange.requestHeader(this.#name) === null
        ? 0
        : Math.max(1, exchange.request.count(this.#name))
    }
    if (this.#kind === 'query') return this.#countIn(exchange.query, '&')
    const cookies = exchange.requestHeader('cookie')
    return cookies === null ? 0 : this.#countIn(cookies, ';')
  }

  /** The value, the first of several; null if there is none. */
  value(exchange: Exchange): string | null {
    if (this.#kind === 'header') return exchange.requestHeader(this.#name)
    if (this.#kind === 'query') return queryValue(exchange.query, this.#name)
    return exchange.cookie(this.#name)
  }

  /** Takes it out of what the service gets, and of what later policies and logs see. */
  strip(exchange: Exchange): void {
    if (this.#kind === 'header') {
      exchange.removeRequestHeader(this.#name)
    } else if (this.#kind === 'query') {
      exchange.setQuery(this.#without(exchange.query, '&'))
    } else {
      const cookies = exchange.requestHeader('cookie')
      if (cookies === null) return
      const rest = this.#without(cookies, ';').trim()
      if (rest === '') exchange.removeRequestHeader('cookie')
      else exchange.setRequestHeader('Cookie', rest)
    }
  }

  #countIn(text: string, separator: string): number {
    let count = 0
    let start = 0
    while (start < text.length) {
      let end = text.indexOf(separator, start)
      if (end < 0) end = text.length
      if (this.#isIt(text.slice(start, end))) count++
      start = end + 1
    }
    return count
  }

  #without(text: string, separator: string): string {
    return text
      .split(separator)
      .filter((part) => !this.#isIt(part))
      .join(separator)
  }

  #isIt(part: string): boolean {
    if (this.#kind === 'query') return queryValue(part, this.#name) !== null
    const equals = part.indexOf('=')
    return equals >= 0 && part.slice(0, equals).trim() === this.#name
  }
}
