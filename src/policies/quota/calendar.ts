// Periods of the calendar in a time zone: when the present hour, day or month began and when it ends.

const HOUR_MS = 3_600_000
const PARTS = ['year', 'month', 'day', 'hour', 'minute', 'second'] as const

/** The kinds of period. */
export type PeriodKind = 'hour' | 'day' | 'month'

/** Whether the runtime knows a time zone of this name. */
export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name })
    return true
  } catch {
    return false
  }
}

/** Follows the periods of one kind; asks the calendar once per period. Times are ms since 1970. */
export class Calendar {
  /** The period that was looked at last. */
  startMs = 0
  endMs = 0
  readonly #kind: PeriodKind
  readonly #format: Intl.DateTimeFormat

  /** @throws RangeError when the time zone is unknown. */
  constructor(kind: PeriodKind, timeZone: string) {
    this.#kind = kind
    this.#format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      calendar: 'iso8601',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
  }

  /** Moves to the period that holds a time. @returns whether it is another one than before. */
  moveTo(wallMs: number): boolean {
    if (wallMs >= this.startMs && wallMs < this.endMs) return false
    if (this.#kind === 'hour') {
      const local = wallMs + this.#offsetAt(wallMs)
      this.startMs = wallMs - modulo(local, HOUR_MS)
      this.endMs = this.startMs + HOUR_MS
      return true
    }
    const date = new Date(wallMs + this.#offsetAt(wallMs))
    const year = date.getUTCFullYear()
    const month = date.getUTCMonth()
    const day = date.getUTCDate()
    const isDay = this.#kind === 'day'
    this.startMs = this.#instantOf(Date.UTC(year, month, isDay ? day : 1))
    this.endMs = this.#instantOf(isDay ? Date.UTC(year, month, day + 1) : Date.UTC(year, month + 1))
    return true
  }

  /** How far the zone's clocks are ahead of UTC at an instant, in ms. */
  #offsetAt(wallMs: number): number {
    const whole = wallMs - modulo(wallMs, 1_000)
    const values: Record<string, number> = {}
    for (const { type, value } of this.#format.formatToParts(whole)) values[type] = Number(value)
    const [year, month, day, hour, minute, second] = PARTS.map((part) => values[part]!)
    return Date.UTC(year!, month! - 1, day!, hour!, minute!, second!) - whole
  }

  /** The instant at which the zone's clocks show a midnight; the end of the gap where they skip it. */
  #instantOf(localMs: number): number {
    const before = this.#offsetAt(localMs - 24 * HOUR_MS)
    const after = this.#offsetAt(localMs + 24 * HOUR_MS)
    const first = localMs - before
    if (before === after || this.#offsetAt(first) === before) return first
    const second = localMs - after
    // In a gap neither fits: counted with the old offset, midnight is the moment of the change.
    return this.#offsetAt(second) === after ? second : first
  }
}

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by
}
