// The cookies that the policy keeps in browsers: the session, cut into pieces that browsers take, and
// one for each sign-in on its way. Their values are sealed; this file knows only names and attributes.
import type { Exchange } from '../../proxy/pipeline/exchange.ts'

/** Browsers take 4096 bytes of name, value and attributes together. */
const CHUNK_LENGTH = 3_800
/** More than any reasonable session; together they fit into the head of a request. */
const CHUNKS_MAX = 5
/** Sign-ins that a browser may have on their way; beyond, they all begin anew. */
export const LOGINS_MAX = 4
/** Cookies of our name beyond these are nobody's who plays by the rules. */
const OWN_MAX = 32

const EXPIRED = 'Max-Age=0'

/** The cookies of one name. */
export class GatewayCookies {
  /** What all their names begin with. */
  readonly prefix: string
  readonly #attributes: string

  /** @param isSecure false only where the browser reaches the gateway over loopback http. */
  constructor(name: string, isSecure: boolean) {
    // The prefix keeps other hosts of the same site from planting such a cookie (RFC 6265bis 4.1.3).
    this.prefix = `${isSecure ? '__Host-' : ''}${name}.`
    this.#attributes = `Path=/; HttpOnly; SameSite=Lax${isSecure ? '; Secure' : ''}`
  }

  /** Ours of a request by the rest of their names; one that comes twice is empty. */
  ofRequest(exchange: Exchange): ReadonlyMap<string, string> {
    const own = new Map<string, string>()
    const header = exchange.requestHeader('cookie')
    if (header === null || !header.includes(this.prefix)) return own
    for (const pair of header.split(';')) {
      const equals = pair.indexOf('=')
      const name = pair.slice(0, equals).trim()
      if (equals === -1 || !name.startsWith(this.prefix)) continue
      const rest = name.slice(this.prefix.length)
      own.set(rest, own.has(rest) ? '' : pair.slice(equals + 1).trim())
      if (own.size >= OWN_MAX) break
    }
    return own
  }

  /** Takes ours out of what the service gets. */
  strip(exchange: Exchange): void {
    const header = exchange.requestHeader('cookie')
    if (header === null || !header.includes(this.prefix)) return
    const others = header
      .split(';')
      .map((pair) => pair.trim())
      .filter((pair) => !pair.startsWith(this.prefix))
    if (others.length === 0) exchange.removeRequestHeader('cookie')
    else exchange.setRequestHeader('Cookie', others.join('; '))
  }

  /** The sealed session; null if there is none, or a piece is missing. */
  session(own: ReadonlyMap<string, string>): string | null {
    const first = own.get('0')
    if (first === undefined) return null
    const dot = first.indexOf('.')
    const count = Number(first.slice(0, dot))
    if (dot !== 1 || !(count >= 1 && count <= CHUNKS_MAX)) return null
    let sealed = first.slice(2)
    for (let index = 1; index < count; index++) {
      const piece = own.get(String(index))
      if (piece === undefined) return null
      sealed += piece
    }
    return sealed
  }

  /** Values of `Set-Cookie` that keep a session in place of what `own` holds; null if it is too long. */
  keepSession(
    own: ReadonlyMap<string, string>,
    sealed: string,
    maxAgeMs: number,
  ): readonly string[] | null {
    const count = Math.ceil(sealed.length / CHUNK_LENGTH)
    if (count > CHUNKS_MAX) return null
    const lines: string[] = []
    for (let index = 0; index < count; index++) {
      const piece = sealed.slice(index * CHUNK_LENGTH, (index + 1) * CHUNK_LENGTH)
      lines.push(this.#line(String(index), index === 0 ? `${count}.${piece}` : piece, maxAgeMs))
    }
    for (let index = count; index < CHUNKS_MAX; index++) {
      if (own.has(String(index))) lines.push(this.remove(String(index)))
    }
    return lines
  }

  /** Values of `Set-Cookie` that end the session. */
  endSession(own: ReadonlyMap<string, string>): string[] {
    return [...own.keys()].filter((rest) => /^[0-9]$/.test(rest)).map((rest) => this.remove(rest))
  }

  /** The rest of the name of a sign-in's cookie. */
  loginName(state: string): string {
    return `login-${state.slice(0, 16)}`
  }

  /** Values of `Set-Cookie` that keep a sign-in; too many others are forgotten for it. */
  keepLogin(
    own: ReadonlyMap<string, string>,
    state: string,
    sealed: string,
    maxAgeMs: number,
  ): string[] {
    const others = [...own.keys()].filter((rest) => rest.startsWith('login-'))
    const forgotten = others.length < LOGINS_MAX ? [] : others
    return [
      this.#line(this.loginName(state), sealed, maxAgeMs),
      ...forgotten.map((rest) => this.remove(rest)),
    ]
  }

  /** The value of `Set-Cookie` that removes one. */
  remove(rest: string): string {
    return `${this.prefix}${rest}=; ${EXPIRED}; ${this.#attributes}`
  }

  #line(rest: string, value: string, maxAgeMs: number): string {
    const seconds = Math.max(1, Math.floor(maxAgeMs / 1_000))
    return `${this.prefix}${rest}=${value}; Max-Age=${seconds}; ${this.#attributes}`
  }
}
