// A deadline that comes with a request, in the form of its header, and what is left of it in that form.

/** Where deadlines come from. */
export interface DeadlineSettings {
  /** Lower case. */
  readonly header: string
  /** What a number without a unit counts. */
  readonly unit: 'ms' | 's'
}

const GRPC = 'grpc-timeout'
const GRPC_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
}
const PLAIN_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 }
/** A gRPC value has eight digits at most. */
const GRPC_MS_MAX = 99_999_999

/** The deadline of one request. */
export class Deadline {
  /** On the monotonic clock, ms. */
  readonly at: number
  readonly #settings: DeadlineSettings
  readonly #hasUnit: boolean

  private constructor(settings: DeadlineSettings, at: number, hasUnit: boolean) {
    this.at = at
    this.#settings = settings
    this.#hasUnit = hasUnit
  }

  /** Reads the header's value; null when it says no time. */
  static of(settings: DeadlineSettings, value: string, receivedAt: number): Deadline | null {
    const isGrpc = settings.header === GRPC
    const match = isGrpc
      ? /^([0-9]{1,8})([HMSmun])$/.exec(value)
      : /^([0-9]{1,10}(?:\.[0-9]{1,6})?)(ms|s|m)?$/.exec(value)
    if (match === null) return null
    const unit = match[2] ?? settings.unit
    const leftMs = Number(match[1]) * (isGrpc ? GRPC_MS[unit]! : PLAIN_MS[unit]!)
    return new Deadline(settings, receivedAt + leftMs, match[2] !== undefined)
  }

  /** The field line, with its CRLF, that tells the next on the way what is left, rounded down. */
  line(now: number): string {
    return `${this.#settings.header}: ${this.#left(Math.max(0, Math.floor(this.at - now)))}\r\n`
  }

  #left(ms: number): string {
    if (this.#settings.header === GRPC) return `${Math.min(ms, GRPC_MS_MAX)}m`
    if (this.#hasUnit) return `${ms}ms`
    return this.#settings.unit === 'ms' ? String(ms) : String(ms / 1000)
  }
}
