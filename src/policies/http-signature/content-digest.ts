// The digest that a request states of its content (RFC 9530 2).
import { createHash } from 'node:crypto'
import { parseDictionary } from 'structured-headers'

const HASHES: Readonly<Record<string, string>> = { 'sha-256': 'sha256', 'sha-512': 'sha512' }
const FIELD_LENGTH_MAX = 1024

/** What a content must hash to: every hash of a Content-Digest that is safe to rely on. */
export class ContentDigest {
  readonly #expected: readonly { readonly hash: string; readonly bytes: Buffer }[]

  private constructor(expected: readonly { readonly hash: string; readonly bytes: Buffer }[]) {
    this.#expected = expected
  }

  /** Reads a Content-Digest; null if it cannot be read, or names no hash that is safe. */
  static parse(field: string | null): ContentDigest | null {
    if (field === null || field.length > FIELD_LENGTH_MAX) return null
    const expected: { hash: string; bytes: Buffer }[] = []
    try {
      for (const [name, [value]] of parseDictionary(field)) {
        const hash = HASHES[name]
        if (hash === undefined) continue
        if (!(value instanceof ArrayBuffer)) return null
        expected.push({ hash, bytes: Buffer.from(value) })
      }
    } catch {
      return null
    }
    return expected.length === 0 ? null : new ContentDigest(expected)
  }

  /** Whether this is the content, by all of the hashes. */
  fits(content: Buffer): boolean {
    return this.#expected.every(({ hash, bytes }) =>
      createHash(hash).update(content).digest().equals(bytes),
    )
  }
}
