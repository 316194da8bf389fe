// The header fields of the CORS protocol for one route, prepared as far as possible.
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import type { PolicyEnvironment } from '../../proxy/pipeline/policy.ts'
import type { Reply } from '../../proxy/pipeline/reply.ts'
import { OriginSet } from '../origins.ts'

const PREFLIGHT_VARY =
  'Origin, Access-Control-Request-Method, Access-Control-Request-Headers, ' +
  'Access-Control-Request-Private-Network'

/** What the `cors` policy is told; `*` stands for every origin or header, `maxAge` is in milliseconds. */
export interface CorsSettings {
  readonly origins: '*' | readonly string[]
  readonly methods: readonly string[]
  readonly headers: '*' | readonly string[]
  readonly expose: '*' | readonly string[]
  readonly credentials: boolean
  readonly maxAge: number
  readonly privateNetwork: boolean
}

/** Answers preflights, and marks responses with who may read them. */
export class CorsAnswer {
  readonly #environment: PolicyEnvironment
  /** null: every origin. */
  readonly #origins: OriginSet | null
  /** The part of a preflight's answer that is always the same. */
  readonly #preflightHeaders: Readonly<Record<string, string>>
  /** null: whichever are asked for. */
  readonly #allowHeaders: string | null
  readonly #expose: string
  readonly #credentials: boolean
  readonly #privateNetwork: boolean
  readonly #refusal: Reply

  constructor(settings: CorsSettings, environment: PolicyEnvironment) {
    const { origins, methods, headers, expose, credentials, maxAge, privateNetwork } = settings
    this.#environment = environment
    this.#origins = origins === '*' ? null : new OriginSet(origins)
    this.#preflightHeaders = {
      'Access-Control-Allow-Methods': methods.join(', '),
      'Access-Control-Max-Age': String(Math.floor(maxAge / 1000)),
      ...(credentials && { 'Access-Control-Allow-Credentials': 'true' }),
      Vary: PREFLIGHT_VARY,
    }
    this.#allowHeaders = headers === '*' ? null : headers.join(', ')
    this.#expose = expose === '*' ? '*' : expose.join(', ')
    this.#credentials = credentials
    this.#privateNetwork = privateNetwork
    this.#refusal = environment.problem('cors_refused', { headers: { Vary: PREFLIGHT_VARY } })
  }

  /** The answer to a preflight: 204 with what is allowed, or 403 for an origin that is not. */
  preflight(origin: string, exchange: Exchange): Reply {
    const isAllowed = this.#origins === null || this.#origins.has(origin)
    if (!isAllowed) return this.#refusal
    const allowHeaders =
      this.#allowHeaders ?? exchange.requestHeader('access-control-request-headers') ?? ''
    const asksForPrivateNetwork =
      exchange.requestHeader('access-control-request-private-network') === 'true'
    return this.#environment.reply(204, {
      'Access-Control-Allow-Origin': this.#origins === null ? '*' : origin,
      ...this.#preflightHeaders,
      ...(allowHeaders !== '' && { 'Access-Control-Allow-Headers': allowHeaders }),
      ...(asksForPrivateNetwork &&
        this.#privateNetwork && { 'Access-Control-Allow-Private-Network': 'true' }),
    })
  }

  /**
   * Marks a response. Whatever the service says about sharing is replaced, for two answers to one
   * question are none. `origin` is null for a request without one.
   */
  share(origin: string | null, exchange: Exchange): void {
    if (this.#origins === null) this.#allow('*', exchange)
    else {
      // Also without an origin: a cache must not hand this response to one.
      addVaryOrigin(exchange)
      if (origin !== null && this.#origins.has(origin)) this.#allow(origin, exchange)
      else this.#deny(exchange)
    }
  }

  #allow(origin: string, exchange: Exchange): void {
    exchange.setResponseHeader('Access-Control-Allow-Origin', origin)
    if (this.#credentials) exchange.setResponseHeader('Access-Control-Allow-Credentials', 'true')
    else withdraw('access-control-allow-credentials', exchange)
    if (this.#expose === '') withdraw('access-control-expose-headers', exchange)
    else exchange.setResponseHeader('Access-Control-Expose-Headers', this.#expose)
  }

  #deny(exchange: Exchange): void {
    withdraw('access-control-allow-origin', exchange)
    withdraw('access-control-allow-credentials', exchange)
    withdraw('access-control-expose-headers', exchange)
  }
}

/** Removes a header that the service sent; an edit for one that is not there would still cost. */
function withdraw(lowerName: string, exchange: Exchange): void {
  if (exchange.responseHeader(lowerName) !== null) exchange.removeResponseHeader(lowerName)
}

function addVaryOrigin(exchange: Exchange): void {
  const vary = exchange.responseHeader('vary')
  if (vary === null) exchange.setResponseHeader('Vary', 'Origin')
  else if (!namesOrigin(vary)) exchange.addResponseHeader('Vary', 'Origin')
}

/** Whether a Vary value lists Origin, or `*`. */
function namesOrigin(vary: string): boolean {
  let start = 0
  while (start <= vary.length) {
    let end = vary.indexOf(',', start)
    if (end < 0) end = vary.length
    const name = vary.slice(start, end).trim()
    if (name === '*' || (name.length === 6 && name.toLowerCase() === 'origin')) return true
    start = end + 1
  }
  return false
}
