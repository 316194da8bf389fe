// Verifies passwords: few at a time, with a bounded queue, and remembers which were right.
import { createHmac, generateKeySync, type KeyObject } from 'node:crypto'
import { createRequire } from 'node:module'
import type { Clock } from '../../lib/clock.ts'
import type { Kept } from '../../proxy/pipeline/policy.ts'

/** Right passwords that are remembered. */
const REMEMBERED_MAX = 10_000

type Argon2 = typeof import('@node-rs/argon2')
type Bcrypt = typeof import('@node-rs/bcrypt')

const require = createRequire(import.meta.url)

/** How much may go on at once. */
export interface VerifierSettings {
  /** Hashes computed at the same time. They run in node's thread pool, which has 4 threads by default. */
  readonly concurrency: number
  readonly queueMax: number
  /** How long a right password is remembered; 0: not at all. */
  readonly rememberMs: number
}

/** Verifies the passwords of one thread. */
export class PasswordVerifier implements Kept {
  readonly #settings: VerifierSettings
  readonly #clock: Clock
  readonly #key: KeyObject = generateKeySync('hmac', { length: 256 })
  /** When each ends, on the monotonic clock; the oldest first. */
  readonly #remembered = new Map<string, number>()
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(settings: VerifierSettings, clock: Clock) {
    this.#settings = settings
    this.#clock = clock
  }

  dispose(): void {
    this.#remembered.clear()
  }

  /** What a credential is remembered by: another hash of the password makes it another one. */
  ticket(hash: string, username: string, password: string): string {
    return createHmac('sha256', this.#key)
      .update(`${hash}\0${username}\0${password}`)
      .digest('base64url')
  }

  isRemembered(ticket: string): boolean {
    const endsAt = this.#remembered.get(ticket)
    if (endsAt === undefined) return false
    if (endsAt > this.#clock.now()) return true
    this.#remembered.delete(ticket)
    return false
  }

  remember(ticket: string): void {
    const { rememberMs } = this.#settings
    if (rememberMs === 0) return
    this.#remembered.delete(ticket)
    if (this.#remembered.size >= REMEMBERED_MAX) {
      this.#remembered.delete(this.#remembered.keys().next().value!)
    }
    this.#remembered.set(ticket, this.#clock.now() + rememberMs)
  }

  /**
   * Takes a place, or waits for one; pair each with one `leave`.
   * @returns true: taken; a promise: wait for it; false: too many wait already.
   */
  enter(): boolean | Promise<void> {
    if (this.#running < this.#settings.concurrency) {
      this.#running++
      return true
    }
    if (this.#waiting.length >= this.#settings.queueMax) return false
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  leave(): void {
    // A place that somebody waits for changes hands.
    const next = this.#waiting.shift()
    if (next === undefined) this.#running--
    else next()
  }

  /** Whether this is the password; takes tens of milliseconds of another thread. */
  async matches(hash: string, password: string): Promise<boolean> {
    if (hash.startsWith('$argon2id$')) {
      return (require('@node-rs/argon2') as Argon2).verify(hash, password)
    }
    return (require('@node-rs/bcrypt') as Bcrypt).verify(password, hash)
  }
}
