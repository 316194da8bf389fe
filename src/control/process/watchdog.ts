// Finds threads whose event loop does not turn: for a while, because a policy held it, or for good.
import { PulseReader, type Running } from '../../observability/pulse.ts'

/** Bounds in milliseconds. */
export interface WatchSettings {
  readonly intervalMs: number
  /** What a policy may take before it is mentioned. */
  readonly heldMs: number
  /** Without a sign of life for so long, a thread is given up. */
  readonly silentMs: number
}

/** Four looks a second cost an idle machine nothing, and find all that holds a thread for 750 ms. */
const DEFAULTS: WatchSettings = { intervalMs: 250, heldMs: 500, silentMs: 5_000 }

/** What it finds. */
export interface WatchdogEvents {
  /** A hook ended that had its thread for at least `heldMs`. */
  onHeld(threadIndex: number, running: Running, heldMs: number): void
  /** A thread gave no sign of life for `silentMs`; told once per thread. `running` is whose hook it is in. */
  onSilent(threadIndex: number, silentMs: number, running: Running | null): void
}

interface Watched {
  beats: number
  silentMs: number
  isReported: boolean
  /** The hook that ran at the last look, and for how long it has been seen by now. */
  entry: number
  heldMs: number
  running: Running | null
}

/**
 * Watches what threads write down. Time counts only while the looks themselves come in time: a machine
 * that slept, or has no processor to give, finds nobody guilty.
 */
export class Watchdog {
  readonly #pulse: PulseReader
  readonly #events: WatchdogEvents
  readonly #settings: WatchSettings
  readonly #threads: Watched[]
  #lookedAt = 0
  /** For how long no thread at all has shown a sign of life. */
  #quietMs = 0
  #timer: NodeJS.Timeout | undefined

  constructor(
    pulse: SharedArrayBuffer,
    events: WatchdogEvents,
    settings: Partial<WatchSettings> = {},
  ) {
    this.#pulse = new PulseReader(pulse)
    this.#events = events
    this.#settings = { ...DEFAULTS, ...settings }
    this.#threads = Array.from({ length: this.#pulse.threads }, fresh)
  }

  /** Looks again and again from now on. */
  start(): void {
    this.#lookedAt = performance.now()
    this.#timer = setInterval(() => this.look(performance.now()), this.#settings.intervalMs)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** A new thread has this index from now on. It is watched from its first sign of life. */
  reset(threadIndex: number): void {
    this.#pulse.reset(threadIndex)
    this.#threads[threadIndex] = fresh()
  }

  /** Whether all threads have been silent for half of the time after which one is given up. */
  get isQuiet(): boolean {
    return this.#quietMs >= this.#settings.silentMs / 2
  }

  /** One look at all threads, at `now` of a monotonic clock in milliseconds. */
  look(now: number): void {
    const passedMs = now - this.#lookedAt
    this.#lookedAt = now
    const countedMs = passedMs <= 2 * this.#settings.intervalMs ? passedMs : 0
    this.#quietMs += countedMs
    for (let index = 0; index < this.#threads.length; index++) {
      const watched = this.#threads[index]!
      this.#followHook(index, watched, countedMs)
      this.#followBeats(index, watched, countedMs)
    }
  }

  #followHook(index: number, watched: Watched, countedMs: number): void {
    const entry = this.#pulse.entry(index)
    if (entry !== 0 && entry === watched.entry) {
      watched.heldMs += countedMs
      watched.running ??= this.#pulse.running(index)
      return
    }
    const { heldMs, running } = watched
    watched.entry = entry
    watched.heldMs = 0
    watched.running = null
    if (heldMs >= this.#settings.heldMs && running !== null) {
      this.#events.onHeld(index, running, heldMs)
    }
  }

  #followBeats(index: number, watched: Watched, countedMs: number): void {
    const beats = this.#pulse.beats(index)
    if (beats !== watched.beats) this.#quietMs = 0
    const isSilent = beats === watched.beats && beats !== 0
    watched.beats = beats
    watched.silentMs = isSilent ? watched.silentMs + countedMs : 0
    if (watched.silentMs < this.#settings.silentMs || watched.isReported) return
    watched.isReported = true
    this.#events.onSilent(index, watched.silentMs, this.#pulse.running(index))
  }
}

function fresh(): Watched {
  return { beats: 0, silentMs: 0, isReported: false, entry: 0, heldMs: 0, running: null }
}
