// A gateway in virtual time: the production snapshot, exchanges, attempts, services and shared tables of
// several threads, and the control plane's health watch. Only sockets are simulated.
import type { CompileEnvironment } from '../../src/config/compile.ts'
import { compileAtOnce } from '../../src/config/compile.ts'
import { loadObject } from '../../src/config/load-object.ts'
import type { Document, DocumentInput } from '../../src/config/schema.ts'
import type { Snapshot } from '../../src/config/snapshot.ts'
import { HealthWatch } from '../../src/gateway/health-watch.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { TimerWheel } from '../../src/lib/timer-wheel.ts'
import { seededRandom } from '../../src/proxy/upstream/balancers/balancer.contract.ts'
import type { ConnectionPool, ConnectionWaiter } from '../../src/proxy/upstream/connection-pool.ts'
import { Endpoint, type EndpointSettings } from '../../src/proxy/upstream/endpoint.ts'
import { EndpointTable } from '../../src/proxy/upstream/endpoint-table.ts'
import { Service, type ServiceCounters } from '../../src/proxy/upstream/service.ts'
import type { EventQueue } from './event-queue.ts'
import { type Machine, SimulatedConnection } from './machine.ts'

/** What the configuration says of the service, as in a file. */
export type WrittenService = Record<string, unknown>

/** What gateways of one world share. */
export interface GatewayWorld {
  readonly clock: Clock
  readonly events: EventQueue<() => void>
  readonly machines: readonly Machine[]
  /** Something happened that never should. */
  onDefect(what: string): void
}

const CONNECT_MS = 0.3
const SERVICE_SLOT = 0
const IMPORTANCES = ['low', 'normal', 'high', 'critical']
const READ_BUFFER = Buffer.alloc(1)

/** Opens connections at once, or is refused a moment later. */
class SimulatedPool {
  readonly #machine: Machine
  readonly #wheel: TimerWheel
  readonly #world: GatewayWorld
  readonly #connecting = new Set<ConnectionWaiter>()

  constructor(machine: Machine, wheel: TimerWheel, world: GatewayWorld) {
    this.#machine = machine
    this.#wheel = wheel
    this.#world = world
  }

