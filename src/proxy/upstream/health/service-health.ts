// Which endpoints of a service requests may go to, as one thread sees it. Looked at for every request,
// computed only when something changed.
import type { Endpoint } from '../endpoint.ts'
import { type EjectionSettings, readmitIfDue, tryEject } from './ejection.ts'
import { Blocked, NEVER_USED, type SharedHealth } from './shared-health.ts'
import { type ZoneSettings, ZoneShare } from './zone-share.ts'

/** What the configuration says, compiled. */
export interface HealthSettings {
  /** Null: requests that fail eject nobody. */
  readonly ejection: EjectionSettings | null
  /** With fewer than this part of the endpoints in use, all are used again; 0: never. */
  readonly panicBelow: number
  /** New and returning endpoints get their full share only after this time; 0: at once. */
  readonly slowStartMs: number
  /** Null, or left out: the gateway has no zone. */
  readonly zones?: ZoneSettings | null
}

/** The least part of its share that an endpoint gets at the beginning of a slow start. */
const FIRST_SHARE = 0.1
const DEFAULTS: HealthSettings = { ejection: null, panicBelow: 0, slowStartMs: 0 }

/** The health of one service's endpoints. It sets their `usable`. */
export class ServiceHealth {
  readonly #shared: SharedHealth
  #settings = DEFAULTS
  #endpoints: readonly Endpoint[] = []
  #slots: readonly number[] = []
  /** By priority, the first ones first. */
  #tiers: readonly (readonly Endpoint[])[] = []
  #serviceSlot = 0
  #isKnown = false
  #version = 0
  /** Whether something will change by time alone, and when. */
  #changesByTime = false
  #changeAt = 0
  #isRamping = false
  /** By place in the list: 1 for those that were out at the last look. */
  #wasOut = new Uint8Array(0)
  #zones: ZoneShare | null = null

  constructor(shared: SharedHealth) {
    this.#shared = shared
  }

  configure(settings: HealthSettings, endpoints: readonly Endpoint[]): void {
    this.#settings = settings
    this.#endpoints = endpoints
    this.#slots = endpoints.map(({ slot }) => slot)
    this.#serviceSlot = endpoints[0]?.serviceSlot ?? 0
    const priorities = [...new Set(endpoints.map(({ priority }) => priority))].sort((a, b) => a - b)
    this.#tiers = priorities.map((priority) => endpoints.filter((e) => e.priority === priority))
    this.#wasOut = new Uint8Array(endpoints.length)
    const zones = settings.zones ?? null
    this.#zones = zones === null ? null : new ZoneShare(zones)
    this.#isKnown = false
  }

  /** How much stays in the gateway's own zone; null if it has none. Up to date after `update`. */
  get zones(): ZoneShare | null {
    return this.#zones
  }

  /** Brings `usable` of all endpoints up to date. Call it before an endpoint is picked. */
  update(): void {
    const shared = this.#shared
    if (this.#isKnown && this.#version === shared.version()) {
      if (!this.#changesByTime || ((shared.now() - this.#changeAt) | 0) < 0) return
    }
    this.#compute()
  }

  /**
   * Whether the endpoint takes this attempt, during a slow start or when it was ejected before; `random`
   * is uniform in [0, 1). What has failed elsewhere already tries nothing out.
   */
  takes(endpoint: Endpoint, random: number, isRetry: boolean): boolean {
    const shared = this.#shared
    const { slot } = endpoint
    if (shared.isOnTrial(slot)) return !isRetry && shared.tryTrial(slot, shared.now())
    const { slowStartMs } = this.#settings
    if (slowStartMs === 0) return true
    return random < Math.max(shared.inUseForMs(slot, shared.now()) / slowStartMs, FIRST_SHARE)
  }

  /** Whether some endpoint has its slow start, or has yet to show that it works again. */
  get isRamping(): boolean {
    return this.#isRamping
  }

  /** An attempt there is over. @returns whether that ejected the endpoint. */
  note(endpoint: Endpoint, failed: boolean): boolean {
    const shared = this.#shared
    if (!failed) {
      shared.countSuccess(endpoint.slot)
      return false
    }
    const inRow = shared.countFailure(endpoint.slot)
    const { ejection } = this.#settings
    if (ejection === null || inRow < ejection.failuresInRow) return false
    return tryEject(shared, this.#serviceSlot, this.#slots, endpoint.slot, ejection)
  }

  #compute(): void {
    const shared = this.#shared
    // Read first: what changes from here on is a reason to compute again.
    this.#version = shared.version()
    this.#isKnown = true
    this.#changesByTime = false
    this.#isRamping = false
    const now = shared.now()
    const { slowStartMs } = this.#settings
    for (let index = 0; index < this.#endpoints.length; index += 1) {
      const endpoint = this.#endpoints[index]!
      const { slot } = endpoint
      if ((shared.blocked(slot) & Blocked.ejected) !== 0) {
        readmitIfDue(shared, this.#serviceSlot, slot, now)
        this.#changesIn(Math.max(1, shared.ejectedForMs(slot, now)), now)
      }
      const isOut = shared.blocked(slot) !== 0
      // What this thread remembers is how it was when it failed.
      if (!isOut && this.#wasOut[index] === 1) endpoint.forgetLatency()
      this.#wasOut[index] = isOut ? 1 : 0
      if (shared.isOnTrial(slot)) this.#isRamping = true
      const rampMs = slowStartMs - shared.inUseForMs(slot, now)
      if (rampMs > 0) {
        this.#isRamping = true
        this.#changesIn(rampMs, now)
      }
    }
    this.#choose()
  }

  #changesIn(ms: number, now: number): void {
    const at = (now + ms) | 0
    if (!this.#changesByTime || ((at - this.#changeAt) | 0) < 0) this.#changeAt = at
    this.#changesByTime = true
  }

  /** A tier is joined by the next one when too few of it are in use; with too few in all, all are. */
  #choose(): void {
    const { panicBelow } = this.#settings
    const zones = this.#zones
    zones?.begin()
    for (const endpoint of this.#endpoints) endpoint.usable = false
    for (const tier of this.#tiers) {
      let inUse = 0
      for (const endpoint of tier) {
        endpoint.usable = this.#shared.blocked(endpoint.slot) === 0
        // Until one on trial has shown that it works, the next tier stays ready.
        if (endpoint.usable && !this.#shared.isOnTrial(endpoint.slot)) inUse += 1
        zones?.count(endpoint, endpoint.usable)
      }
      if (inUse > 0 && inUse >= panicBelow * tier.length) {
        zones?.end()
        return
      }
    }
    if (panicBelow === 0) zones?.end()
    else this.#panic()
  }

  #panic(): void {
    const zones = this.#zones
    zones?.begin()
    for (const endpoint of this.#endpoints) {
      endpoint.usable = (this.#shared.blocked(endpoint.slot) & NEVER_USED) === 0
      zones?.count(endpoint, endpoint.usable)
    }
    zones?.endInPanic()
  }
}
