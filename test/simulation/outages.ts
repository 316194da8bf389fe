// A service under load whose endpoints fail, as several threads of a gateway see it: the production
// pickers, ejection, retry budget and breaker, driven by a virtual clock and seeded chance.
import { ManualClock } from '../../src/lib/clock.ts'
import { seededRandom } from '../../src/proxy/upstream/balancers/balancer.contract.ts'
import type { BalancedRequest } from '../../src/proxy/upstream/balancers/balancer.ts'
import { type BalanceSettings, pickerFactory } from '../../src/proxy/upstream/balancers/registry.ts'
import {
  Admission,
  type BreakerSettings,
  CircuitBreaker,
} from '../../src/proxy/upstream/circuit-breaker.ts'
import { Endpoint } from '../../src/proxy/upstream/endpoint.ts'
import { EndpointTable } from '../../src/proxy/upstream/endpoint-table.ts'
import type { EjectionSettings } from '../../src/proxy/upstream/health/ejection.ts'
import { FailureRatios, SWEEP_MS } from '../../src/proxy/upstream/health/failure-ratios.ts'
import { ServiceHealth } from '../../src/proxy/upstream/health/service-health.ts'
import { backoffMs, type RetrySettings } from '../../src/proxy/upstream/retries.ts'
import { RetryBudget } from '../../src/proxy/upstream/retry-budget.ts'
import { EventQueue } from './event-queue.ts'

/** The part of its requests that an endpoint fails at a time, of 1. */
export type Failing = (slot: number, nowMs: number) => number

/** What is simulated. */
export interface Outage {
  readonly endpoints: number
  readonly requestsPerSecond: number
  readonly seconds: number
  readonly failing: Failing
  readonly balance?: BalanceSettings
  readonly retriesMax?: number
  readonly budgetShare?: number
  readonly slowStartMs?: number
  readonly breaker?: BreakerSettings
}

/** What happened in one second. */
export interface Second {
  requests: number
  /** Requests that clients saw fail. */
  errors: number
  /** Requests that the breaker refused. */
  refused: number
  attempts: number
  /** Attempts by endpoint. */
  readonly bySlot: number[]
  /** Endpoints out of use at its end. */
  out: number
}

/** The defaults of the configuration. */
export const EJECTION: EjectionSettings = {
  failuresInRow: 5,
  failureRatio: 0.5,
  requestsMin: 20,
  windowMs: 10_000,
  timeMs: 10_000,
  timeMaxMs: 300_000,
  shareMax: 0.5,
}

const THREADS = 4
const ANSWER_MS = 5

interface Call {
  readonly thread: Thread
  readonly admission: number
  readonly sentAt: number
  tried: Endpoint[]
  retries: number
}

type Event =
  | { readonly kind: 'arrival' }
  | { readonly kind: 'sweep' }
  | { readonly kind: 'attempt'; readonly call: Call }
  | { readonly kind: 'answer'; readonly call: Call; readonly endpoint: Endpoint }

/** What a thread of the gateway has of the service. */
class Thread {
  readonly endpoints: readonly Endpoint[]
  readonly health: ServiceHealth
  readonly budget: RetryBudget
  readonly breaker: CircuitBreaker | null
  readonly #picker
  readonly #random: () => number

  constructor(table: EndpointTable, outage: Outage, random: () => number) {
    this.#random = random
    this.endpoints = Array.from({ length: outage.endpoints }, (_, slot) => endpointAt(table, slot))
    this.health = new ServiceHealth(table.health)
    const slowStartMs = outage.slowStartMs ?? 0
    this.health.configure({ ejection: EJECTION, panicBelow: 0.3, slowStartMs }, this.endpoints)
    this.budget = new RetryBudget(table.health)
    this.budget.configure({ share: outage.budgetShare ?? 0.2, minPerSecond: 10 }, 0)
    this.breaker =
      outage.breaker === undefined ? null : new CircuitBreaker(table.health, 0, outage.breaker)
    const context = { turns: table.turns(0), random }
    this.#picker = pickerFactory(outage.balance)(this.endpoints, context)
  }

