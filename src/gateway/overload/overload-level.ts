// From how much a gateway has to do to which requests it refuses: levels that rise at once and fall one
// by one.

/** What is measured. */
export const MEASURES = ['event loop delay', 'memory', 'heap', 'connections'] as const
export type Measure = (typeof MEASURES)[number]

/** From which value on each level holds, for levels 1 to 3. */
export type Thresholds = readonly [number, number, number]

/** Levels are importances: requests that matter less than the level are refused. */
const LEVELS = 3
/** A level ends when what caused it is below this part of what begins it, */
const FALL_SHARE = 0.9
/** and this long after the last change. */
const HOLD_MS = 1000

/** A change of level. */
export interface LevelChange {
  readonly level: number
  /** What caused the level, or the one that is over. */
  readonly measure: Measure
  readonly value: number
}

/** The level of one thread. */
export class OverloadLevel {
  #thresholds: readonly Thresholds[] = []
  #level = 0
  #changedAt = Number.NEGATIVE_INFINITY
  #measure: Measure = MEASURES[0]

  get level(): number {
    return this.#level
  }

  /** What caused the level. */
  get measure(): Measure {
    return this.#measure
  }

  /** @param thresholds in the order of MEASURES. */
  configure(thresholds: readonly Thresholds[]): void {
    this.#thresholds = thresholds
  }

  /** Nothing is measured any more. */
  reset(): void {
    this.#level = 0
  }

  /** Takes a look. @param values in the order of MEASURES. @returns what changed, or null. */
  update(values: readonly number[], now: number): LevelChange | null {
    let reached = 0
    let held = 0
    let worst = 0
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!
      const thresholds = this.#thresholds[i]!
      const level = levelOf(value, thresholds, 1)
      held = Math.max(held, levelOf(value, thresholds, FALL_SHARE))
      if (level > reached) {
        reached = level
        worst = i
      }
    }
    const next = this.#next(reached, held, now)
    if (next === this.#level) return null
    if (next > this.#level) this.#measure = MEASURES[worst]!
    this.#level = next
    this.#changedAt = now
    return { level: next, measure: this.#measure, value: values[MEASURES.indexOf(this.#measure)]! }
  }

  #next(reached: number, held: number, now: number): number {
    if (reached >= this.#level) return reached
    if (now - this.#changedAt < HOLD_MS || held >= this.#level) return this.#level
    return this.#level - 1
  }
}

function levelOf(value: number, thresholds: Thresholds, share: number): number {
  let level = 0
  while (level < LEVELS && value >= thresholds[level]! * share) level++
  return level
}
