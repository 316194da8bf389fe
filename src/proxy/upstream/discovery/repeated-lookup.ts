// A question to name servers that is asked again when the time to live of its answer is over.
import { type TimerWheel, WheelTimer } from '../../../lib/timer-wheel.ts'
import type { FailedResolution } from './resolver.ts'

/** How often is asked. */
export interface LookupBounds {
  /** Times to live below this, and none at all, count as this. */
  readonly ttlMinMs: number
  /** Times to live above this count as this. */
  readonly ttlMaxMs: number
}

const RETRY_MIN_MS = 500
const RETRY_MAX_MS = 30_000

/**
 * One question. When nobody could answer, what was known stays and the question is repeated ever more
 * slowly; when the answer is that there is nothing, it goes.
 */
export abstract class RepeatedLookup<Answer extends { readonly failure: null }> extends WheelTimer {
  readonly #bounds: LookupBounds
  readonly #wheel: TimerWheel
  #failures = 0
  #stopped = false

  constructor(bounds: LookupBounds, wheel: TimerWheel) {
    super()
    this.#bounds = bounds
    this.#wheel = wheel
  }

  protected abstract ask(): Promise<Answer | FailedResolution>
  /** @returns for how long the answer may be kept, in ms; Infinity for ever. */
  protected abstract take(answer: Answer): number
  /** After `nxdomain` nothing of what was known is true any more. */
  protected abstract fail(failure: FailedResolution): void

  /** How often in a row the look-up failed by now. */
  get failures(): number {
    return this.#failures
  }

  /** Asks for the first time; settled when the answer, or the failure, was reported. Never rejects. */
  start(): Promise<void> {
    return this.#look()
  }

  /** Ends the watch; nothing is reported any more. */
  stop(): void {
    this.#stopped = true
    this.#wheel.cancel(this)
  }

  override onTimeout(): void {
    void this.#look()
  }

  async #look(): Promise<void> {
    const answer = await this.ask()
    if (this.#stopped) return
    const delayMs = answer.failure === null ? this.#take(answer) : this.#fail(answer)
    if (!this.#stopped && delayMs < Number.POSITIVE_INFINITY) this.#wheel.arm(this, delayMs)
  }

  #take(answer: Answer): number {
    this.#failures = 0
    const ttlMs = this.take(answer)
    if (ttlMs === Number.POSITIVE_INFINITY) return ttlMs
    return Math.min(Math.max(ttlMs, this.#bounds.ttlMinMs), this.#bounds.ttlMaxMs)
  }

  #fail(failure: FailedResolution): number {
    this.#failures += 1
    this.fail(failure)
    const delayMs = RETRY_MIN_MS * 2 ** Math.min(this.#failures - 1, 10)
    return Math.min(delayMs, RETRY_MAX_MS, this.#bounds.ttlMaxMs)
  }
}
