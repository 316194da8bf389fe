// Finds endpoints of which far more requests fail than of their neighbours. One looks at the counts of
// all threads, once a second.
import { type EjectionSettings, tryEject } from './ejection.ts'
import { Blocked, type SharedHealth } from './shared-health.ts'

/** A service whose endpoints are compared. */
export interface RatedService {
  readonly serviceSlot: number
  readonly slots: readonly number[]
  readonly settings: EjectionSettings
  /** An endpoint was ejected. */
  onEjected?(): void
}

/** How often `sweep` is called. */
export const SWEEP_MS = 1000

/** The counts of one endpoint at the last sweeps, in a ring. */
class History {
  readonly #attempts: Int32Array
  readonly #failures: Int32Array
  #length = 0
  #next = 0

  constructor(windowMs: number) {
    const samples = Math.ceil(windowMs / SWEEP_MS) + 1
    this.#attempts = new Int32Array(samples)
    this.#failures = new Int32Array(samples)
  }

  add(attempts: number, failures: number): void {
    this.#attempts[this.#next] = attempts
    this.#failures[this.#next] = failures
    this.#next = (this.#next + 1) % this.#attempts.length
    this.#length = Math.min(this.#length + 1, this.#attempts.length)
    // A thread was replaced, and what it had counted is gone.
    if (this.attempts() < 0 || this.failures() < 0) this.clear()
  }

  clear(): void {
    this.#length = 0
    this.#next = 0
  }

  /** Within the window. */
  attempts(): number {
    return this.#rise(this.#attempts)
  }

  failures(): number {
    return this.#rise(this.#failures)
  }

  #rise(ring: Int32Array): number {
    if (this.#length === 0) return 0
    const size = ring.length
    const last = ring[(this.#next + size - 1) % size]!
    const first = ring[(this.#next + size - this.#length) % size]!
    return (last - first) | 0
  }
}

/** Compares the endpoints of services. */
export class FailureRatios {
  readonly #health: SharedHealth
  #services: readonly RatedService[] = []
  #histories = new Map<number, History>()

  constructor(health: SharedHealth) {
    this.#health = health
  }

  /** Takes the services there are now; what is known of endpoints that stay is kept. */
  configure(services: readonly RatedService[]): void {
    const histories = new Map<number, History>()
    for (const { slots, settings } of services) {
      for (const slot of slots) {
        histories.set(slot, this.#histories.get(slot) ?? new History(settings.windowMs))
      }
    }
    this.#services = services
    this.#histories = histories
  }

  /** Looks at all counts and ejects those that stand out. */
  sweep(): void {
    for (const service of this.#services) {
      for (const slot of service.slots) {
        const history = this.#histories.get(slot)!
        if ((this.#health.blocked(slot) & Blocked.ejected) !== 0) history.clear()
        else history.add(this.#health.attempts(slot), this.#health.failures(slot))
      }
      for (const slot of service.slots) {
        if (!this.#standsOut(service, slot)) continue
        const { serviceSlot, slots, settings } = service
        if (tryEject(this.#health, serviceSlot, slots, slot, settings)) service.onEjected?.()
      }
    }
  }

  #standsOut({ slots, settings }: RatedService, slot: number): boolean {
    const own = this.#histories.get(slot)!
    const attempts = own.attempts()
    if (attempts < settings.requestsMin) return false
    const ratio = own.failures() / attempts
    if (ratio < settings.failureRatio) return false
    let others = 0
    let othersFailed = 0
    for (const other of slots) {
      if (other === slot) continue
      others += this.#histories.get(other)!.attempts()
      othersFailed += this.#histories.get(other)!.failures()
    }
    // What fails everywhere alike is not this endpoint's fault, and cured by no ejection.
    return othersFailed * 2 <= ratio * others
  }
}
