// Finds out how many requests a service can work on at once, from how long its answers take. All
// threads learn together: samples and state are cells that they share.
import { LimitCell, type SharedConcurrency } from './shared-concurrency.ts'

/** How a limit is found. */
export interface AdaptiveSettings {
  /**
   * `gradient` compares answers with those of the same service when it has little to do; `aimd` with a
   * latency that was set.
   */
  readonly algorithm: 'gradient' | 'aimd'
  readonly min: number
  readonly max: number
  /** With `gradient`: answers may take so many times as long as without a queue at the service. */
  readonly tolerance: number
  /** With `aimd`: what takes longer is too slow. */
  readonly latencyMs: number
}

/** Where nothing is known yet. */
const FIRST_LIMIT = 20
const WINDOW_MS_MIN = 100
const SAMPLES_MIN = 50
/** And so many for each request in flight, or the quick ones among them would be heard first. */
const ROUNDS = 2
const SAMPLES_ENOUGH = 50_000
/** Few, as the service is held back meanwhile. */
const PROBE_SAMPLES_MIN = 25
/** A baseline is measured anew so often while the limit is in use, */
const PROBE_EVERY_MS = 30_000
/** or so many times the length of the last probe, so that they take a fiftieth of the time at most, */
const PROBE_PAUSE = 50
/** for the first time after */
const FIRST_PROBE_MS = 500
/** and with this part of the limit. */
const PROBE_SHARE = 0.25
/** A limit that falls below half of its highest since the last probe may have a wrong baseline. */
const PROBE_BELOW = 0.5
/** The strongest correction of one window. */
const GRADIENT_MIN = 0.5
/** How fast the baseline follows answers at low load. */
const DRIFT = 0.2
/** More of the answers than this may not be refusals of the service, timeouts, or slow. */
const BAD_SHARE = 0.1
const BACKOFF = 0.9
/** Fractions of a limit are kept, and logarithms of microseconds. */
const LIMIT_SCALE = 1000
const LOG_SCALE = 256
/** Beyond this a sum might not fit any more. */
const SUM_MAX = 1 << 30

/** The limit of one service, as one thread learns it. */
export class AdaptiveLimit {
  readonly #shared: SharedConcurrency
  readonly #cells: Int32Array
  readonly #slot: number
  readonly #first: number
  readonly #settings: AdaptiveSettings

  /** What is known of the service already is kept, within the bounds. */
  constructor(shared: SharedConcurrency, slot: number, settings: AdaptiveSettings) {
    this.#shared = shared
    this.#cells = shared.cells
    this.#slot = slot
    this.#first = shared.service(slot)
    this.#settings = settings
    const known = this.#get(LimitCell.learned) / LIMIT_SCALE
    if (known === 0) this.#set(LimitCell.windowStart, shared.ticks.now())
    if (settings.algorithm === 'aimd') this.#set(LimitCell.isProbing, 0)
    this.#store(known === 0 ? FIRST_LIMIT : known)
  }

