// Keeps a caller on one side of a split: the side follows from a header or cookie alone, so that every
// thread and every node decides alike.
import { randomBytes } from 'node:crypto'
import { keyHash } from '../../upstream/balancers/key-hash.ts'
import type { Exchange } from '../exchange.ts'

/** What of a request decides its side. */
export interface StickyKey {
  readonly by: 'header' | 'cookie'
  readonly name: string
}

/** Turns the key of a request into a place in [0, 1). */
export class SplitStickiness {
  readonly #key: StickyKey

  constructor(key: StickyKey) {
    this.#key = key.by === 'header' ? { by: 'header', name: key.name.toLowerCase() } : key
  }

  /** The same for the same key; a caller without the cookie is given one. */
  fraction(exchange: Exchange): number {
    const { by, name } = this.#key
    const value = by === 'header' ? exchange.requestHeader(name) : exchange.cookie(name)
    if (value !== null) return (keyHash(value) >>> 0) / 0x1_0000_0000
    if (by === 'header') return Math.random()
    const made = randomBytes(12).toString('base64url')
    exchange.addResponseHeader('Set-Cookie', `${name}=${made}; Path=/; HttpOnly; SameSite=Lax`)
    return (keyHash(made) >>> 0) / 0x1_0000_0000
  }
}
