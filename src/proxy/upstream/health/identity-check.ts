// Asks one endpoint again and again who it is. Addresses are reused: what answers at one today may be
// another service tomorrow.
import { type TimerWheel, WheelTimer } from '../../../lib/timer-wheel.ts'
import { NO_ANSWER, type ProbeTarget, probe } from './probe.ts'

/** What is asked, and what must come back. */
export interface IdentitySettings {
  readonly path: string
  /** Lower case. */
  readonly header: string
  readonly value: string
  readonly everyMs: number
  readonly timeoutMs: number
}

/** Hears of every outcome. */
export interface IdentityObserver {
  onProven(): void
  /** It is somebody else, or cannot be connected to. An answer that is late says nothing. */
  onUnproven(reason: string): void
}

const RETRY_MIN_MS = 100
const RETRY_MAX_MS = 2000
/** Pauses are longer or shorter by this part. */
const JITTER = 0.1
const ANY_STATUS = [{ from: 100, to: 599 }]

/** The checks of one endpoint. */
export class IdentityCheck extends WheelTimer {
  /** Settled after the first check, whatever came out. */
  readonly first: Promise<void>
  isAnswered = false
  readonly #target: ProbeTarget
  readonly #settings: IdentitySettings
  readonly #wheel: TimerWheel
  readonly #observer: IdentityObserver
  readonly #onFirst: () => void
  #retryMs = RETRY_MIN_MS
  #abort: AbortController | null = null
  #stopped = false

  constructor(
    target: ProbeTarget,
    settings: IdentitySettings,
    wheel: TimerWheel,
    observer: IdentityObserver,
  ) {
    super()
    this.#target = target
    this.#settings = settings
    this.#wheel = wheel
    this.#observer = observer
    const { promise, resolve } = Promise.withResolvers<void>()
    this.first = promise
    this.#onFirst = resolve
  }

  start(): void {
    void this.#check()
  }

  /** Does not wait for the time of the next check; nothing new while checks fail anyway. */
  soon(): void {
    if (this.#abort !== null || this.#stopped || this.#retryMs > RETRY_MIN_MS) return
    this.#wheel.cancel(this)
    void this.#check()
  }

  /** Ends the checks; nothing is reported any more. */
  stop(): void {
    this.#stopped = true
    this.#wheel.cancel(this)
    this.#abort?.abort('stopped')
    this.#onFirst()
  }

  override onTimeout(): void {
    void this.#check()
  }

  async #check(): Promise<void> {
    const { path, header, value, everyMs, timeoutMs } = this.#settings
    this.#abort = new AbortController()
    const asked = { path, method: 'GET', headers: {}, statuses: ANY_STATUS, body: null, timeoutMs }
    const reason = await probe(
      this.#target,
      { ...asked, field: { name: header, value } },
      this.#abort,
    )
    this.#abort = null
    if (this.#stopped) return
    let delayMs = everyMs * (1 + JITTER * (2 * Math.random() - 1))
    if (reason === null) {
      this.#retryMs = RETRY_MIN_MS
      this.#observer.onProven()
    } else {
      delayMs = Math.min(this.#retryMs, everyMs)
      this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MAX_MS)
      if (reason !== NO_ANSWER) this.#observer.onUnproven(reason)
    }
    this.isAnswered = true
    this.#onFirst()
    this.#wheel.arm(this, delayMs)
  }
}