  /**
   * A request ended.
   * @param since the tick at which it began.
   * @param latencyMs until the head of its answer; -1 for one of which only `dropped` is known.
   * @param dropped whether the service could not take it: it timed out or was refused.
   * @param inFlight how many there were, this one included.
   */
  note(since: number, latencyMs: number, dropped: boolean, inFlight: number): void {
    const cells = this.#cells
    const start = this.#get(LimitCell.windowStart)
    // What began under an earlier limit says nothing of this one.
    if (((since - start) | 0) < 0) return
    if (inFlight > this.#get(LimitCell.peak)) this.#set(LimitCell.peak, inFlight)
    if (dropped) Atomics.add(cells, this.#first + LimitCell.dropped, 1)
    else this.#add(latencyMs)
    const samples = this.#get(LimitCell.samples) + this.#get(LimitCell.dropped)
    if (samples < this.#samplesMin()) return
    const now = this.#shared.ticks.now()
    const isOver = this.#get(LimitCell.isProbing) !== 0 || ((now - start) | 0) >= WINDOW_MS_MIN
    if (isOver) this.#learn(now)
  }

  #add(latencyMs: number): void {
    const cells = this.#cells
    if (this.#get(LimitCell.logSum) > SUM_MAX) return
    const log = Math.round(Math.log2(Math.max(1, latencyMs * 1000)) * LOG_SCALE)
    Atomics.add(cells, this.#first + LimitCell.logSum, log)
    Atomics.add(cells, this.#first + LimitCell.samples, 1)
    const { algorithm, latencyMs: slow } = this.#settings
    if (algorithm === 'aimd' && latencyMs > slow)
      Atomics.add(cells, this.#first + LimitCell.slow, 1)
  }

  /** Ends the window. Nobody waits for the lock: who does not get it leaves it to the one who has. */
  #learn(now: number): void {
    const cells = this.#cells
    const lock = this.#first + LimitCell.lock
    if (Atomics.compareExchange(cells, lock, 0, this.#shared.threadIndex + 1) !== 0) return
    const start = this.#get(LimitCell.windowStart)
    const samplesMin = this.#samplesMin()
    const samples = this.#take(LimitCell.samples)
    const logSum = this.#take(LimitCell.logSum)
    const slow = this.#take(LimitCell.slow)
    const dropped = this.#take(LimitCell.dropped)
    const peak = this.#take(LimitCell.peak)
    this.#set(LimitCell.windowStart, now)
    if (samples + dropped >= samplesMin) {
      const typicalUs = samples === 0 ? 0 : 2 ** (logSum / samples / LOG_SCALE)
      const badShare = (slow + dropped) / (samples + dropped)
      if (this.#settings.algorithm === 'aimd') this.#stepOrBackOff(badShare, peak)
      else if (this.#get(LimitCell.isProbing) !== 0) {
        this.#endProbe(typicalUs, samples, now, (now - start) | 0)
      } else this.#follow(typicalUs, samples, badShare, peak, now)
    }
    Atomics.store(cells, lock, 0)
    this.#shared.wakeWaiters(this.#slot)
  }

  #stepOrBackOff(badShare: number, peak: number): void {
    const limit = this.#learned
    if (badShare > BAD_SHARE) this.#store(limit * BACKOFF)
    else if (peak * 2 >= limit) this.#store(limit + 1)
  }

  #follow(typicalUs: number, samples: number, badShare: number, peak: number, now: number): void {
    const limit = this.#learned
    const baseline = this.#get(LimitCell.baseline)
    const isKnown = samples >= SAMPLES_MIN / 2
    if (baseline === 0) {
      if (!isKnown) return
      this.#set(LimitCell.baseline, Math.round(typicalUs))
      this.#set(LimitCell.nextProbe, (now + FIRST_PROBE_MS) | 0)
      this.#set(LimitCell.highest, limit)
      return
    }
    if (peak * 2 < limit) {
      // So few at once do not queue at the service: this is how long it takes.
      if (isKnown)
        this.#set(LimitCell.baseline, Math.round(baseline + (typicalUs - baseline) * DRIFT))
      return
    }
    let gradient = isKnown ? (this.#settings.tolerance * baseline) / typicalUs : 1
    if (badShare > BAD_SHARE) gradient = Math.min(gradient, BACKOFF * (1 - badShare))
    gradient = Math.max(GRADIENT_MIN, Math.min(1, gradient))
    const next = this.#store(limit * gradient + Math.sqrt(limit))
    const highest = Math.max(next, this.#get(LimitCell.highest))
    this.#set(LimitCell.highest, highest)
    const isDue = ((now - this.#get(LimitCell.nextProbe)) | 0) >= 0
    if (isDue || next < highest * PROBE_BELOW) this.#beginProbe()
  }

  #beginProbe(): void {
    this.#set(LimitCell.isProbing, 1)
    this.#store(this.#learned)
  }

  #endProbe(typicalUs: number, samples: number, now: number, tookMs: number): void {
    if (samples * 2 >= PROBE_SAMPLES_MIN) this.#set(LimitCell.baseline, Math.round(typicalUs))
    const pauseMs = Math.max(PROBE_EVERY_MS, PROBE_PAUSE * tookMs)
    this.#set(LimitCell.nextProbe, (now + pauseMs) | 0)
    this.#set(LimitCell.isProbing, 0)
    this.#set(LimitCell.highest, this.#store(this.#learned))
  }

  #samplesMin(): number {
    const least = this.#get(LimitCell.isProbing) === 0 ? SAMPLES_MIN : PROBE_SAMPLES_MIN
    const rounds = Math.min(SAMPLES_ENOUGH, ROUNDS * this.#get(LimitCell.peak))
    return Math.max(least, rounds)
  }

  get #learned(): number {
    return this.#get(LimitCell.learned) / LIMIT_SCALE
  }

  /** Keeps a limit, within its bounds, and sets what holds now. @returns it. */
  #store(limit: number): number {
    const { min, max } = this.#settings
    const kept = Math.min(max, Math.max(min, limit))
    this.#set(LimitCell.learned, Math.round(kept * LIMIT_SCALE))
    const share = this.#get(LimitCell.isProbing) === 0 ? 1 : PROBE_SHARE
    this.#shared.setLimit(this.#slot, Math.max(1, Math.floor(kept * share)))
    return kept
  }

  #get(cell: number): number {
    return Atomics.load(this.#cells, this.#first + cell)
  }

  #set(cell: number, value: number): void {
    Atomics.store(this.#cells, this.#first + cell, value)
  }

  #take(cell: number): number {
    return Atomics.exchange(this.#cells, this.#first + cell, 0)
  }
}
