// A fleet in virtual time: hundreds of machines that queue and fail, gateways of several threads in front
// of them, and clients who do not wait for each other. What must hold in any world is checked as it runs.
import { ManualClock } from '../../src/lib/clock.ts'
import { seededRandom } from '../../src/proxy/upstream/balancers/balancer.contract.ts'
import { Blocked } from '../../src/proxy/upstream/health/shared-health.ts'
import { type Answer, type ClientKind, SimulatedClient } from './client.ts'
import { EventQueue } from './event-queue.ts'
import { FleetChecks } from './fleet-checks.ts'
import { Machine, type MachinePlan } from './machine.ts'
import { documentOf, SimulatedGateway, type WrittenService } from './simulated-gateway.ts'

/** What happens to a world from outside. */
export interface Happening {
  readonly atMs: number
  readonly change: (machines: readonly Machine[], random: () => number) => void
}

/** What is simulated. */
export interface FleetPlan {
  readonly seconds: number
  readonly machines: readonly MachinePlan[]
  /** One for each gateway process, with its zone, or null. */
  readonly gateways: readonly (string | null)[]
  readonly threads: number
  readonly service: WrittenService
  readonly exchangeTimeout?: string
  /** Over all gateways; Poisson. */
  readonly requestsPerSecond: (nowMs: number) => number
  readonly clients?: Partial<ClientKind>
  readonly happenings?: readonly Happening[]
}

/** What happened in one second. */
export interface FleetSecond {
  /** Requests that came, those that clients tried again included. */
  requests: number
  /** By the second in which they ended. */
  good: number
  failed: number
  /** Of these, without an attempt at any machine. */
  refused: number
  attempts: number
  /** By gateway: how long good answers took, in ms. */
  readonly latencies: readonly number[][]
  /** By gateway: requests that ended badly. */
  readonly failures: number[]
  /** By importance. */
  readonly failedBy: number[]
  /** By machine: requests received. */
  readonly received: Int32Array
  /** At its end, in the first gateway. */
  ejected: number
  limit: number
  inFlight: number
}

/** What came of it. */
export interface FleetOutcome {
  readonly seconds: readonly FleetSecond[]
  readonly gateways: readonly SimulatedGateway[]
  readonly machines: readonly Machine[]
  /** Of all that happened, in its order. */
  readonly hash: number
  readonly requests: number
  readonly attempts: number
}

const TICK_MS = 10
/** After the last request the world has so long to come to rest. */
const REST_MS = 120_000

class Fleet {
  readonly clock = new ManualClock()
  readonly events = new EventQueue<() => void>()
  readonly plan: FleetPlan
  readonly machines: readonly Machine[]
  readonly gateways: readonly SimulatedGateway[]
  readonly seconds: FleetSecond[]
  readonly checks: FleetChecks
  readonly #arrivals: () => number
  readonly #clients: () => number
  #open = 0
  #requests = 0
  #attempts = 0
  #hash = 0x811c9dc5

  constructor(plan: FleetPlan, seed: number, documents: Parameters<typeof gatewaysOf>[0]) {
    this.plan = plan
    this.#arrivals = seededRandom(seed * 4)
    this.#clients = seededRandom(seed * 4 + 1)
    const random = seededRandom(seed * 4 + 2)
    const now = (): number => this.clock.now()
    this.checks = new FleetChecks(documents[0]!.services[0]!, plan.machines.length)
    const onReceived = (machine: Machine, id: number): void => {
      this.second.received[machine.slot]! += 1
      this.checks.received(id, machine.slot)
    }
    const world = { now, random, events: this.events, onReceived }
    this.machines = plan.machines.map((machine, slot) => new Machine(slot, machine, world))
    const { clock, events, machines } = this
    const onDefect = (what: string): void => this.checks.defect(what)
    this.gateways = gatewaysOf(documents, plan.threads, seed, { clock, events, machines, onDefect })
    this.seconds = Array.from({ length: plan.seconds }, () => emptySecond(plan))
  }

  get second(): FleetSecond {
    return this.seconds[Math.min(Math.floor(this.clock.now() / 1000), this.seconds.length - 1)]!
  }

