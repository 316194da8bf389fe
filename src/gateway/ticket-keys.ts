// The keys of TLS session tickets: the same in all threads, so that a session resumes in any of them, and
// replaced every day, so that one that leaks opens no older connection (RFC 9325 3.4).
import { randomFillSync } from 'node:crypto'
import type { Clock } from '../lib/clock.ts'

/** What node takes: a name, a key for the authentication and one for the encryption of tickets. */
export const TICKET_KEYS_BYTES = 48
const LIFETIME_MS = 86_400_000

/** One thread's hand on the keys that all share. */
export class TicketKeys {
  readonly #shared: Uint8Array
  readonly #replaces: boolean
  readonly #clock: Clock
  #replacedAt: number

  /**
   * @param shared TICKET_KEYS_BYTES in shared memory.
   * @param replaces whether this thread is the one that replaces them.
   */
  constructor(shared: Uint8Array, replaces: boolean, clock: Clock) {
    this.#shared = shared
    this.#replaces = replaces
    this.#clock = clock
    this.#replacedAt = clock.now()
  }

  /**
   * The keys to use from now on; to be asked for every few seconds. Keys taken while another thread
   * writes them match nobody's: until they are asked for again sessions just do not resume.
   */
  take(): Buffer {
    if (this.#replaces && this.#clock.now() - this.#replacedAt >= LIFETIME_MS) {
      this.#replacedAt = this.#clock.now()
      randomFillSync(this.#shared)
    }
    return Buffer.from(this.#shared)
  }
}
