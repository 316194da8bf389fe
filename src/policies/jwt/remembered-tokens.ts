// Tokens that were verified a moment ago, by the SHA-256 of their text, within a bound of bytes.
import { hash } from 'node:crypto'
import type { VerifiedToken } from './token-verifier.ts'

/** One in so many bytes is given back when room has to be made. */
const ROOM_PART = 16

/** The tokens of one policy's settings. What has been used since it was last looked at stays longest. */
export class RememberedTokens {
  bytes = 0
  readonly #bytesMax: number
  /** What is left when room has to be made. */
  readonly #bytesKept: number
  readonly #tokens = new Map<string, VerifiedToken>()

  /** @param bytesMax 0 remembers nothing. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
    this.#bytesKept = bytesMax - Math.floor(bytesMax / ROOM_PART)
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
    if (this.bytes > this.#bytesMax) this.#makeRoom()
  }

  forget(name: string): void {
    const found = this.#tokens.get(name)
    if (found === undefined) return
    this.bytes -= found.bytes
    this.#tokens.delete(name)
  }

  /**
   * The oldest go, unless they were used: then they count as new, and the next oldest is looked at.
   * Many go at a time, because whoever looks for the first entry of a map passes all that were deleted
   * before it: one by one, that would cost more than verifying a token.
   */
  #makeRoom(): void {
    for (const [name, token] of this.#tokens) {
      if (this.bytes <= this.#bytesKept) return
      this.#tokens.delete(name)
      if (token.wasUsed) {
        token.wasUsed = false
        this.#tokens.set(name, token)
      } else this.bytes -= token.bytes
    }
  }
}
