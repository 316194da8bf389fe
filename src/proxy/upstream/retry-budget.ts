// How many retries a service bears: a part of its live traffic, and a few more.
import { ServiceCell, type SharedHealth } from './health/shared-health.ts'

/** The budget of a service. */
export interface RetryBudgetSettings {
  /** Retries per request of the last seconds. */
  readonly share: number
  /** So many more per second, over all threads: a quiet service could retry nothing otherwise. */
  readonly minPerSecond: number
}

/** What is older than this no longer counts as live. */
const WINDOW_MS = 10_000
/** So much of what `minPerSecond` allows may be saved up. */
const BURST_MS = 1000

/**
 * The budget as one thread keeps it. The share is counted per thread, for free: parts of the threads'
 * own traffic add up to the same part of all of it. What goes beyond is taken from one place that all
 * threads share, and is looked at only when the share is used up.
 */
export class RetryBudget {
  readonly #shared: SharedHealth
  #settings: RetryBudgetSettings = { share: 0, minPerSecond: 0 }
  #cell = 0
  #requests = 0
  #retries = 0
  #windowStart: number

  constructor(shared: SharedHealth) {
    this.#shared = shared
    this.#windowStart = shared.now()
  }

  configure(settings: RetryBudgetSettings, serviceSlot: number): void {
    this.#settings = settings
    this.#cell = this.#shared.service(serviceSlot) + ServiceCell.retryFloor
  }

  /** A request came, whatever becomes of it. */
  countRequest(): void {
    this.#requests += 1
  }

  /** Takes the right to one retry; false when there is none left. */
  take(): boolean {
    const now = this.#shared.now()
    this.#forget(now)
    if (this.#retries + 1 <= this.#requests * this.#settings.share) {
      this.#retries += 1
      return true
    }
    return this.#takeExtra(now)
  }

  /** Keeps the last half of a window, at the average rate since then. */
  #forget(now: number): void {
    const elapsedMs = (now - this.#windowStart) | 0
    if (elapsedMs >= 0 && elapsedMs < WINDOW_MS) return
    const kept = elapsedMs < 0 ? 0 : WINDOW_MS / 2 / elapsedMs
    this.#requests *= kept
    this.#retries *= kept
    this.#windowStart = (now - WINDOW_MS / 2) | 0
  }

  /** The cell holds the moment at which all that was saved up is there again. */
  #takeExtra(now: number): boolean {
    const { minPerSecond } = this.#settings
    if (minPerSecond <= 0) return false
    const { cells } = this.#shared
    const costMs = Math.max(1, Math.round(1000 / minPerSecond))
    for (;;) {
      const stored = Atomics.load(cells, this.#cell)
      const debtMs = (stored - now) | 0
      // Beyond the burst lies only what was written an age of the clock ago.
      const owedMs = debtMs > 0 && debtMs <= 2 * BURST_MS ? debtMs : 0
      if (owedMs > 0 && owedMs + costMs > BURST_MS) return false
      const next = (now + owedMs + costMs) | 0
      if (Atomics.compareExchange(cells, this.#cell, stored, next) === stored) return true
    }
  }
}