  takeIdle(): unknown {
    if (this.#machine.fault === 'refuses') return null
    return new SimulatedConnection(this.#machine, this.#wheel)
  }

  request(waiter: ConnectionWaiter): void {
    this.#connecting.add(waiter)
    const { clock, events } = this.#world
    events.add(clock.now() + CONNECT_MS, () => {
      if (!this.#connecting.delete(waiter)) return
      if (this.#machine.fault === 'refuses') waiter.onNoConnection('connect_refused')
      else {
        waiter.onConnection(new SimulatedConnection(this.#machine, this.#wheel).asConnection)
      }
    })
  }

  cancel(waiter: ConnectionWaiter): void {
    this.#connecting.delete(waiter)
  }
}

class SimulatedService extends Service {
  machinePools: readonly SimulatedPool[] = []

  override pool(endpoint: Endpoint): ConnectionPool {
    return this.machinePools[endpoint.slot] as unknown as ConnectionPool
  }
}

/** What a gateway did, over all its threads. */
export interface GatewayCounts {
  retries: number
  hedges: number
  ejections: number
  circuitOpened: number
  circuitRefused: number
  placesRefused: number
}

/** One data-plane thread. */
export interface GatewayThread {
  readonly snapshot: Snapshot
  readonly service: Service
  readonly table: EndpointTable
  readonly wheel: TimerWheel
}

/** The document that a world's service stands in; every gateway has its own zone. */
export async function documentOf(
  service: WrittenService,
  machines: readonly { readonly zone?: string }[],
  zone: string | null,
  exchangeTimeout?: string,
): Promise<Document> {
  const endpoints = machines.map(({ zone: there }, slot) => ({
    url: `http://${hostOf(slot)}:80`,
    ...(there === undefined ? {} : { zone: there }),
  }))
  const timeouts = exchangeTimeout === undefined ? {} : { timeouts: { exchange: exchangeTimeout } }
  const written = {
    listen: 'http://127.0.0.1:8080',
    ...(zone === null ? {} : { zone }),
    services: { shop: { ...service, endpoints } },
    routes: IMPORTANCES.map((importance) => ({
      path: `/${importance}/*`,
      importance,
      to: 'shop',
      ...timeouts,
    })),
  }
  return (await loadObject(written as unknown as DocumentInput)).document
}

function hostOf(slot: number): string {
  return `10.${slot >> 16}.${(slot >> 8) & 255}.${slot & 255}`
}

/** A gateway process with its threads. */
export class SimulatedGateway {
  readonly zone: string | null
  readonly threads: readonly GatewayThread[]
  readonly counts: GatewayCounts = {
    retries: 0,
    hedges: 0,
    ejections: 0,
    circuitOpened: 0,
    circuitRefused: 0,
    placesRefused: 0,
  }
  readonly #wheel: TimerWheel
  readonly #world: GatewayWorld

  constructor(document: Document, threadCount: number, seed: number, world: GatewayWorld) {
    this.zone = document.zone
    this.#world = world
    const { clock, machines } = world
    this.#wheel = new TimerWheel(clock, { manual: true })
    const table = EndpointTable.create(
      { endpointsMax: machines.length, servicesMax: 1, threadsMax: threadCount + 1 },
      threadCount,
      clock,
    )
    const endpoints = machines.map(settingsOf)
    this.threads = Array.from({ length: threadCount }, (_, index) => {
      const random = seededRandom(seed * 64 + index)
      return this.#thread(document, EndpointTable.attach(table.buffers, index, clock), random)
    })
    const watch = new HealthWatch(table.health, this.#wheel, {
      onChange: () => {},
      onEjected: () => {
        this.counts.ejections += 1
      },
    })
    const service = document.services[0]!
    watch.configure([{ service, slot: SERVICE_SLOT, endpoints }], document.zone)
  }

  /** Fires what is due in all its threads. */
  tick(now: number): void {
    this.#wheel.advance(now)
    for (const { wheel } of this.threads) wheel.advance(now)
  }

  /** In a simulation nothing else wakes those who wait for a place that another thread left. */
  wake(): void {
    for (const { service } of this.threads) {
      if (service.concurrency !== null && service.concurrency.waiting > 0)
        service.concurrency.serve()
    }
  }

  #thread(document: Document, table: EndpointTable, random: () => number): GatewayThread {
    const { clock, machines } = this.#world
    const wheel = new TimerWheel(clock, { manual: true })
    const onDefect = (error: unknown): void => this.#world.onDefect(String(error))
    const service = new SimulatedService('shop', random, {
      wheel,
      readBuffer: READ_BUFFER,
      table,
      onDefect,
    })
    service.machinePools = machines.map((machine) => new SimulatedPool(machine, wheel, this.#world))
    const snapshot = compileAtOnce(document, 1, this.#environment(service, wheel))
    const endpoints = machines.map((machine) => new Endpoint(table, settingsOf(machine)))
    service.configure(snapshot.services.get('shop')!, endpoints, table.turns(SERVICE_SLOT))
    return { snapshot, service, table, wheel }
  }

  #environment(service: Service, wheel: TimerWheel): CompileEnvironment {
    const unused = (): never => {
      throw new Error('no policies are simulated')
    }
    return {
      policies: new Map(),
      clock: this.#world.clock,
      wheel,
      longLived: { add() {}, delete() {} },
      log: {
        info() {},
        warn() {},
        error: (fields) => this.#world.onDefect(JSON.stringify(fields)),
        line() {},
      },
      service: () => service,
      routeCounters: () => ({ finish() {} }),
      serviceCounters: () => this.#counters(),
      stageCounters: unused,
      stageMark: unused,
      mirrorCounters: unused,
      countError: (code) => {
        if (code === 'internal') this.#world.onDefect('an internal error')
      },
      overload: { asksBelow: 0, refusal: () => null },
      get state(): never {
        return unused()
      },
      readFile: unused,
    }
  }

  #counters(): ServiceCounters {
    const { counts } = this
    const none = (): void => {}
    return {
      ...NO_COUNTS,
      concurrency: {
        awaited: none,
        refused: () => {
          counts.placesRefused += 1
        },
      },
      retry: () => {
        counts.retries += 1
      },
      hedge: () => {
        counts.hedges += 1
      },
      ejected: () => {
        counts.ejections += 1
      },
      circuitOpened: () => {
        counts.circuitOpened += 1
      },
      circuitRefused: () => {
        counts.circuitRefused += 1
      },
    }
  }
}

const NO_COUNTS = {
  attempt() {},
  error() {},
  retryRefused() {},
  hedgeWon() {},
  hedgeRefused() {},
  connectionOpened() {},
  queued() {},
  queueTimeout() {},
}

function settingsOf({ slot, plan }: Machine): EndpointSettings {
  const host = hostOf(slot)
  const address = `${host}:80`
  return {
    key: `shop|${address}`,
    address,
    host,
    port: 80,
    secure: false,
    serverName: host,
    weight: 1,
    priority: 0,
    zone: plan.zone ?? null,
    slot,
    serviceSlot: SERVICE_SLOT,
  }
}
