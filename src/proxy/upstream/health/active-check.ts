// Checks one endpoint again and again, and says when the outcome is another one.
import { type TimerWheel, WheelTimer } from '../../../lib/timer-wheel.ts'
import { type ProbeSettings, type ProbeTarget, probe } from './probe.ts'

/** How an endpoint is checked. */
export interface CheckSettings extends ProbeSettings {
  readonly everyMs: number
  /** So many passes in a row make a failing endpoint a passing one. */
  readonly healthy: number
  /** So many failures in a row make it a failing one. */
  readonly unhealthy: number
}

/** Hears of outcomes. */
export interface CheckObserver {
  /** It passes now; also the first time that anything is known. */
  onPassing(): void
  onFailing(reason: string): void
  /** A single check failed, whatever that means so far. */
  onFailure?(): void
}

/** The first check comes within this time, so that many endpoints are not asked in one moment. */
const FIRST_MS_MAX = 100
/** Pauses are longer or shorter by this part. */
const JITTER = 0.1

/** The checks of one endpoint. */
export class ActiveCheck extends WheelTimer {
  readonly #target: ProbeTarget
  readonly #settings: CheckSettings
  readonly #wheel: TimerWheel
  readonly #observer: CheckObserver
  readonly #random: () => number
  /** Null while nothing is known. */
  #isPassing: boolean | null
  /** Outcomes in a row that speak against what is known. */
  #contrary = 0
  #abort: AbortController | null = null
  #stopped = false

  /** @param isFailing what is known already, from before. */
  constructor(
    target: ProbeTarget,
    settings: CheckSettings,
    isFailing: boolean,
    wheel: TimerWheel,
    observer: CheckObserver,
    random: () => number = Math.random,
  ) {
    super()
    this.#target = target
    this.#settings = settings
    this.#wheel = wheel
    this.#observer = observer
    this.#random = random
    this.#isPassing = isFailing ? false : null
  }

  start(): void {
    this.#wheel.arm(this, this.#random() * Math.min(FIRST_MS_MAX, this.#settings.everyMs))
  }

  /** Ends the checks; nothing is reported any more. */
  stop(): void {
    this.#stopped = true
    this.#wheel.cancel(this)
    this.#abort?.abort('stopped')
  }

  override onTimeout(): void {
    void this.#check()
  }

  async #check(): Promise<void> {
    this.#abort = new AbortController()
    const reason = await probe(this.#target, this.#settings, this.#abort)
    this.#abort = null
    if (this.#stopped) return
    if (reason !== null) this.#observer.onFailure?.()
    this.#take(reason)
    const factor = 1 + JITTER * (2 * this.#random() - 1)
    this.#wheel.arm(this, this.#settings.everyMs * factor)
  }

  #take(reason: string | null): void {
    const passes = reason === null
    if (passes === this.#isPassing) {
      this.#contrary = 0
      return
    }
    this.#contrary += 1
    // Of a new endpoint one pass is enough to know something.
    const { healthy, unhealthy } = this.#settings
    const needed = passes ? (this.#isPassing === null ? 1 : healthy) : unhealthy
    if (this.#contrary < needed) return
    this.#isPassing = passes
    this.#contrary = 0
    if (reason === null) this.#observer.onPassing()
    else this.#observer.onFailing(reason)
  }
}
