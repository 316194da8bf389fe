// Failed attempts to show who one is, limited by address and by the identity that was tried.
import type { Clock } from '../../lib/clock.ts'
import { networkOf } from '../../lib/ip-prefix-tree.ts'
import type { Outcome, Store } from '../../state/store.ts'

/** How many failures are borne. */
export interface FailureBounds {
  /** Failures of one address within the window. */
  readonly perAddress: number
  /** Failures for one identity within the window, from anywhere. */
  readonly perIdentity: number
  readonly windowMs: number
}

/** Counts failures, over all threads. IPv6 addresses count by their /64. */
export interface FailedAttempts {
  /** Whether another attempt may be made; ask before anything costly. `identity` may be null. */
  mayTry(bounds: FailureBounds, address: string, identity: string | null): Outcome<boolean>
  /** Notes a failure. */
  failed(bounds: FailureBounds, address: string, identity: string | null): void
}

/** What one customer of a provider usually has. */
const IPV6_BITS = 64
/** How long nobody unknown may try after a failure that could not be counted. */
const NO_ROOM_PAUSE_MS = 1_000

/**
 * Failures counted in a store, each count for one window that begins with its first failure. A store
 * without room for another key would let everybody guess unseen, so whoever it does not know then has
 * to wait, but for about one attempt a second and thread.
 */
export class CountedFailures implements FailedAttempts {
  readonly #store: Store
  readonly #clock: Clock
  #pausedUntil = Number.NEGATIVE_INFINITY

  /** @param store should hold nothing else: its keys are chosen by whoever fails. */
  constructor(store: Store, clock: Clock) {
    this.#store = store
    this.#clock = clock
  }

  mayTry(bounds: FailureBounds, address: string, identity: string | null): Outcome<boolean> {
    const ofAddress = this.#store.count(addressKey(bounds, address))
    const ofIdentity = identity === null ? 0 : this.#store.count(identityKey(bounds, identity))
    if (typeof ofAddress === 'number' && typeof ofIdentity === 'number') {
      return this.#isWithin(bounds, ofAddress, ofIdentity, identity)
    }
    return Promise.all([ofAddress, ofIdentity]).then(([first, second]) =>
      this.#isWithin(bounds, first, second, identity),
    )
  }

  failed(bounds: FailureBounds, address: string, identity: string | null): void {
    this.#add(addressKey(bounds, address), bounds.windowMs)
    if (identity !== null) this.#add(identityKey(bounds, identity), bounds.windowMs)
  }

  #isWithin(
    bounds: FailureBounds,
    ofAddress: number,
    ofIdentity: number,
    identity: string | null,
  ): boolean {
    if (ofAddress >= bounds.perAddress || ofIdentity >= bounds.perIdentity) return false
    const isUnknown = ofAddress === 0 || (identity !== null && ofIdentity === 0)
    return !isUnknown || this.#clock.now() >= this.#pausedUntil
  }

  #add(key: string, windowMs: number): void {
    const count = this.#store.increment(key, 1, windowMs)
    if (typeof count === 'number') this.#counted(count)
    else {
      count.then(
        (value) => this.#counted(value),
        () => this.#counted(Number.POSITIVE_INFINITY),
      )
    }
  }

  #counted(count: number): void {
    if (count === Number.POSITIVE_INFINITY) {
      this.#pausedUntil = this.#clock.now() + NO_ROOM_PAUSE_MS
    }
  }
}

// Windows of different lengths count for themselves: the longer one must not end with the shorter.

function addressKey({ windowMs }: FailureBounds, address: string): string {
  return `a${windowMs}:${networkOf(address, IPV6_BITS)}`
}

function identityKey({ windowMs }: FailureBounds, identity: string): string {
  return `i${windowMs}:${identity}`
}
