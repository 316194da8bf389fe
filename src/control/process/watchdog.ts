// Finds threads whose event loop no longer turns, an endless loop in a policy for example.
import { BEAT_INTERVAL_MS } from './thread-host.ts'

/** Looks in a row that found no sign of life before a thread is given up. */
const SILENT_LOOKS_MAX = 10
/** Above the interval of the beats, or a look might find none. */
const LOOK_INTERVAL_MS = 2 * BEAT_INTERVAL_MS

/**
 * Watches the counters that living threads raise. It counts its own looks, not time: a machine that
 * was asleep finds nobody guilty.
 */
export class Watchdog {
  readonly beats: Int32Array
  readonly #seen: Int32Array
  readonly #silentLooks: Int32Array
  readonly #onSilent: (threadIndex: number) => void
  /** Looks in a row that found no sign of life in any thread. */
  #quietLooks = 0
  #timer: NodeJS.Timeout | undefined

  constructor(threads: number, onSilent: (threadIndex: number) => void) {
    this.beats = new Int32Array(new SharedArrayBuffer(threads * Int32Array.BYTES_PER_ELEMENT))
    this.#seen = new Int32Array(threads)
    this.#silentLooks = new Int32Array(threads)
    this.#onSilent = onSilent
  }

  /** Looks again and again from now on. */
  start(intervalMs = LOOK_INTERVAL_MS): void {
    this.#timer = setInterval(() => this.look(), intervalMs)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** A new thread has this index from now on. */
  reset(threadIndex: number): void {
    this.#silentLooks[threadIndex] = 0
  }

  /** Whether all threads have been silent for half of the time after which one is given up. */
  get isQuiet(): boolean {
    return this.#quietLooks >= SILENT_LOOKS_MAX / 2
  }

  /** One look at all threads. */
  look(): void {
    this.#quietLooks++
    for (let index = 0; index < this.beats.length; index++) {
      const beat = Atomics.load(this.beats, index)
      const isSilent = beat === this.#seen[index]
      this.#seen[index] = beat
      if (!isSilent) this.#quietLooks = 0
      this.#silentLooks[index] = isSilent ? this.#silentLooks[index]! + 1 : 0
      if (this.#silentLooks[index]! < SILENT_LOOKS_MAX) continue
      this.#silentLooks[index] = 0
      this.#onSilent(index)
    }
  }
}
