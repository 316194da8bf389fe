// The control plane's knowledge of where services are: places in the shared table for every address,
// and names resolved and watched.
import { isIP } from 'node:net'
import type { Document, ServiceDocument } from '../config/schema.ts'
import { systemClock } from '../lib/clock.ts'
import { TimerWheel } from '../lib/timer-wheel.ts'
import { Discovery } from '../proxy/upstream/discovery/discovery.ts'
import type { NameResolver } from '../proxy/upstream/discovery/resolver.ts'
import type { EndpointSettings } from '../proxy/upstream/endpoint.ts'
import { EndpointTable, type EndpointTableBuffers } from '../proxy/upstream/endpoint-table.ts'
import { SlotRegistry } from '../proxy/upstream/slot-registry.ts'
import type { EndpointsUpdate } from './data-plane.ts'
import { type HealthChange, HealthWatch } from './health-watch.ts'

interface Bounds {
  readonly minTtlMs: number
  readonly maxTtlMs: number
}

interface Watched {
  readonly discovery: Discovery
  readonly bounds: Bounds
}

const FIRST_LOOKUP_MS_MAX = 3000

/** The addresses of all services of the live configuration. */
export class EndpointDirectory {
  readonly #resolver: NameResolver
  readonly #onChange: (update: EndpointsUpdate) => void
  readonly #onFailure: (host: string, reason: string) => void
  readonly #wheel = new TimerWheel(systemClock)
  readonly #endpointSlots: SlotRegistry
  readonly #serviceSlots: SlotRegistry
  readonly #health: HealthWatch
  readonly #names = new Map<string, Watched>()
  #services: readonly ServiceDocument[] = []
  /** Calls of `configure` under way: they return what is found meanwhile. */
  #configuring = 0

  /**
   * @param onChange hears of addresses that change after `configure` returned.
   * @param onFailure hears of every look-up that failed; what was known stays, unless the name is gone.
   * @param onHealth hears of endpoints that went out of use or came back.
   */
  constructor(
    buffers: EndpointTableBuffers,
    resolver: NameResolver,
    onChange: (update: EndpointsUpdate) => void,
    onFailure: (host: string, reason: string) => void,
    onHealth: (change: HealthChange) => void = () => {},
  ) {
    // The last row of the table is the control plane's.
    const table = EndpointTable.attach(buffers, buffers.threadsMax - 1)
    this.#resolver = resolver
    this.#onChange = onChange
    this.#onFailure = onFailure
    this.#health = new HealthWatch(table.health, this.#wheel, onHealth)
    this.#endpointSlots = new SlotRegistry('endpoints', buffers.endpointsMax, (slot) => {
      const isQuiet = table.isQuiet(slot)
      if (isQuiet) table.health.clear(slot)
      return isQuiet
    })
    this.#serviceSlots = new SlotRegistry('services', buffers.servicesMax, (slot) => {
      table.health.clearService(slot)
      return true
    })
  }

  /**
   * Takes the services of a configuration that is about to go live, and waits a bounded time for the
   * first addresses of names it did not know.
   * @throws RangeError when the shared tables have no room left.
   */
  async configure(document: Document): Promise<EndpointsUpdate> {
    this.#services = document.services
    const wanted = new Map<string, Bounds>()
    for (const { endpoints, dns } of document.services) {
      for (const { host } of endpoints) if (isIP(host) === 0) wanted.set(host, dns)
    }
    for (const [name, watched] of this.#names) {
      const bounds = wanted.get(name)
      if (bounds !== undefined && sameBounds(bounds, watched.bounds)) continue
      watched.discovery.stop()
      this.#names.delete(name)
    }
    const first: Promise<void>[] = []
    for (const [name, bounds] of wanted) {
      if (!this.#names.has(name)) first.push(this.#follow(name, bounds))
    }
    this.#configuring++
    if (first.length > 0) await atMost(Promise.all(first), FIRST_LOOKUP_MS_MAX)
    this.#configuring--
    return this.current()
  }

  /** What is known now. */
  current(): EndpointsUpdate {
    const used = new Set<string>()
    const services = this.#services.map((service) => {
      const slot = this.#serviceSlots.acquire(service.name)
      const endpoints = this.#endpointsOf(service, slot, used)
      return { service, name: service.name, slot, endpoints }
    })
    for (const key of [...this.#endpointSlots.keys()]) {
      if (!used.has(key)) this.#endpointSlots.release(key)
    }
    const names = new Set(this.#services.map(({ name }) => name))
    for (const name of [...this.#serviceSlots.keys()]) {
      if (!names.has(name)) this.#serviceSlots.release(name)
    }
    this.#health.configure(services)
    return { services: services.map(({ name, slot, endpoints }) => ({ name, slot, endpoints })) }
  }

  close(): void {
    this.#health.close()
    for (const { discovery } of this.#names.values()) discovery.stop()
    this.#names.clear()
    this.#wheel.close()
  }

  #follow(host: string, bounds: Bounds): Promise<void> {
    const settings = { host, ttlMinMs: bounds.minTtlMs, ttlMaxMs: bounds.maxTtlMs }
    const discovery = new Discovery(settings, this.#resolver, this.#wheel, {
      onChange: () => {
        if (this.#configuring === 0) this.#onChange(this.current())
      },
      onFailure: (failure, reason) => this.#onFailure(host, `${failure}: ${reason}`),
    })
    this.#names.set(host, { discovery, bounds })
    return discovery.start()
  }

  #endpointsOf(
    service: ServiceDocument,
    serviceSlot: number,
    used: Set<string>,
  ): EndpointSettings[] {
    const endpoints: EndpointSettings[] = []
    for (const { host, port, weight, priority } of service.endpoints) {
      const addresses =
        isIP(host) === 0 ? (this.#names.get(host)?.discovery.addresses ?? []) : [host]
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
          priority,
          secure: service.tls !== null,
          serverName: service.tls === null ? '' : host,
          slot: this.#endpointSlots.acquire(key),
          serviceSlot,
        })
      }
    }
    return endpoints
  }
}

function sameBounds(one: Bounds, other: Bounds): boolean {
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
