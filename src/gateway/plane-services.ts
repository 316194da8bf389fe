// The services of one thread: made when a configuration first names them, kept as long as one does.
import type { Snapshot } from '../config/snapshot.ts'
import type { PoolEnvironment } from '../proxy/upstream/connection-pool.ts'
import {
  type Endpoint,
  EndpointRegistry,
  type EndpointSettings,
} from '../proxy/upstream/endpoint.ts'
import { Service } from '../proxy/upstream/service.ts'

/** The addresses of services as the control plane knows them now. */
export interface EndpointsUpdate {
  readonly services: readonly {
    readonly name: string
    /** Its place among the shared turns. */
    readonly slot: number
    readonly endpoints: readonly EndpointSettings[]
  }[]
}

/** The services of a thread, by name. */
export class PlaneServices {
  readonly #environment: PoolEnvironment
  readonly #registry: EndpointRegistry
  readonly #services = new Map<string, Service>()
  #addresses: EndpointsUpdate['services'] = []

  constructor(environment: PoolEnvironment) {
    this.#environment = environment
    this.#registry = new EndpointRegistry(environment.table)
  }

  /** The service of this name; its settings come with `configure`. */
  get(name: string): Service {
    const known = this.#services.get(name)
    if (known !== undefined) return known
    const made = new Service(name, Math.random, this.#environment)
    this.#services.set(name, made)
    return made
  }

  all(): Iterable<Service> {
    return this.#services.values()
  }

  /** Takes the addresses that `configure` hands out from now on. */
  locate({ services }: EndpointsUpdate): void {
    this.#addresses = services
  }

  /** Gives every service of the live snapshot its settings and the addresses known for it. */
  configure(live: Snapshot): void {
    const { table } = this.#environment
    const used = new Set<Endpoint>()
    for (const [name, settings] of live.services) {
      const service = this.get(name)
      const found = this.#addresses.find((known) => known.name === name)
      // One that the next snapshot leaves out keeps its endpoints for those who still need it.
      const endpoints = found?.endpoints.map((e) => this.#registry.get(e)) ?? service.endpoints
      for (const endpoint of endpoints) used.add(endpoint)
      service.configure(settings, endpoints, table.turns(endpoints[0]?.serviceSlot ?? 0))
    }
    this.#registry.retain(used)
  }

  /** Lets go of services that the live snapshot does not name; one being prepared may have new ones. */
  retain(live: Snapshot): void {
    for (const [name, service] of this.#services) {
      if (live.services.has(name)) continue
      service.close()
      this.#services.delete(name)
    }
  }
}
