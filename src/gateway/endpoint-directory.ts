// The control plane's knowledge of where services are: places in the shared table for every address,
// and names resolved and watched.
import { isIP } from 'node:net'
import type { Document, ServiceDocument } from '../config/schema.ts'
import type { EndpointSettings } from '../proxy/upstream/endpoint.ts'
import type { EndpointTable } from '../proxy/upstream/endpoint-table.ts'
import { SlotRegistry } from '../proxy/upstream/slot-registry.ts'
import type { EndpointsUpdate } from './data-plane.ts'

/** Bounds of how often a name is looked up again. */
export interface TtlBounds {
  readonly minTtlMs: number
  readonly maxTtlMs: number
}

/** Follows the addresses of one name until stopped. */
export interface NameWatch {
  /** Resolves once the first lookup has ended, well or badly. */
  readonly ready: Promise<void>
  stop(): void
}

/** Begins to follow a name; `onAddresses` hears of every change. */
export type WatchName = (
  name: string,
  bounds: TtlBounds,
  onAddresses: (addresses: readonly string[]) => void,
) => NameWatch

interface Watched {
  readonly watch: NameWatch
  readonly bounds: TtlBounds
  addresses: readonly string[]
}

const FIRST_LOOKUP_MS_MAX = 3000

/** The addresses of all services of the live configuration. */
export class EndpointDirectory {
  readonly #watchName: WatchName
  readonly #onChange: (update: EndpointsUpdate) => void
  readonly #endpointSlots: SlotRegistry
  readonly #serviceSlots: SlotRegistry
  readonly #names = new Map<string, Watched>()
  #services: readonly ServiceDocument[] = []

  /** @param onChange hears of addresses that change after `configure` returned. */
  constructor(
    table: EndpointTable,
    watchName: WatchName,
    onChange: (update: EndpointsUpdate) => void,
  ) {
    const { endpointsMax, servicesMax } = table.buffers
    this.#watchName = watchName
    this.#onChange = onChange
    this.#endpointSlots = new SlotRegistry('endpoints', endpointsMax, (slot) => table.isQuiet(slot))
    this.#serviceSlots = new SlotRegistry('services', servicesMax)
  }

  /**
   * Takes the services of a configuration that is about to go live, and waits a bounded time for the
   * first addresses of names it did not know.
   * @throws RangeError when the shared tables have no room left.
   */
  async configure(document: Document): Promise<EndpointsUpdate> {
    this.#services = document.services
    const wanted = new Map<string, TtlBounds>()
    for (const { endpoints, dns } of document.services) {
      for (const { host } of endpoints) if (isIP(host) === 0) wanted.set(host, dns)
    }
    for (const [name, watched] of this.#names) {
      const bounds = wanted.get(name)
      if (bounds !== undefined && sameBounds(bounds, watched.bounds)) continue
      watched.watch.stop()
      this.#names.delete(name)
    }
    const first: Promise<void>[] = []
    for (const [name, bounds] of wanted) {
      if (!this.#names.has(name)) first.push(this.#follow(name, bounds))
    }
    if (first.length > 0) await atMost(Promise.all(first), FIRST_LOOKUP_MS_MAX)
    return this.current()
  }

  /** What is known now. */
  current(): EndpointsUpdate {
    const used = new Set<string>()
    const services = this.#services.map((service) => ({
      name: service.name,
      slot: this.#serviceSlots.acquire(service.name),
      endpoints: this.#endpointsOf(service, used),
    }))
    for (const key of [...this.#endpointSlots.keys()]) {
      if (!used.has(key)) this.#endpointSlots.release(key)
    }
    const names = new Set(this.#services.map(({ name }) => name))
    for (const name of [...this.#serviceSlots.keys()]) {
      if (!names.has(name)) this.#serviceSlots.release(name)
    }
    return { services }
  }

  close(): void {
    for (const { watch } of this.#names.values()) watch.stop()
    this.#names.clear()
  }

  #follow(name: string, bounds: TtlBounds): Promise<void> {
    let isFirst = true
    const watch = this.#watchName(name, bounds, (addresses) => {
      const watched = this.#names.get(name)
      if (watched === undefined) return
      watched.addresses = addresses
      if (!isFirst) this.#onChange(this.current())
    })
    this.#names.set(name, { watch, bounds, addresses: [] })
    return watch.ready.then(() => {
      isFirst = false
    })
  }

  #endpointsOf(service: ServiceDocument, used: Set<string>): EndpointSettings[] {
    const endpoints: EndpointSettings[] = []
    for (const { host, port, weight } of service.endpoints) {
      const addresses = isIP(host) === 0 ? (this.#names.get(host)?.addresses ?? []) : [host]
      for (const ip of addresses) {
        const address = `${ip.includes(':') ? `[${ip}]` : ip}:${port}`
        const key = `${service.name}|${address}`
        if (used.has(key)) continue
        used.add(key)
        endpoints.push({
          key,
          address: isIP(host) === 0 ? `${host}:${port}` : address,
          host: ip,
          port,
          weight,
          secure: service.tls !== null,
          serverName: service.tls === null ? '' : host,
          slot: this.#endpointSlots.acquire(key),
        })
      }
    }
    return endpoints
  }
}

function sameBounds(one: TtlBounds, other: TtlBounds): boolean {
  return one.minTtlMs === other.minTtlMs && one.maxTtlMs === other.maxTtlMs
}

async function atMost(promise: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  await Promise.race([
    promise,
    new Promise((resolve) => {
      timer = setTimeout(resolve, ms)
    }),
  ])
  clearTimeout(timer)
}
