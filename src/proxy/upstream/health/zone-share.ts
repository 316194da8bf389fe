// How much of a service's load stays in the gateway's own zone, computed from the shared health, so that all
// threads agree.
import type { Endpoint } from '../endpoint.ts'

/** What the configuration says, compiled. */
export interface ZoneSettings {
  /** The gateway's own. */
  readonly own: string
  /** With fewer than this part of the endpoints there usable, part of the load goes elsewhere. */
  readonly spillBelow: number
}

/** The share of the own zone at one service. */
export class ZoneShare {
  readonly own: string
  readonly #spillBelow: number
  #near = 0
  #nearUsable = 0
  #far = 0
  #farUsable = 0
  #share = 1

  constructor({ own, spillBelow }: ZoneSettings) {
    this.own = own
    this.#spillBelow = spillBelow
  }

  /** The part of the requests that goes to endpoints of the own zone, of 1. */
  get share(): number {
    return this.#share
  }

  /** Begins to count anew. */
  begin(): void {
    this.#near = 0
    this.#nearUsable = 0
    this.#far = 0
    this.#farUsable = 0
  }

  /** Counts an endpoint of the tiers in use. */
  count(endpoint: Endpoint, isUsable: boolean): void {
    if (endpoint.zone === this.own) {
      this.#near += 1
      if (isUsable) this.#nearUsable += 1
    } else {
      this.#far += 1
      if (isUsable) this.#farUsable += 1
    }
  }

  /**
   * All stays while enough of the zone can be used; below that what is missing goes elsewhere, but never
   * to where even less can be used.
   */
  end(): void {
    const near = this.#near === 0 ? 0 : this.#nearUsable / this.#near
    const far = this.#far === 0 ? 0 : this.#farUsable / this.#far
    const isEnough = near > 0 && near >= this.#spillBelow
    this.#share = isEnough || far <= near ? 1 : near === 0 ? 0 : near / this.#spillBelow
  }

  /** In a panic no zone is better than another: each gets the part that its endpoints are of all. */
  endInPanic(): void {
    const usable = this.#nearUsable + this.#farUsable
    this.#share = usable === 0 ? 1 : this.#nearUsable / usable
  }
}
