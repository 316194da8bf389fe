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

/** Shared state. Keys are any text; two with the same text mean the same cell, in every thread. */
export interface Store {
  /**
   * Takes `cost` units under every limit, each with the key at its place, or under none of them.
   * A refused take costs nothing. When there is no room for another key, `whenFull` decides.
   */
  take(
    limits: readonly Limit[],
    keys: readonly string[],
    cost: number,
    whenFull: 'deny' | 'allow',
  ): Outcome<TakeResult>
  /** Adds to a count that ends `lifetimeMs` after its first addition. @returns the count. */
  increment(key: string, amount: number, lifetimeMs: number): Outcome<number>
  /** The count, 0 if it has ended or never began. */
  count(key: string): Outcome<number>
  /** Claims a key for `lifetimeMs`. @returns false if somebody holds it, or there is no room. */
  claim(key: string, lifetimeMs: number): Outcome<boolean>
  /** Takes one of `max` places; pair each success with one `leave`. What a dead thread held is given back. */
  enter(key: string, max: number): Outcome<boolean>
  leave(key: string): void
}
