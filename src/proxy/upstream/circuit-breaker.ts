// Stops sending to a service while it fails as a whole, and finds out when it works again. One state
// for all threads.
import { ServiceCell, type SharedHealth } from './health/shared-health.ts'

/** When a breaker opens, and how it closes. */
export interface BreakerSettings {
  /** The part of the window's requests that must have failed, of 1. */
  readonly failureRatio: number
  /** But not with fewer requests than this in the window. */
  readonly requestsMin: number
  readonly windowMs: number
  /** An answer that took longer counts as failed; 0: none does. */
  readonly slowMs: number
  readonly openMs: number
  /** So many requests are let through to see, and all must succeed. */
  readonly probes: number
}

const CLOSED = 0
const OPEN = 1
const HALF_OPEN = 2

/** What `admit` says. */
export const Admission = { refused: 0, normal: 1, probe: 2 } as const

/** The breaker of one service, as one thread sees it. */
export class CircuitBreaker {
  readonly #shared: SharedHealth
  readonly #cells: Int32Array
  readonly #settings: BreakerSettings
  readonly #serviceSlot: number
  readonly #first: number

  constructor(shared: SharedHealth, serviceSlot: number, settings: BreakerSettings) {
    this.#shared = shared
    this.#cells = shared.cells
    this.#settings = settings
    this.#serviceSlot = serviceSlot
    this.#first = shared.service(serviceSlot)
  }

  /** Whether nothing keeps requests from the service, and none is there to see whether it works. */
  get isClosed(): boolean {
    return Atomics.load(this.#cells, this.#first + ServiceCell.breakerState) === CLOSED
  }

  /** Whether a request may go to the service. Each that may ends with one `settle` or `cancel`. */
  admit(): number {
    const cells = this.#cells
    const state = this.#first + ServiceCell.breakerState
    if (Atomics.load(cells, state) === CLOSED) return Admission.normal
    if (this.#leftMs() <= 0) this.#beginProbes()
    if (Atomics.load(cells, state) !== HALF_OPEN) {
      return Atomics.load(cells, state) === CLOSED ? Admission.normal : Admission.refused
    }
    const probes = this.#first + ServiceCell.probesLeft
    if (Atomics.sub(cells, probes, 1) > 0) return Admission.probe
    Atomics.add(cells, probes, 1)
    return Admission.refused
  }

  /** How long a refused request should wait, in ms; above 0. */
  retryAfterMs(): number {
    return Math.max(1, this.#leftMs())
  }

  /** The request was answered after `durationMs`, or failed. @returns whether that opened the breaker. */
  settle(admission: number, durationMs: number, hasFailed: boolean): boolean {
    const { slowMs } = this.#settings
    const failed = hasFailed || (slowMs > 0 && durationMs > slowMs)
    return admission === Admission.probe ? this.#settleProbe(failed) : this.#count(failed)
  }

  /** The request ended in a way that says nothing of the service. */
  cancel(admission: number): void {
    if (admission === Admission.probe) {
      Atomics.add(this.#cells, this.#first + ServiceCell.probesLeft, 1)
    }
  }

  #leftMs(): number {
    const until = Atomics.load(this.#cells, this.#first + ServiceCell.breakerUntil)
    const leftMs = (until - this.#shared.now()) | 0
    // More than that was never written: the clock has gone round since.
    return leftMs > this.#settings.openMs ? 0 : leftMs
  }

  /** Also when those who were let through never came back: their thread may be gone. */
  #beginProbes(): void {
    const { openMs, probes } = this.#settings
    this.#locked(() => {
      if (this.#leftMs() > 0) return
      this.#set(ServiceCell.probesPassed, 0)
      this.#set(ServiceCell.probesLeft, probes)
      this.#set(ServiceCell.breakerUntil, (this.#shared.now() + openMs) | 0)
      this.#set(ServiceCell.breakerState, HALF_OPEN)
    })
  }

  #settleProbe(failed: boolean): boolean {
    if (failed) return this.#open(HALF_OPEN)
    const passed = Atomics.add(this.#cells, this.#first + ServiceCell.probesPassed, 1) + 1
    if (passed < this.#settings.probes) return false
    this.#locked(() => {
      if (this.#get(ServiceCell.breakerState) !== HALF_OPEN) return
      this.#restartWindow(this.#shared.now())
      this.#set(ServiceCell.breakerState, CLOSED)
    })
    return false
  }

  #count(failed: boolean): boolean {
    const { failureRatio, requestsMin, windowMs } = this.#settings
    const now = this.#shared.now()
    const age = (now - this.#get(ServiceCell.windowStart)) | 0
    if (age < 0 || age >= windowMs) this.#locked(() => this.#restartWindow(now))
    const total = Atomics.add(this.#cells, this.#first + ServiceCell.windowTotal, 1) + 1
    if (!failed) return false
    const failures = Atomics.add(this.#cells, this.#first + ServiceCell.windowFailed, 1) + 1
    return total >= requestsMin && failures >= failureRatio * total && this.#open(CLOSED)
  }

  #open(from: number): boolean {
    let opened = false
    this.#locked(() => {
      if (this.#get(ServiceCell.breakerState) !== from) return
      this.#set(ServiceCell.breakerUntil, (this.#shared.now() + this.#settings.openMs) | 0)
      this.#set(ServiceCell.breakerState, OPEN)
      opened = true
    })
    return opened
  }

  #restartWindow(now: number): void {
    this.#set(ServiceCell.windowTotal, 0)
    this.#set(ServiceCell.windowFailed, 0)
    this.#set(ServiceCell.windowStart, now)
  }

  /** Does nothing while another thread changes the state: the next request will. */
  #locked(change: () => void): void {
    if (!this.#shared.tryLock(this.#serviceSlot)) return
    change()
    this.#shared.unlock(this.#serviceSlot)
  }

  #get(cell: number): number {
    return Atomics.load(this.#cells, this.#first + cell)
  }

  #set(cell: number, value: number): void {
    Atomics.store(this.#cells, this.#first + cell, value)
  }
}
