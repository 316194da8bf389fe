// The contract of state that requests share: between the threads of one gateway, or between gateways.
// Every verb is atomic as a whole; there is no read that a write could follow too late.

/** An answer that may have to be waited for. In shared memory it never has to. */
export type Outcome<T> = T | Promise<T>

/** One bound on how much may be taken in how long. */
export interface Limit {
  /** `gcra`: evenly spread with a burst; `sliding-window`: a count over the time just passed. */
  readonly algorithm: 'gcra' | 'sliding-window'
  /** Units per period. */
  readonly limit: number
  readonly periodMs: number
  /** Units that may be taken at once; only `gcra` has it. */
  readonly burst: number
}

/** What became of a take. The same object may be used again by the next call: read it at once. */
export interface TakeResult {
  allowed: boolean
  /** The limit, by its place, that refused; or, when allowed, the one with the least left. */
  limitIndex: number
  /** Whole units left under that limit, at least 0. */
  remaining: number
  /** Until all of that limit's units are there again, in milliseconds. */
  resetMs: number
  /** When refused: until the same take could pass, in milliseconds; -1 if it never can. */
  retryAfterMs: number
}

/** What became of a spend. The same object may be used again by the next call: read it at once. */
export interface SpendResult {
  allowed: boolean
  /** The count afterwards. */
  used: number
}

/**
 * Shared state. Keys are any text; two with the same text mean the same cell, in every thread. A key
 * belongs to one verb, and to one limit: whoever changes a limit changes the key.
 */
export interface Store {
  /**
   * Takes `cost` units (a whole number from 0 on) under every limit, each with the key of its own at its
   * place, or under none of them: a refused take costs nothing. One of 0 is never refused. When there
   * is no room for another key, or nobody can be asked in time, `whenFull` decides. Both lists are
   * read before it returns.
   */
  take(
    limits: readonly Limit[],
    keys: readonly string[],
    cost: number,
    whenFull: 'deny' | 'allow',
  ): Outcome<TakeResult>
  /**
   * Adds to a count that ends `lifetimeMs` after its first addition.
   * @returns the count; Infinity when there is no room for another key, so that a bound refuses.
   */
  increment(key: string, amount: number, lifetimeMs: number): Outcome<number>
  /** The count, 0 if it has ended or never began; Infinity when nobody can be asked in time. */
  count(key: string): Outcome<number>
  /** Claims a key for `lifetimeMs`. @returns false if somebody holds it, or there is no room. */
  claim(key: string, lifetimeMs: number): Outcome<boolean>
  /**
   * Adds `amount` to a count that ends `lifetimeMs` after its first addition, unless it would pass
   * `max` or there is no room: then it stays as it is. The count outlives the process where the
   * gateway was given a file for it.
   */
  spend(key: string, amount: number, max: number, lifetimeMs: number): Outcome<SpendResult>
  /**
   * Takes one of `max` places; pair each success with one `leave`. What a dead thread held is given
   * back. @returns false when all are taken, or there is no room for another key.
   */
  enter(key: string, max: number): Outcome<boolean>
  leave(key: string): void
}
