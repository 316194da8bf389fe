// Verifies passwords: few at a time in all threads together, with a bounded queue, and remembers which
// were right.
import { createHmac, generateKeySync, type KeyObject } from 'node:crypto'
import { createRequire } from 'node:module'
import type { Clock } from '../../lib/clock.ts'
import type { Kept, PolicyEnvironment } from '../../proxy/pipeline/policy.ts'

/** Right passwords that are remembered. */
const REMEMBERED_MAX = 10_000

type Argon2 = typeof import('@node-rs/argon2')
type Bcrypt = typeof import('@node-rs/bcrypt')

const require = createRequire(import.meta.url)

/** How much may go on at once. */
export interface VerifierSettings {
  /** Hashes computed at the same time. They run in node's thread pool, which all threads share. */
  readonly concurrency: number
  /** Requests of all threads that may wait. */
  readonly queueMax: number
  /** How long a right password is remembered; 0: not at all. */
  readonly rememberMs: number
}

/** Names of places: of passwords that are hashed, and of requests that wait for that. */
const HASHED = 'passwords hashed'
const WAITING = 'passwords waiting'
/** When whoever waits looks again, at random up to this: each thread has the same chance then. */
const LOOK_MS_MAX = 8

/** The threads of node's pool, as libuv reads `UV_THREADPOOL_SIZE`. */
export function poolThreads(setting: string | undefined): number {
  if (setting === undefined) return 4
  const count = Number.parseInt(setting, 10)
  return Math.min(Math.max(Number.isNaN(count) ? 0 : count, 1), 1_024)
}

/** Verifies the passwords of one thread. */
export class PasswordVerifier implements Kept {
  readonly #settings: VerifierSettings
  readonly #clock: Clock
  readonly #places: PolicyEnvironment['places']
  readonly #key: KeyObject = generateKeySync('hmac', { length: 256 })
  /** When each ends, on the monotonic clock; the oldest first. */
  readonly #remembered = new Map<string, number>()
  /** Those of this thread, the first one first; each has a place among all that wait. */
  readonly #waiting: (() => void)[] = []
  #timer: NodeJS.Timeout | null = null

  constructor(
    settings: VerifierSettings,
    { clock, places }: Pick<PolicyEnvironment, 'clock' | 'places'>,
  ) {
    this.#settings = settings
    this.#clock = clock
    this.#places = places
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
    const { concurrency, queueMax } = this.#settings
    if (this.#waiting.length === 0 && this.#places.enter(HASHED, concurrency)) return true
    if (!this.#places.enter(WAITING, queueMax)) return false
    this.#lookLater()
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  leave(): void {
    // Not handed on: those who wait in other threads want it as much.
    this.#places.leave(HASHED)
  }

  #lookLater(): void {
    this.#timer ??= setTimeout(() => this.#look(), Math.random() * LOOK_MS_MAX)
  }

  /** A place may have become free in any thread. */
  #look(): void {
    this.#timer = null
    while (this.#waiting.length > 0 && this.#places.enter(HASHED, this.#settings.concurrency)) {
      this.#places.leave(WAITING)
      this.#waiting.shift()!()
    }
    if (this.#waiting.length > 0) this.#lookLater()
  }

  /** Whether this is the password; takes tens of milliseconds of another thread. */
  async matches(hash: string, password: string): Promise<boolean> {
    if (hash.startsWith('$argon2id$')) {
      return (require('@node-rs/argon2') as Argon2).verify(hash, password)
    }
    return (require('@node-rs/bcrypt') as Bcrypt).verify(password, hash)
  }
}