  run(seed: number): FleetOutcome {
    const { clock, events, plan } = this
    const chance = seededRandom(seed * 4 + 3)
    for (const { atMs, change } of plan.happenings ?? []) {
      events.add(atMs, () => change(this.machines, chance))
    }
    events.add(0, () => this.#arrive())
    events.add(TICK_MS, () => this.#tick())
    const restBy = plan.seconds * 1000 + REST_MS
    for (let next = events.next(); next !== null; next = events.next()) {
      clock.advance(next.dueMs - clock.now())
      next.event()
      for (const gateway of this.gateways) {
        gateway.wake()
        this.checks.inFlight(gateway)
      }
      if (clock.now() >= plan.seconds * 1000 && this.#open === 0) break
      if (clock.now() > restBy) break
    }
    this.checks.atRest(this.gateways, this.#open, clock.now() / 1000)
    const { gateways, machines, seconds } = this
    const hash = this.#hash >>> 0
    return { seconds, gateways, machines, hash, requests: this.#requests, attempts: this.#attempts }
  }

  #arrive(): void {
    const now = this.clock.now()
    if (now >= this.plan.seconds * 1000) return
    this.#send(new SimulatedClient(this.plan.clients ?? {}, this.gateways, this.#clients))
    const pauseMs = 1000 / this.plan.requestsPerSecond(now)
    this.events.add(now - Math.log(1 - this.#arrivals()) * pauseMs, () => this.#arrive())
  }

  #send(client: SimulatedClient): void {
    this.#requests += 1
    this.#open += 1
    this.second.requests += 1
    const id = this.#requests
    this.checks.came(id, client)
    client.send(id, (answer) => this.#onAnswer(client, answer))
    const { patienceMs } = client
    if (patienceMs === 0) return
    this.events.add(this.clock.now() + patienceMs, () => client.leave(id))
  }

  #onAnswer(client: SimulatedClient, answer: Answer): void {
    const now = this.clock.now()
    const { second } = this
    const { attempts, durationMs, isGood, status } = answer
    this.#open -= 1
    this.#attempts += attempts
    this.checks.ended(answer)
    second.attempts += attempts
    if (isGood) {
      second.good += 1
      second.latencies[client.gateway]!.push(durationMs)
    } else {
      second.failed += 1
      second.failures[client.gateway]! += 1
      second.failedBy[client.importance]! += 1
      if (attempts === 0) second.refused += 1
    }
    for (const value of [Math.round(now * 1000), client.gateway, status, attempts]) {
      this.#hash = Math.imul(this.#hash ^ value, 0x01000193)
    }
    const delayMs = isGood || now >= this.plan.seconds * 1000 ? -1 : client.againAfterMs()
    if (delayMs >= 0) this.events.add(now + delayMs, () => this.#send(client))
  }

  #tick(): void {
    const now = this.clock.now()
    for (const gateway of this.gateways) gateway.tick(now)
    for (const machine of this.machines) machine.begin()
    if (Math.round(now) % 100 === 0) {
      const { table } = this.gateways[0]!.threads[0]!
      const { second } = this
      for (const gateway of this.gateways) this.checks.ejected(gateway)
      second.ejected = this.machines.filter(
        ({ slot }) => (table.health.blocked(slot) & Blocked.ejected) !== 0,
      ).length
      second.limit = table.concurrency.limit(0)
      second.inFlight = table.concurrency.inFlight(0)
    }
    this.events.add(now + TICK_MS, () => this.#tick())
  }
}

function gatewaysOf(
  documents: readonly Awaited<ReturnType<typeof documentOf>>[],
  threads: number,
  seed: number,
  world: ConstructorParameters<typeof SimulatedGateway>[3],
): SimulatedGateway[] {
  return documents.map(
    (document, index) => new SimulatedGateway(document, threads, seed * 8 + index, world),
  )
}

function emptySecond(plan: FleetPlan): FleetSecond {
  return {
    requests: 0,
    good: 0,
    failed: 0,
    refused: 0,
    attempts: 0,
    latencies: plan.gateways.map(() => []),
    failures: plan.gateways.map(() => 0),
    failedBy: [0, 0, 0, 0],
    received: new Int32Array(plan.machines.length),
    ejected: 0,
    limit: 0,
    inFlight: 0,
  }
}

/**
 * Runs a world; the same seed gives the same outcome.
 * @throws AssertionError when something happened that must not happen in any world.
 */
export async function simulateFleet(plan: FleetPlan, seed: number): Promise<FleetOutcome> {
  const documents = []
  for (const zone of plan.gateways) {
    documents.push(await documentOf(plan.service, plan.machines, zone, plan.exchangeTimeout))
  }
  return new Fleet(plan, seed, documents).run(seed)
}

/** A sum over seconds. */
export function sum(
  seconds: readonly FleetSecond[],
  what: 'requests' | 'good' | 'failed' | 'refused' | 'attempts',
): number {
  return seconds.reduce((total, second) => total + second[what], 0)
}

/** A percentile of how long good answers took, over all gateways or one. */
export function percentile(
  seconds: readonly FleetSecond[],
  part: number,
  gateway: number | null = null,
): number {
  const all = seconds.flatMap(({ latencies }) =>
    gateway === null ? latencies.flat() : latencies[gateway]!,
  )
  const sorted = Float64Array.from(all).sort()
  return sorted[Math.ceil(sorted.length * part) - 1] ?? Number.NaN
}
