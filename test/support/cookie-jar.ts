// A browser's memory for cookies, as far as tests need it: one host, exact names, ends and removals.

/** What was said of one cookie. */
export interface KeptCookie {
  readonly value: string
  /** Lower-case names; '' where an attribute has no value. */
  readonly attributes: ReadonlyMap<string, string>
}

/** The cookies that one host has set. */
export class CookieJar {
  readonly cookies = new Map<string, KeptCookie>()

  /** Takes values of `Set-Cookie`. */
  take(lines: readonly string[]): void {
    for (const line of lines) {
      const [pair, ...rest] = line.split(';').map((part) => part.trim())
      const equals = pair!.indexOf('=')
      const name = pair!.slice(0, equals)
      const attributes = new Map<string, string>()
      for (const part of rest) {
        const at = part.indexOf('=')
        attributes.set(
          (at === -1 ? part : part.slice(0, at)).toLowerCase(),
          at === -1 ? '' : part.slice(at + 1),
        )
      }
      if (attributes.get('max-age') === '0') this.cookies.delete(name)
      else this.cookies.set(name, { value: pair!.slice(equals + 1), attributes })
    }
  }

  /** The field line for a request, with its CRLF; '' if there is none. */
  get line(): string {
    if (this.cookies.size === 0) return ''
    const pairs = [...this.cookies].map(([name, { value }]) => `${name}=${value}`)
    return `Cookie: ${pairs.join('; ')}\r\n`
  }

  copy(): CookieJar {
    const copy = new CookieJar()
    for (const [name, cookie] of this.cookies) copy.cookies.set(name, cookie)
    return copy
  }
}