  /** As Service.pick does. */
  pick(request: BalancedRequest, tried: readonly Endpoint[]): Endpoint | null {
    this.health.update()
    const picked = this.#picker.pick(request, tried)
    if (picked === null || !this.health.isRamping) return picked
    if (this.health.takes(picked, this.#random(), tried.length > 0)) return picked
    return this.#picker.pick(request, [...tried, picked]) ?? picked
  }
}

class Simulation {
  readonly #clock = new ManualClock()
  readonly #events = new EventQueue<Event>()
  readonly #outage: Outage
  readonly #random: () => number
  readonly #table: EndpointTable
  readonly #threads: readonly Thread[]
  readonly #ratios: FailureRatios
  readonly #retries: RetrySettings
  readonly #seconds: Second[]

  constructor(outage: Outage, seed: number) {
    this.#outage = outage
    this.#random = seededRandom(seed)
    this.#table = EndpointTable.create(
      { endpointsMax: outage.endpoints, servicesMax: 1, threadsMax: THREADS + 1 },
      THREADS,
      this.#clock,
    )
    this.#threads = Array.from({ length: THREADS }, (_, index) => {
      const own = EndpointTable.attach(this.#table.buffers, index, this.#clock)
      return new Thread(own, outage, seededRandom(seed + 1 + index))
    })
    this.#ratios = new FailureRatios(this.#table.health)
    const slots = Array.from({ length: outage.endpoints }, (_, slot) => slot)
    this.#ratios.configure([{ serviceSlot: 0, slots, settings: EJECTION }])
    this.#retries = { backoffBaseMs: 25, backoffMaxMs: 250 } as RetrySettings
    this.#seconds = Array.from({ length: outage.seconds }, () => ({
      requests: 0,
      errors: 0,
      refused: 0,
      attempts: 0,
      bySlot: slots.map(() => 0),
      out: 0,
    }))
  }

  run(): Second[] {
    this.#events.add(0, { kind: 'arrival' })
    this.#events.add(SWEEP_MS, { kind: 'sweep' })
    let now = 0
    for (let next = this.#events.next(); next !== null; next = this.#events.next()) {
      if (next.dueMs >= this.#outage.seconds * 1000) break
      this.#clock.advance(next.dueMs - now)
      now = next.dueMs
      this.#handle(next.event, now)
    }
    return this.#seconds
  }

  #handle(event: Event, now: number): void {
    if (event.kind === 'arrival') {
      this.#arrive(now)
      this.#events.add(now + this.#exponential(1000 / this.#outage.requestsPerSecond), event)
    } else if (event.kind === 'sweep') {
      this.#ratios.sweep()
      const { health } = this.#table
      const out = this.#threads[0]!.endpoints.filter(({ slot }) => health.blocked(slot) !== 0)
      this.#second(now - 1).out = out.length
      this.#events.add(now + SWEEP_MS, event)
    } else if (event.kind === 'attempt') this.#attempt(event.call, now)
    else this.#answer(event.call, event.endpoint, now)
  }

  #arrive(now: number): void {
    const thread = this.#threads[Math.floor(this.#random() * THREADS)]!
    this.#second(now).requests += 1
    const admission = thread.breaker?.admit() ?? Admission.normal
    if (admission === Admission.refused) {
      this.#second(now).refused += 1
      return
    }
    thread.budget.countRequest()
    this.#attempt({ thread, admission, sentAt: now, tried: [], retries: 0 }, now)
  }

  #attempt(call: Call, now: number): void {
    const endpoint = call.thread.pick(REQUEST, call.tried)
    if (endpoint === null) {
      this.#end(call, now, true)
      return
    }
    endpoint.begin()
    this.#second(now).attempts += 1
    this.#second(now).bySlot[endpoint.slot]! += 1
    this.#events.add(now + this.#exponential(ANSWER_MS), { kind: 'answer', call, endpoint })
  }

  #answer(call: Call, endpoint: Endpoint, now: number): void {
    const failed = this.#random() < this.#outage.failing(endpoint.slot, now)
    endpoint.end(ANSWER_MS, failed)
    call.thread.health.note(endpoint, failed)
    if (!failed || call.retries >= (this.#outage.retriesMax ?? 1)) {
      this.#end(call, now, failed)
      return
    }
    const { health, endpoints, budget } = call.thread
    health.update()
    call.tried.push(endpoint)
    const isLeft = endpoints.some((other) => other.usable && !call.tried.includes(other))
    if (!isLeft || !budget.take()) {
      this.#end(call, now, true)
      return
    }
    call.retries += 1
    const waitMs = backoffMs(this.#retries, call.retries, this.#random())
    this.#events.add(now + waitMs, { kind: 'attempt', call })
  }

  #end(call: Call, now: number, failed: boolean): void {
    call.thread.breaker?.settle(call.admission, now - call.sentAt, failed)
    if (failed) this.#second(now).errors += 1
  }

  #second(now: number): Second {
    return this.#seconds[Math.min(Math.floor(now / 1000), this.#seconds.length - 1)]!
  }

  #exponential(meanMs: number): number {
    return -Math.log(1 - this.#random()) * meanMs
  }
}

const REQUEST: BalancedRequest = {
  path: '/',
  clientIp: '192.0.2.1',
  requestHeader: () => null,
  cookie: () => null,
}

function endpointAt(table: EndpointTable, slot: number): Endpoint {
  const host = `10.${slot >> 16}.${(slot >> 8) & 255}.${slot & 255}`
  const key = `simulated|${host}:80`
  const place = { key, address: `${host}:80`, host, port: 80, slot, serviceSlot: 0 }
  const rest = { secure: false, serverName: host, weight: 1, priority: 0 }
  return new Endpoint(table, { ...place, ...rest })
}

/** Runs an outage second by second; the same seed gives the same seconds. */
export function simulateOutage(outage: Outage, seed: number): Second[] {
  return new Simulation(outage, seed).run()
}

/** A sum over some seconds. */
export function total(
  seconds: readonly Second[],
  what: 'requests' | 'errors' | 'refused' | 'attempts',
): number {
  return seconds.reduce((sum, second) => sum + second[what], 0)
}
