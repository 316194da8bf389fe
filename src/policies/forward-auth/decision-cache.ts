// Passes that are remembered for a short time, by what tells callers and requests apart.
import { createHash } from 'node:crypto'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import type { Grant } from './grant.ts'

/** What is remembered, and for how long. */
export interface CacheSettings {
  /** In milliseconds. */
  readonly for: number
  readonly by: readonly string[]
  readonly anyTarget: boolean
  readonly entries: number
}

interface Entry {
  readonly grant: Grant
  /** Monotonic. */
  readonly endsAt: number
}

/** Grants by the hash of what they were given for. */
export class DecisionCache {
  readonly #settings: CacheSettings
  readonly #lowerNames: readonly string[]
  /** Oldest first: all live equally long, so that is also the order of their ends. */
  readonly #entries = new Map<string, Entry>()

  constructor(settings: CacheSettings) {
    this.#settings = settings
    this.#lowerNames = settings.by.map((name) => name.toLowerCase())
  }

  keyOf(exchange: Exchange): string {
    const parts: (string | null)[] = []
    for (let index = 0; index < this.#lowerNames.length; index++) {
      parts.push(exchange.requestHeader(this.#lowerNames[index]!))
    }
    if (!this.#settings.anyTarget) {
      parts.push(exchange.method, exchange.scheme, exchange.authority, exchange.target)
    }
    return createHash('sha256').update(JSON.stringify(parts)).digest('base64url')
  }

  get(key: string, now: number): Grant | null {
    const entry = this.#entries.get(key)
    if (entry === undefined || now >= entry.endsAt) return null
    return entry.grant
  }

  set(key: string, grant: Grant, now: number): void {
    this.#entries.delete(key)
    for (const [oldest, { endsAt }] of this.#entries) {
      if (now < endsAt && this.#entries.size < this.#settings.entries) break
      this.#entries.delete(oldest)
    }
    this.#entries.set(key, { grant, endsAt: now + this.#settings.for })
  }
}
