// A service that works on so many requests at once and no more, behind a gateway of several threads that
// has to find that out: the production gates and adaptive limits on a virtual clock, with seeded chance.
import { ManualClock } from '../../src/lib/clock.ts'
import { TimerWheel } from '../../src/lib/timer-wheel.ts'
import { seededRandom } from '../../src/proxy/upstream/balancers/balancer.contract.ts'
import {
  ConcurrencyGate,
  type ConcurrencySettings,
  type Place,
  type PlaceSeeker,
} from '../../src/proxy/upstream/concurrency/concurrency-gate.ts'
import { Importance } from '../../src/proxy/upstream/concurrency/importance.ts'
import {
  concurrencyBytes,
  SharedConcurrency,
} from '../../src/proxy/upstream/concurrency/shared-concurrency.ts'
import { EventQueue } from './event-queue.ts'

/** What is simulated; what depends on time is asked with the milliseconds since the start. */
export interface Capacity {
  readonly seconds: number
  readonly requestsPerSecond: (nowMs: number) => number
  /** Requests that the service works on at once; the others wait inside it. */
  readonly workers: (nowMs: number) => number
  /** The mean of how long it works on one. */
  readonly workMs: (nowMs: number) => number
  /** How much that varies: 0 not at all, 1 as much as chance alone makes it (exponential). */
  readonly spread: number
  readonly settings: ConcurrencySettings
}

/** What happened in one second. */
export interface CapacitySecond {
  requests: number
  refused: number
  answered: number
  /** The limit at its end. */
  limit: number
  /** Sum over the answers of how long the service took, in ms. */
  latencyMs: number
  inFlightMax: number
}

const THREADS = 4
const CAPACITY = { servicesMax: 1, threadsMax: THREADS }
const TICK_MS = 10

class Call implements PlaceSeeker {
  waiting: { cancel(): void } | null = null
  place: Place | null = null
  sentAt = 0
  readonly #simulation: Simulation

  constructor(simulation: Simulation) {
    this.#simulation = simulation
  }

  onPlace(place: Place | null): void {
    this.place = place
    this.#simulation.send(this)
  }

  onRefused(): void {
    this.#simulation.second.refused += 1
  }
}

type Event =
  | { readonly kind: 'arrival' }
  | { readonly kind: 'tick' }
  | { readonly kind: 'done'; readonly call: Call }

class Simulation {
  readonly #capacity: Capacity
  readonly #clock = new ManualClock()
  readonly #wheel = new TimerWheel(this.#clock, { manual: true })
  readonly #random: () => number
  readonly #events = new EventQueue<Event>()
  readonly #shared: readonly SharedConcurrency[]
  readonly #gates: readonly ConcurrencyGate[]
  readonly #seconds: CapacitySecond[]
  /** Inside the service, beyond its workers. */
  readonly #backlog: Call[] = []
  #working = 0

  constructor(capacity: Capacity, seed: number) {
    this.#capacity = capacity
    this.#random = seededRandom(seed)
    const buffer = new SharedArrayBuffer(concurrencyBytes(CAPACITY))
    const ticks = { now: () => this.#clock.now() | 0 }
    const counters = { awaited: () => {}, refused: () => {} }
    this.#shared = Array.from(
      { length: THREADS },
      (_, index) => new SharedConcurrency(buffer, CAPACITY, index, ticks),
    )
    this.#gates = this.#shared.map(
      (shared) => new ConcurrencyGate({ shared, clock: this.#clock, wheel: this.#wheel }, counters),
    )
    for (const gate of this.#gates) gate.configure(capacity.settings, 0)
    this.#seconds = Array.from({ length: capacity.seconds }, () => ({
      requests: 0,
      refused: 0,
      answered: 0,
      limit: 0,
      latencyMs: 0,
      inFlightMax: 0,
    }))
  }

  get second(): CapacitySecond {
    return this.#seconds[Math.min(Math.floor(this.#clock.now() / 1000), this.#seconds.length - 1)]!
  }

  run(): CapacitySecond[] {
    this.#events.add(0, { kind: 'arrival' })
    this.#events.add(TICK_MS, { kind: 'tick' })
    for (let next = this.#events.next(); next !== null; next = this.#events.next()) {
      if (next.dueMs >= this.#capacity.seconds * 1000) break
      this.#clock.advance(next.dueMs - this.#clock.now())
      this.#handle(next.event)
      // Here nothing wakes waiters of other threads but this.
      for (const gate of this.#gates) gate.serve()
      const { second } = this
      second.inFlightMax = Math.max(second.inFlightMax, this.#shared[0]!.inFlight(0))
      second.limit = this.#shared[0]!.limit(0)
    }
    return this.#seconds
  }

  send(call: Call): void {
    call.sentAt = this.#clock.now()
    this.#backlog.push(call)
    this.#begin()
  }

  #handle(event: Event): void {
    const now = this.#clock.now()
    if (event.kind === 'tick') {
      this.#wheel.advance(now)
      this.#events.add(now + TICK_MS, event)
    } else if (event.kind === 'arrival') {
      this.#arrive()
      this.#events.add(now + this.#drawn(1000 / this.#capacity.requestsPerSecond(now), 1), event)
    } else this.#done(event.call, now)
  }

  #arrive(): void {
    this.second.requests += 1
    const gate = this.#gates[Math.floor(this.#random() * THREADS)]!
    const call = new Call(this)
    const place = gate.tryEnter(Importance.normal)
    if (place === null) gate.wait(call, Importance.normal, Number.POSITIVE_INFINITY)
    else call.onPlace(place)
  }

  /** First come, first served. */
  #begin(): void {
    const now = this.#clock.now()
    const { spread, workers, workMs } = this.#capacity
    while (this.#backlog.length > 0 && this.#working < workers(now)) {
      this.#working += 1
      const call = this.#backlog.shift()!
      this.#events.add(now + this.#drawn(workMs(now), spread), { kind: 'done', call })
    }
  }

  #done(call: Call, now: number): void {
    this.#working -= 1
    this.second.answered += 1
    this.second.latencyMs += now - call.sentAt
    this.#begin()
    call.place!.leave(now - call.sentAt, false)
  }

  #drawn(mean: number, spread: number): number {
    return mean * (1 - spread) - Math.log(1 - this.#random()) * mean * spread
  }
}

/** Runs it second by second; the same seed gives the same seconds. */
export function simulateCapacity(capacity: Capacity, seed: number): CapacitySecond[] {
  return new Simulation(capacity, seed).run()
}
