// What each balancing algorithm makes of one bad endpoint out of ten, in numbers: the production
// pickers and endpoints, driven by a virtual clock and seeded chance. Run it to see the tables.
import { ManualClock } from '../../src/lib/clock.ts'
import { seededRandom } from '../../src/proxy/upstream/balancers/balancer.contract.ts'
import type { BalancedRequest, Picker } from '../../src/proxy/upstream/balancers/balancer.ts'
import { type BalanceSettings, pickerFactory } from '../../src/proxy/upstream/balancers/registry.ts'
import { Endpoint } from '../../src/proxy/upstream/endpoint.ts'
import { EndpointTable } from '../../src/proxy/upstream/endpoint-table.ts'
import { EventQueue } from './event-queue.ts'

/** What is simulated. The bad endpoint is always the first. */
export interface Scenario {
  readonly name: string
  /** How many times longer the bad endpoint takes. */
  readonly slowness: number
  /** The bad endpoint answers at once, with failures. */
  readonly failing: boolean
  /** The part of what ten healthy endpoints can do that is asked of them. */
  readonly utilisation: number
}

/** What came of it; times are those that clients saw, in ms. */
export interface Outcome {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** The part of all requests that the bad endpoint got, of 1. */
  readonly share: number
  /** The largest part that any one endpoint got. */
  readonly busiest: number
}

export const SCENARIOS = {
  healthy: { name: 'all healthy', slowness: 1, failing: false, utilisation: 0.5 },
  slow: { name: 'one is 10 times slower', slowness: 10, failing: false, utilisation: 0.5 },
  stuck: { name: 'one is 100 times slower', slowness: 100, failing: false, utilisation: 0.5 },
  quiet: {
    name: 'one is 10 times slower, quiet hour',
    slowness: 10,
    failing: false,
    utilisation: 0.02,
  },
  healthyQuiet: { name: 'all healthy, quiet hour', slowness: 1, failing: false, utilisation: 0.02 },
  failing: { name: 'one fails at once', slowness: 1, failing: true, utilisation: 0.5 },
} as const satisfies Record<string, Scenario>

export const ALGORITHMS: readonly BalanceSettings[] = [
  'round-robin',
  'random',
  { hash: { by: 'header', name: 'x-user' } },
  'least-connections',
  'p2c',
]

export const SEED = 20_260_101
export const REQUESTS = 100_000
const ENDPOINTS = 10
const THREADS = 4
/** Requests that an endpoint works on at the same time; the rest queue up in it. */
const WORKERS = 4
const SERVICE_MS = 5
const FAILURE_MS = 0.5
/** After this time the gateway gives a call up: a failure of the endpoint. */
const TIMEOUT_MS = 5000

/** A server behind an endpoint: so many workers, and a queue in front of them. */
interface Server {
  busy: number
  readonly queue: Call[]
  readonly serviceMs: number
  readonly failing: boolean
}

interface Call {
  readonly endpoint: Endpoint
  readonly sentAt: number
  /** The client has its answer, or was told that there is none. */
  over: boolean
}

type Event =
  | { readonly kind: 'arrival' }
  | { readonly kind: 'answer' | 'timeout'; readonly call: Call }

const ARRIVAL: Event = { kind: 'arrival' }

class Simulation {
  readonly #clock = new ManualClock()
  readonly #events = new EventQueue<Event>()
  readonly #random: () => number
  readonly #servers: readonly Server[]
  readonly #pickers: readonly Picker[]
  readonly #latenciesMs: number[] = []
  readonly #arrivalMs: number
  readonly #counts: number[] = new Array(ENDPOINTS).fill(0)

