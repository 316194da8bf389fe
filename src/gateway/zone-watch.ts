// Says when requests begin to leave the gateway's own zone because too few endpoints there can be used: the
// threads do so by themselves, and nobody should have to guess why.
import type { ServiceDocument } from '../config/schema.ts'
import type { EndpointSettings } from '../proxy/upstream/endpoint.ts'
import type { SharedHealth } from '../proxy/upstream/health/shared-health.ts'

/** Hears of zones that become short of endpoints, and of those that recover. */
export type OnZone = (zone: string, state: 'short' | 'sufficient', reason: string) => void

interface Located {
  readonly service: ServiceDocument
  readonly endpoints: readonly EndpointSettings[]
}

interface Near {
  readonly slots: readonly number[]
  readonly spillBelow: number
}

/** Watches the own zone at all services. */
export class ZoneWatch {
  readonly #health: SharedHealth
  readonly #onChange: OnZone
  /** By what it is called in the log. */
  #near = new Map<string, Near>()
  readonly #short = new Set<string>()

  constructor(health: SharedHealth, onChange: OnZone) {
    this.#health = health
    this.#onChange = onChange
  }

  configure(services: readonly Located[], own: string | null): void {
    const near = new Map<string, Near>()
    for (const { service, endpoints } of own === null ? [] : services) {
      if (typeof service.balance !== 'string') continue
      const there = endpoints.filter(({ zone }) => zone === own)
      if (there.length === 0 || there.length === endpoints.length) continue
      const slots = there.map(({ slot }) => slot)
      near.set(`${service.name}|zone ${own}`, { slots, spillBelow: service.spillBelow })
    }
    this.#near = near
    for (const name of this.#short) if (!near.has(name)) this.#short.delete(name)
  }

  sweep(): void {
    for (const [name, { slots, spillBelow }] of this.#near) {
      const usable = slots.filter((slot) => this.#health.blocked(slot) === 0).length
      const isShort = usable === 0 || usable < spillBelow * slots.length
      if (isShort === this.#short.has(name)) continue
      if (isShort) this.#short.add(name)
      else this.#short.delete(name)
      const count = `${usable} of ${slots.length} endpoints there can be used`
      const reason = isShort ? `${count}, requests go to other zones too` : count
      this.#onChange(name, isShort ? 'short' : 'sufficient', reason)
    }
  }
}
