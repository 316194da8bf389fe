// How long a service takes to answer, as one thread saw it lately: a histogram of fixed size that
// forgets, and the percentile that is asked of it.
import type { Clock } from '../../lib/clock.ts'

/** The lower bound of the second bucket; each further one is wider by GROWTH. */
const FIRST_MS = 0.5
const GROWTH = 1.08
/** The last one begins above two minutes. */
const BUCKETS = 162
/** Fewer say nothing. */
const SAMPLES_MIN = 100
/** With so many, or after this time, all counts are halved. */
const SAMPLES_MAX = 2000
const HALF_LIFE_MS = 60_000
/** The percentile is looked up again after so many samples. */
const STALE_AFTER = 32

const SCALE = 1 / Math.log(GROWTH)

/** The latencies of one service, and one of their percentiles, correct to a twelfth. */
export class LatencySketch {
  /** Of 1. */
  readonly quantile: number
  readonly #clock: Clock
  readonly #counts = new Float64Array(BUCKETS)
  #samples = 0
  #halvedAt: number
  #unseen = STALE_AFTER
  #valueMs = -0.5

  constructor(quantile: number, clock: Clock) {
    this.quantile = quantile
    this.#clock = clock
    this.#halvedAt = clock.now()
  }

  /** An answer took that long, or at least that long. */
  record(latencyMs: number): void {
    const bucket = latencyMs < FIRST_MS ? 0 : 1 + Math.floor(Math.log(latencyMs / FIRST_MS) * SCALE)
    const index = Math.min(bucket, BUCKETS - 1)
    this.#counts[index] = this.#counts[index]! + 1
    this.#samples++
    this.#unseen++
    if (this.#samples >= SAMPLES_MAX) this.#halve()
  }

  /** The percentile in ms, rounded up; below 0 while too little is known. */
  valueMs(): number {
    const now = this.#clock.now()
    const isOld = now - this.#halvedAt >= HALF_LIFE_MS
    if (isOld) this.#halve()
    if (isOld || this.#unseen >= STALE_AFTER) {
      this.#unseen = 0
      this.#valueMs = this.#samples < SAMPLES_MIN ? -0.5 : this.#find()
    }
    return this.#valueMs
  }

  #find(): number {
    const wanted = this.quantile * this.#samples
    let seen = 0
    let index = 0
    for (; index < BUCKETS - 1; index++) {
      seen += this.#counts[index]!
      if (seen >= wanted) break
    }
    return FIRST_MS * GROWTH ** index
  }

  #halve(): void {
    this.#halvedAt = this.#clock.now()
    this.#samples = 0
    for (let i = 0; i < BUCKETS; i++) {
      this.#counts[i] = this.#counts[i]! / 2
      this.#samples += this.#counts[i]!
    }
  }
}
