// How long to wait before something that ended unexpectedly is started again.

/** Waiting times in milliseconds. */
export interface BackoffSettings {
  /** The wait before the second restart in a row; the first has none. Doubles from there. */
  readonly firstMs: number
  readonly maxMs: number
  /** Who lived at least this long starts a new row. */
  readonly stableMs: number
}

const DEFAULTS: BackoffSettings = { firstMs: 100, maxMs: 5_000, stableMs: 30_000 }

/** Counts failures in a row. */
export class Backoff {
  readonly #settings: BackoffSettings
  #failures = 0

  constructor(settings: Partial<BackoffSettings> = {}) {
    this.#settings = { ...DEFAULTS, ...settings }
  }

  /** Failures in a row so far. */
  get failures(): number {
    return this.#failures
  }

  /** Notes a failure of something that lived for `livedMs`; returns how long to wait, in milliseconds. */
  fail(livedMs: number): number {
    const { firstMs, maxMs, stableMs } = this.#settings
    if (livedMs >= stableMs) this.#failures = 0
    const exponent = Math.min(this.#failures - 1, 30)
    this.#failures++
    return exponent < 0 ? 0 : Math.min(maxMs, firstMs * 2 ** exponent)
  }
}
