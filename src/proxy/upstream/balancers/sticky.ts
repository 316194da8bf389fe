// Sticky sessions: a signed cookie brings a client back to the endpoint that served it before.
import { createHmac } from 'node:crypto'
import type { Endpoint } from '../endpoint.ts'
import type { BalancedRequest, Picker, PickerFactory } from './balancer.ts'
import { isCandidate } from './candidate.ts'

/** How a client is kept on one endpoint. */
export interface StickySettings {
  /** The name of the cookie. */
  readonly cookie: string
  /** Signs the cookie; the same on all gateways that share the service. */
  readonly secret: string
  /** Marks the cookie Secure: browsers then send it over https only. */
  readonly secure?: boolean
}

/** Wraps an algorithm: it chooses for clients that come without a valid cookie. */
export function sticky(settings: StickySettings, inner: PickerFactory): PickerFactory {
  return (endpoints, context) => new StickyPicker(endpoints, settings, inner(endpoints, context))
}

/**
 * The cookie's value is a MAC of the endpoint's key: it tells no address, and a client cannot make
 * one for an endpoint it was not sent to. A value that fits no endpoint, or one that may not be
 * picked, counts for nothing: the request is placed anew and the answer carries another cookie.
 */
export class StickyPicker implements Picker {
  readonly #endpoints: readonly Endpoint[]
  readonly #inner: Picker
  readonly #cookie: string
  /** One token for each endpoint, in the order of the list. */
  readonly #tokens: Int32Array
  /** The token of the request being looked at. */
  readonly #presented = new Int32Array(TOKEN_WORDS)
  readonly #setCookies: ReadonlyMap<Endpoint, string>

  constructor(endpoints: readonly Endpoint[], settings: StickySettings, inner: Picker) {
    this.#endpoints = endpoints
    this.#inner = inner
    this.#cookie = settings.cookie
    this.#tokens = new Int32Array(endpoints.length * TOKEN_WORDS)
    const attributes = `; Path=/; HttpOnly; SameSite=Lax${settings.secure ? '; Secure' : ''}`
    const setCookies = new Map<Endpoint, string>()
    endpoints.forEach((endpoint, index) => {
      const token = tokenOf(endpoint, settings.secret)
      pack(token, this.#tokens, index * TOKEN_WORDS)
      setCookies.set(endpoint, `${settings.cookie}=${token}${attributes}`)
    })
    this.#setCookies = setCookies
  }

  pick(request: BalancedRequest, tried: readonly Endpoint[]): Endpoint | null {
    const named = this.#named(request)
    if (named !== null && isCandidate(named, tried)) return named
    return this.#inner.pick(request, tried)
  }

  /**
   * The value of the Set-Cookie field for an answer that came from `endpoint`; null when the
   * request's cookie names that endpoint already. Call it once, when the answer's head is known.
   */
  cookieFor(endpoint: Endpoint, request: BalancedRequest): string | null {
    if (this.#named(request) === endpoint) return null
    return this.#setCookies.get(endpoint) ?? null
  }

  #named(request: BalancedRequest): Endpoint | null {
    const value = request.cookie(this.#cookie)
    if (value === null || !pack(value, this.#presented, 0)) return null
    let found: Endpoint | null = null
    for (let index = 0; index < this.#endpoints.length; index += 1) {
      // Looks at all words of all tokens, so that the time tells nothing about any of them.
      let difference = 0
      for (let word = 0; word < TOKEN_WORDS; word += 1) {
        difference |= this.#tokens[index * TOKEN_WORDS + word]! ^ this.#presented[word]!
      }
      if (difference === 0) found = this.#endpoints[index]!
    }
    return found
  }
}

// 128 bits as base64url, and that as text of four bytes to a word.
const TOKEN_LENGTH = 22
const TOKEN_WORDS = 6

function tokenOf(endpoint: Endpoint, secret: string): string {
  const mac = createHmac('sha256', secret).update(endpoint.key).digest('base64url')
  return mac.slice(0, TOKEN_LENGTH)
}

/** Writes a text as words from `start` on; false when it cannot be a token. */
function pack(text: string, words: Int32Array, start: number): boolean {
  if (text.length !== TOKEN_LENGTH) return false
  words.fill(0, start, start + TOKEN_WORDS)
  let units = 0
  for (let index = 0; index < TOKEN_LENGTH; index += 1) {
    const unit = text.charCodeAt(index)
    units |= unit
    words[start + (index >> 2)]! |= unit << ((index & 3) * 8)
  }
  return units < 128
}
