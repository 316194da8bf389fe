// Nonces that clients have to put into their DPoP proofs (RFC 9449 9): the same for everybody for a
// while, made of the time and a secret, so that all threads and gateways know them without asking.
import { createHmac, hkdfSync } from 'node:crypto'
import type { Clock } from '../../lib/clock.ts'

/** How a proof's nonce stands. */
export type NonceStanding = 'current' | 'old' | 'unknown'

/** The nonces of one secret; each is given out for `lifetimeMs`, and good for so long again. */
export class ProofNonces {
  readonly #keys: readonly Buffer[]
  readonly #lifetimeMs: number
  readonly #clock: Clock
  #period = Number.NaN
  #current = ''
  /** Those of another gateway whose clock or secret is ahead, and of the period before. */
  #others: readonly string[] = []

  /** @param secrets the first one makes nonces, all of them know theirs. */
  constructor(secrets: readonly string[], lifetimeMs: number, clock: Clock) {
    this.#keys = secrets.map((secret) =>
      Buffer.from(hkdfSync('sha256', secret, '', 'gatehouse dpop nonce', 32)),
    )
    this.#lifetimeMs = lifetimeMs
    this.#clock = clock
  }

  /** The one that clients should use. */
  get current(): string {
    this.#turn()
    return this.#current
  }

  standing(nonce: string): NonceStanding {
    this.#turn()
    if (nonce === this.#current) return 'current'
    return this.#others.includes(nonce) ? 'old' : 'unknown'
  }

  #turn(): void {
    const period = Math.floor(this.#clock.wallTime() / this.#lifetimeMs)
    if (period === this.#period) return
    this.#period = period
    const [current, ...others] = this.#keys.flatMap((key) =>
      [period, period - 1, period + 1].map((at) => nonceOf(key, at)),
    )
    this.#current = current!
    this.#others = others
  }
}

function nonceOf(key: Buffer, period: number): string {
  return createHmac('sha256', key).update(String(period)).digest('base64url').slice(0, 22)
}
