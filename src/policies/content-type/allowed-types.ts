// The media types that a route takes: exact ones, whole families, and structured suffixes.

/** A set of media ranges, in lower case. */
export class AllowedTypes {
  /** They as an Accept field (RFC 9110 12.5.1). */
  readonly accept: string
  readonly #exact = new Set<string>()
  /** Of `image/*` and `application/*+json`: what stands before the star, and what after it. */
  readonly #prefixes: string[] = []
  readonly #suffixes: string[] = []

  constructor(ranges: readonly string[]) {
    this.accept = ranges.join(', ')
    for (const range of ranges) {
      const star = range.indexOf('*')
      if (star < 0) this.#exact.add(range)
      else {
        this.#prefixes.push(range.slice(0, star))
        this.#suffixes.push(range.slice(star + 1))
      }
    }
  }

  /** Whether a type, in lower case and without parameters, is in the set. */
  has(name: string): boolean {
    if (this.#exact.has(name)) return true
    for (let index = 0; index < this.#prefixes.length; index++) {
      if (name.startsWith(this.#prefixes[index]!) && name.endsWith(this.#suffixes[index]!)) {
        return true
      }
    }
    return false
  }
}
