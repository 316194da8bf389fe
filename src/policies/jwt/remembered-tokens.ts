// Tokens that were verified a moment ago, by the SHA-256 of their text, within a bound of bytes.
import { hash } from 'node:crypto'
import type { VerifiedToken } from './token-verifier.ts'

/** The tokens of one policy's settings. What has been used since it was last looked at stays longest. */
export class RememberedTokens {
  bytes = 0
  readonly #bytesMax: number
  readonly #tokens = new Map<string, VerifiedToken>()

  /** @param bytesMax 0 remembers nothing. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get size(): number {
    return this.#tokens.size
  }

  /** The name under which a token is remembered. */
  nameOf(token: string): string {
    return hash('sha256', token, 'base64url')
  }

  /** The token of this name, unless its key has gone. Its times are for the caller to look at. */
  find(name: string): VerifiedToken | null {
    const found = this.#tokens.get(name)
    if (found === undefined) return null
    if (!found.key.isCurrent) {
      this.forget(name)
      return null
    }
    found.wasUsed = true
    return found
  }

  add(name: string, token: VerifiedToken): void {
    this.forget(name)
    if (token.bytes > this.#bytesMax) return
    this.bytes += token.bytes
    this.#tokens.set(name, token)
    while (this.bytes > this.#bytesMax) this.#dropOne()
  }

  forget(name: string): void {
    const found = this.#tokens.get(name)
    if (found === undefined) return
    this.bytes -= found.bytes
    this.#tokens.delete(name)
  }

  /** The oldest goes, unless it was used: then it counts as new, and the next oldest is looked at. */
  #dropOne(): void {
    for (const [name, token] of this.#tokens) {
      this.#tokens.delete(name)
      if (!token.wasUsed) {
        this.bytes -= token.bytes
        return
      }
      token.wasUsed = false
      this.#tokens.set(name, token)
    }
  }
}
