// Where a policy takes a token from: `Authorization` (RFC 6750 2.1), a cookie, or a header of its own.
// Whoever sends two has it refused: none is picked.
import { z } from 'zod'
import type { Exchange } from '../proxy/pipeline/exchange.ts'
import { fieldName, isProtectedField } from './field.ts'

/** The schemes of `Authorization` under which a token may come. */
export type TokenScheme = 'Bearer' | 'DPoP'

/** What a request holds: no token, one, more than one, or something that cannot be one. */
export type TokenFinding = 'none' | 'found' | 'repeated' | 'malformed'

const cookieName = z
  .string()
  .regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}$/, 'this is not a valid cookie name')

const headerName = fieldName()
  .refine((name) => !isProtectedField(name, 'request'), 'the gateway itself writes this header')
  .refine(
    (name) => !['authorization', 'cookie', 'dpop'].includes(name.toLowerCase()),
    'this header has a form of its own: write `authorization` or `{ cookie: ... }`',
  )

/** The setting `from`: `authorization`, `{ cookie: NAME }` or `{ header: NAME }`. */
export function tokenSourceSetting() {
  return z
    .union(
      [
        z.literal('authorization'),
        z.strictObject({ cookie: cookieName.describe('The name of the cookie.') }),
        z.strictObject({ header: headerName.describe('The name of the header.') }),
      ],
      { error: 'expected `authorization`, `{ cookie: NAME }` or `{ header: NAME }`' },
    )
    .default('authorization')
}

export type TokenSourceSetting = z.output<ReturnType<typeof tokenSourceSetting>>

/** Finds the token of a request. One per stage; `token` and `scheme` are those of the last `find`. */
export class TokenSource {
  token = ''
  /** What the client called it; `Bearer` where the place has no schemes. */
  scheme: TokenScheme = 'Bearer'
  /** Whether the client says by which scheme its token is meant. */
  readonly hasSchemes: boolean
  readonly #cookie: string | null
  /** Lower case; null when the token is in a cookie. */
  readonly #header: string | null
  readonly #takesDpop: boolean

  /** @param schemes those that `Authorization` may have; another one is no token. */
  constructor(setting: TokenSourceSetting, schemes: readonly TokenScheme[] = ['Bearer']) {
    this.hasSchemes = setting === 'authorization'
    this.#takesDpop = schemes.includes('DPoP')
    if (setting === 'authorization') {
      this.#cookie = null
      this.#header = 'authorization'
    } else if ('cookie' in setting) {
      this.#cookie = setting.cookie
      this.#header = null
    } else {
      this.#cookie = null
      this.#header = setting.header.toLowerCase()
    }
  }

  /** Looks for the token. Its characters are not looked at beyond space and comma; see isTokenText. */
  find(exchange: Exchange): TokenFinding {
    this.token = ''
    this.scheme = 'Bearer'
    if (this.#header === null) return this.#findCookie(exchange)
    const value = exchange.requestHeader(this.#header)
    if (value === null) return 'none'
    // Lines of one name arrive joined with ', '; a value of several cannot be told from them.
    const hasComma = value.indexOf(',') !== -1
    if (hasComma && exchange.request.count(this.#header) > 1) return 'repeated'
    let start = 0
    if (this.hasSchemes) {
      start = this.#endOfScheme(value)
      if (start === -1) return 'none'
    }
    if (hasComma || start === value.length || value.indexOf(' ', start) !== -1) return 'malformed'
    this.token = start === 0 ? value : value.slice(start)
    return 'found'
  }

  /** Takes the token out of what the service gets. */
  strip(exchange: Exchange): void {
    if (this.#header !== null) {
      exchange.removeRequestHeader(this.#header)
      return
    }
    const rest: string[] = []
    for (const pair of (exchange.requestHeader('cookie') ?? '').split(';')) {
      const equals = pair.indexOf('=')
      if (equals === -1 || pair.slice(0, equals).trim() !== this.#cookie) rest.push(pair.trim())
    }
    if (rest.length === 0) exchange.removeRequestHeader('cookie')
    else exchange.setRequestHeader('Cookie', rest.join('; '))
  }

  /** Where the token begins, or -1 if the value has another scheme. Sets `scheme`. */
  #endOfScheme(value: string): number {
    let end = -1
    if (startsFolded(value, 'bearer')) end = 6
    else if (this.#takesDpop && startsFolded(value, 'dpop')) {
      end = 4
      this.scheme = 'DPoP'
    }
    if (end === -1 || end === value.length) return end
    // A longer name is another scheme; whatever else follows belongs to a token, and spoils it.
    if (isTokenCharacter(value.charCodeAt(end))) return -1
    while (value.charCodeAt(end) === SPACE) end++
    return end
  }

  #findCookie(exchange: Exchange): TokenFinding {
    const name = this.#cookie!
    const header = exchange.requestHeader('cookie')
    if (header === null) return 'none'
    let found = false
    let at = 0
    while (at < header.length) {
      let end = header.indexOf(';', at)
      if (end === -1) end = header.length
      while (header.charCodeAt(at) === SPACE || header.charCodeAt(at) === TAB) at++
      const equals = at + name.length
      if (equals < end && header.charCodeAt(equals) === EQUALS && header.startsWith(name, at)) {
        if (found) return 'repeated'
        found = true
        this.token = unquoted(header.slice(equals + 1, end).trim())
      }
      at = end + 1
    }
    if (!found) return 'none'
    const { token } = this
    return token === '' || token.indexOf(' ') !== -1 || token.indexOf(',') !== -1
      ? 'malformed'
      : 'found'
  }
}

const TAB = 0x09
const SPACE = 0x20
const EQUALS = 0x3d

/** Whether every character is one that a bearer token may hold (RFC 6750 2.1, b64token). */
export function isTokenText(text: string): boolean {
  let index = 0
  while (index < text.length && isTokenCharacter(text.charCodeAt(index))) index++
  if (index === 0) return false
  while (index < text.length && text.charCodeAt(index) === EQUALS) index++
  return index === text.length
}

function isTokenCharacter(code: number): boolean {
  const folded = code | 0x20
  if (folded >= 0x61 && folded <= 0x7a) return true
  // '-', '.', '/' and the digits follow each other; '+', '_' and '~' stand alone.
  return (code >= 0x2d && code <= 0x39) || code === 0x2b || code === 0x5f || code === 0x7e
}

function startsFolded(value: string, lower: string): boolean {
  for (let index = 0; index < lower.length; index++) {
    if ((value.charCodeAt(index) | 0x20) !== lower.charCodeAt(index)) return false
  }
  return true
}

function unquoted(value: string): string {
  return value.length > 1 && value.startsWith('"') && value.endsWith('"')
    ? value.slice(1, -1)
    : value
}
