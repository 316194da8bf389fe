// Worlds drawn from a seed: any fleet, any settings of the service, any clients, and whatever may happen.
import type { ClientKind } from './client.ts'
import type { FleetPlan, Happening } from './fleet.ts'
import type { Fault, Machine, MachinePlan } from './machine.ts'
import type { WrittenService } from './simulated-gateway.ts'

/** Draws of a world. */
class Dice {
  readonly random: () => number

  constructor(random: () => number) {
    this.random = random
  }

  whole(from: number, to: number): number {
    return from + Math.floor(this.random() * (to - from + 1))
  }

  maybe<T>(chance: number, value: T): T | undefined {
    return this.random() < chance ? value : undefined
  }

  one<T>(values: readonly T[]): T {
    return values[Math.floor(this.random() * values.length)]!
  }
}

/** Requests of one world, about. */
const REQUESTS = 2500

/** A world; the same numbers give the same one. */
export function randomFleet(random: () => number): FleetPlan {
  const dice = new Dice(random)
  const zones = dice.one([[], [], ['a', 'b'], ['a', 'b', 'c']])
  const machine = machineOf(dice)
  const count = dice.one([1, 2, 3, 10, 50, 150, 300])
  const machines = Array.from({ length: count }, (_, slot) =>
    zones.length === 0 ? machine : { ...machine, zone: zones[slot % zones.length]! },
  )
  const capacity = (count * machine.workers * 1000) / machine.workMs
  const seconds = dice.whole(10, 40)
  const utilisation = dice.one([0.2, 0.5, 0.8, 1.2, 2])
  // With more machines than so many requests can keep busy, it is a quiet hour.
  const rate = Math.min(capacity * utilisation, REQUESTS / seconds)
  const burstMs = dice.whole(1000, 10_000)
  const burst = dice.one([1, 1, 3])
  const exchangeTimeout = dice.maybe(0.5, `${dice.whole(500, 8000)}ms`)
  return {
    seconds,
    machines,
    gateways: zones.length === 0 ? [null] : zones,
    threads: dice.whole(1, 4),
    service: serviceOf(dice, machine),
    ...(exchangeTimeout === undefined ? {} : { exchangeTimeout }),
    requestsPerSecond: (now) => (now % (2 * burstMs) < burstMs ? rate * burst : rate),
    clients: clientsOf(dice),
    happenings: happeningsOf(dice, seconds * 1000),
  }
}

function machineOf(dice: Dice): MachinePlan {
  return {
    workers: dice.whole(1, 8),
    workMs: dice.one([5, 20, 100, 400]),
    spread: dice.one([0, 0.5, 1]),
    backlogMax: dice.one([5, 50, 500]),
    noticesAborts: dice.random() < 0.5,
  }
}

function serviceOf(dice: Dice, { workMs }: MachinePlan): WrittenService {
  const attempt = dice.maybe(0.6, `${Math.round(workMs * dice.one([2, 4, 10])) + 10}ms`)
  const service: WrittenService = {
    balance: dice.one(['p2c', 'p2c', 'round-robin', 'random', 'least-connections']),
    timeouts: { ...(attempt === undefined ? {} : { attempt }), response: '6s' },
    retries: {
      attempts: dice.whole(0, 4),
      sameEndpoint: dice.random() < 0.2,
      budget: { share: dice.one([0, 0.2, 0.5]), minPerSecond: dice.one([0, 3, 10]) },
    },
    ejection: dice.one([
      {},
      {},
      false,
      { failures: dice.whole(1, 5), share: dice.one([0.1, 0.3, 1]), time: '1s', timeMax: '5s' },
    ]),
    panicBelow: dice.one([0, 0.3, 0.7]),
    spillBelow: dice.one([0, 0.7, 1]),
    slowStart: dice.one(['0ms', '5s']),
  }
  const hedge = dice.maybe(0.25, { after: dice.one(['p95', '30ms']), max: dice.whole(1, 2) })
  const breaker = dice.maybe(0.3, {
    open: dice.one(['500ms', '2s']),
    probes: dice.whole(1, 4),
    window: '2s',
    ...(dice.random() < 0.3 ? { slowerThan: `${workMs * 4}ms` } : {}),
  })
  const queue = { max: dice.one([0, 5, 100]), timeout: dice.one(['100ms', '1s']) }
  const concurrency = dice.maybe(
    0.5,
    dice.one([
      { limit: dice.whole(1, 50), queue },
      { adaptive: 'gradient', queue },
      { adaptive: 'aimd', latency: `${workMs * 3}ms`, queue },
    ]),
  )
  if (hedge !== undefined) service.hedge = hedge
  if (breaker !== undefined) service.breaker = breaker
  if (concurrency !== undefined) service.concurrency = concurrency
  return service
}

function clientsOf(dice: Dice): Partial<ClientKind> {
  return {
    importances: dice.one([
      [0, 1],
      [1, 1, 1, 1],
      [5, 3, 1],
    ]),
    posts: dice.one([0, 0.3]),
    retries: dice.whole(0, 2),
    pauseMs: dice.one([50, 1000]),
    leaving: dice.one([0, 0.2]),
    patienceMs: dice.one([20, 300, 2000]),
  }
}

function happeningsOf(dice: Dice, endMs: number): Happening[] {
  return Array.from({ length: dice.whole(0, 8) }, () => {
    const atMs = dice.random() * endMs
    const part = dice.one([0.1, 0.3, 0.5, 1])
    const zone = dice.maybe(0.3, dice.one(['a', 'b']))
    const change = changeOf(dice)
    return {
      atMs,
      change: (machines, random) => {
        for (const machine of machines) {
          const isMeant = zone === undefined || machine.plan.zone === zone
          if (isMeant && random() < part) change(machine)
        }
      },
    }
  })
}

function changeOf(dice: Dice): (machine: Machine) => void {
  const fault = dice.one<Fault>(['none', 'none', 'refuses', 'errors', 'stalls'])
  const slowness = dice.one([1, 1, 5, 20])
  const strength = dice.one([1, 0.5])
  const kind = dice.whole(0, 2)
  return (machine) => {
    if (kind === 0) machine.turn(fault)
    else if (kind === 1) machine.slowness = slowness
    else machine.strength = strength
  }
}
