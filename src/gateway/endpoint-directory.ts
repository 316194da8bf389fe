// The control plane's knowledge of where services are: places in the shared table for every address that
// their sources and the names in these give.
import type { Document, ServiceDocument } from '../config/schema.ts'
import { systemClock } from '../lib/clock.ts'
import { hostPort } from '../lib/host-port.ts'
import { TimerWheel } from '../lib/timer-wheel.ts'
import type { SharedConcurrency } from '../proxy/upstream/concurrency/shared-concurrency.ts'
import type { EndpointSettings } from '../proxy/upstream/endpoint.ts'
import { EndpointTable, type EndpointTableBuffers } from '../proxy/upstream/endpoint-table.ts'
import { SlotRegistry } from '../proxy/upstream/slot-registry.ts'
import type { EndpointResolver } from './discovery/service-source.ts'
import { SourcedServices } from './discovery/sourced-services.ts'
import { type HealthObserver, HealthWatch, type WatchedService } from './health-watch.ts'
import type { EndpointsUpdate } from './plane-services.ts'

/** A service that bounds its requests in flight, over all threads. */
export interface ServiceLoad {
  readonly service: string
  readonly limit: number
  readonly inFlight: number
  readonly waiting: number
}

const FIRST_LOOKUP_MS_MAX = 3000
/** How long new endpoints may take to prove who they are before the threads hear of the others too. */
const FIRST_PROOF_MS_MAX = 1000

/** The addresses of all services of the live configuration. */
export class EndpointDirectory {
  readonly #onChange: (update: EndpointsUpdate) => void
  readonly #onProblem: (message: string) => void
  readonly #wheel = new TimerWheel(systemClock)
  readonly #endpointSlots: SlotRegistry
  readonly #serviceSlots: SlotRegistry
  readonly #table: EndpointTable
  readonly #health: HealthWatch
  readonly #sources: SourcedServices
  readonly #concurrency: SharedConcurrency
  #services: readonly ServiceDocument[] = []
  #zone: string | null = null
  /** Where they are, as of the last look. */
  #located: readonly WatchedService[] = []
  /** Calls of `configure` under way: they return what is found meanwhile. */
  #configuring = 0
  #isClosed = false

  /**
   * @param onChange hears of addresses that change after `configure` returned.
   * @param onProblem hears of every look-up that failed, and of what sources could not do; what was known
   *   stays, unless a name is gone.
   * @param health hears of endpoints that went out of use or came back.
   */
  constructor(
    buffers: EndpointTableBuffers,
    resolver: EndpointResolver,
    onChange: (update: EndpointsUpdate) => void,
    onProblem: (message: string) => void,
    health: HealthObserver = { onChange() {}, onEjected() {} },
  ) {
    // The last row of the table is the control plane's.
    const table = EndpointTable.attach(buffers, buffers.threadsMax - 1)
    this.#table = table
    this.#concurrency = table.concurrency
    this.#onChange = onChange
    this.#onProblem = onProblem
    this.#health = new HealthWatch(table.health, this.#wheel, health)
    this.#sources = new SourcedServices(resolver, this.#wheel, {
      onChange: () => void this.#tell(),
      onProblem,
    })
    this.#endpointSlots = new SlotRegistry('endpoints', buffers.endpointsMax, (slot) => {
      const isQuiet = table.isQuiet(slot)
      if (isQuiet) table.health.clear(slot)
      return isQuiet
    })
    this.#serviceSlots = new SlotRegistry('services', buffers.servicesMax, (slot) => {
      const isQuiet = table.concurrency.isQuiet(slot)
      if (isQuiet) {
        table.health.clearService(slot)
        table.concurrency.clear(slot)
      }
      return isQuiet
    })
  }

  /**
   * Takes the services of a configuration that is about to go live, and waits a bounded time for the
   * first endpoints and addresses of what it did not know, and for them to prove who they are.
   * @throws RangeError when the shared tables have no room left.
   */
  async configure(document: Document): Promise<EndpointsUpdate> {
    this.#services = document.services
    this.#zone = document.zone
    this.#configuring++
    try {
      this.#sources.configure(document.services)
      await atMost(this.#sources.known(), FIRST_LOOKUP_MS_MAX)
      const update = this.current()
      const proofs = this.#health.firstProofs()
      if (proofs === null) return update
      await atMost(proofs, FIRST_PROOF_MS_MAX)
      return this.current()
    } finally {
      this.#configuring--
    }
  }

  /** What is known now. @throws RangeError when the shared tables have no room left. */
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
    this.#health.configure(services, this.#zone)
    this.#located = services
    return { services: services.map(({ name, slot, endpoints }) => ({ name, slot, endpoints })) }
  }

  /** The required services that have no endpoint which requests may go to now. */
  requiredWithoutEndpoint(): string[] {
    const { health } = this.#table
    const names: string[] = []
    for (const { service, endpoints } of this.#located) {
      if (!service.required || endpoints.some(({ slot }) => health.blocked(slot) === 0)) continue
      names.push(service.name)
    }
    return names
  }

  /** The load of every service that bounds it. */
  loads(): ServiceLoad[] {
    const loads: ServiceLoad[] = []
    for (const { name: service, concurrency } of this.#services) {
      if (concurrency === null) continue
      const slot = this.#serviceSlots.acquire(service)
      const shared = this.#concurrency
      const [inFlight, waiting] = [shared.inFlight(slot), shared.waiting(slot)]
      loads.push({ service, limit: shared.limit(slot), inFlight, waiting })
    }
    return loads
  }

  close(): void {
    this.#isClosed = true
    this.#sources.close()
    this.#health.close()
    this.#wheel.close()
  }

  /** Lets new endpoints prove who they are first, or a service that moved would be nowhere meanwhile. */
  async #tell(): Promise<void> {
    if (this.#configuring > 0 || this.#isClosed) return
    try {
      let update = this.current()
      const proofs = this.#health.firstProofs()
      if (proofs !== null) {
        await atMost(proofs, FIRST_PROOF_MS_MAX)
        // Whoever configures tells what is known then.
        if (this.#configuring > 0 || this.#isClosed) return
        update = this.current()
      }
      this.#onChange(update)
    } catch (error) {
      this.#onProblem(`the endpoints that were found are not used: ${(error as Error).message}`)
    }
  }

  #endpointsOf(
    service: ServiceDocument,
    serviceSlot: number,
    used: Set<string>,
  ): EndpointSettings[] {
    const endpoints: EndpointSettings[] = []
    for (const { host, port, weight, priority, zone } of this.#sources.endpoints(service.name)) {
      for (const ip of this.#sources.addresses(host)) {
        const key = `${service.name}|${hostPort(ip, port)}`
        if (used.has(key)) continue
        used.add(key)
        endpoints.push({
          key,
          address: hostPort(host, port),
          host: ip,
          port,
          weight,
          priority,
          zone,
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
