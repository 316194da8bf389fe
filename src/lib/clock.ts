// Time, so that tests and simulations can hold it in their hands.

/** A source of time. */
export interface Clock {
  /** Milliseconds since an arbitrary start; never goes back. Fractions are microseconds. */
  now(): number
  /** Milliseconds since 1970 (UTC). */
  wallTime(): number
}

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
}

/** A clock that moves only when it is told to. */
export class ManualClock implements Clock {
  #now = 0
  now(): number {
    return this.#now
  }
  wallTime(): number {
    return 1_700_000_000_000 + this.#now
  }
  /** Moves time on by `ms` milliseconds. */
  advance(ms: number): void {
    this.#now += ms
  }
}