  constructor(balance: BalanceSettings, scenario: Scenario, seed: number) {
    this.#random = seededRandom(seed)
    this.#arrivalMs = SERVICE_MS / (ENDPOINTS * WORKERS * scenario.utilisation)
    this.#servers = Array.from({ length: ENDPOINTS }, (_, slot) => ({
      busy: 0,
      queue: [],
      serviceMs: slot === 0 ? SERVICE_MS * scenario.slowness : SERVICE_MS,
      failing: slot === 0 && scenario.failing,
    }))
    const table = EndpointTable.create(
      { endpointsMax: ENDPOINTS, servicesMax: 1, threadsMax: THREADS },
      0,
      this.#clock,
    )
    this.#pickers = Array.from({ length: THREADS }, (_, threadIndex) => {
      const own = EndpointTable.attach(table.buffers, threadIndex, this.#clock)
      const endpoints = this.#servers.map((_, slot) => endpointAt(own, slot))
      const random = seededRandom(seed + 1 + threadIndex)
      return pickerFactory(balance)(endpoints, { turns: own.turns(0), random })
    })
  }

  run(requests: number): Outcome {
    this.#events.add(0, ARRIVAL)
    let arrivals = 0
    let now = 0
    for (let next = this.#events.next(); next !== null; next = this.#events.next()) {
      this.#clock.advance(next.dueMs - now)
      now = next.dueMs
      const { event } = next
      if (event.kind === 'answer') this.#answer(event.call, now)
      else if (event.kind === 'timeout') this.#end(event.call, now, true)
      else {
        this.#arrive(now)
        arrivals += 1
        const pause = this.#exponential(this.#arrivalMs)
        if (arrivals < requests) this.#events.add(now + pause, ARRIVAL)
      }
    }
    return this.#outcome()
  }

  #arrive(now: number): void {
    const thread = Math.floor(this.#random() * THREADS)
    const user = `user-${Math.floor(this.#random() * 10_000)}`
    const endpoint = this.#pickers[thread]!.pick(requestOf(user), [])!
    endpoint.begin()
    this.#counts[endpoint.slot]! += 1
    const server = this.#servers[endpoint.slot]!
    const call = { endpoint, sentAt: now, over: false }
    this.#events.add(now + TIMEOUT_MS, { kind: 'timeout', call })
    if (server.failing) this.#events.add(now + FAILURE_MS, { kind: 'answer', call })
    else if (server.busy < WORKERS) this.#start(server, call, now)
    else server.queue.push(call)
  }

  #start(server: Server, call: Call, now: number): void {
    server.busy += 1
    this.#events.add(now + this.#exponential(server.serviceMs), { kind: 'answer', call })
  }

  #answer(call: Call, now: number): void {
    const server = this.#servers[call.endpoint.slot]!
    this.#end(call, now, server.failing)
    if (server.failing) return
    server.busy -= 1
    let waiting = server.queue.shift()
    while (waiting?.over) waiting = server.queue.shift()
    if (waiting !== undefined) this.#start(server, waiting, now)
  }

  #end(call: Call, now: number, failed: boolean): void {
    if (call.over) return
    call.over = true
    call.endpoint.end(now - call.sentAt, failed)
    this.#latenciesMs.push(now - call.sentAt)
  }

  #exponential(meanMs: number): number {
    return -Math.log(1 - this.#random()) * meanMs
  }

  #outcome(): Outcome {
    const sorted = Float64Array.from(this.#latenciesMs).sort()
    const at = (part: number): number => sorted[Math.ceil(sorted.length * part) - 1]!
    return {
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      maxMs: at(1),
      share: this.#counts[0]! / sorted.length,
      busiest: Math.max(...this.#counts) / sorted.length,
    }
  }
}

function endpointAt(table: EndpointTable, slot: number): Endpoint {
  const host = `10.0.0.${slot}`
  const address = `${host}:80`
  const place = { key: `simulated|${address}`, address, host, port: 80, slot, serviceSlot: 0 }
  return new Endpoint(table, {
    ...place,
    secure: false,
    serverName: host,
    weight: 1,
    priority: 0,
  })
}

function requestOf(user: string): BalancedRequest {
  return { path: '/', clientIp: '192.0.2.1', requestHeader: () => user, cookie: () => null }
}

/** Runs one algorithm through one scenario; the same seed gives the same outcome. */
export function simulate(
  balance: BalanceSettings,
  scenario: Scenario,
  seed = SEED,
  requests = REQUESTS,
): Outcome {
  return new Simulation(balance, scenario, seed).run(requests)
}

function tableOf(scenario: Scenario): string {
  const rows = ALGORITHMS.map((balance) => {
    const outcome = simulate(balance, scenario)
    const name = typeof balance === 'string' ? balance : 'hash'
    const times = [outcome.p50Ms, outcome.p99Ms, outcome.maxMs].map((ms) => ms.toFixed(1))
    const shares = [outcome.share, outcome.busiest].map((part) => `${(part * 100).toFixed(2)} %`)
    return [name.padEnd(17), ...[...times, ...shares].map((cell) => cell.padStart(8))]
  })
  const head = ['balance'.padEnd(17), '  p50 ms', '  p99 ms', '  max ms', '  to bad', ' busiest']
  const rule = ['-'.repeat(17), ...new Array(5).fill(`${'-'.repeat(7)}:`)]
  const lines = [head, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`)
  return `${scenario.name}\n\n${lines.join('\n')}\n`
}

if (import.meta.main) {
  console.log(`seed ${SEED}, ${REQUESTS} requests, ${THREADS} threads\n`)
  for (const scenario of Object.values(SCENARIOS)) console.log(tableOf(scenario))
}
