// What a gateway promises when much goes wrong at once, for fleets of 60 to 300 machines in virtual time.
// A failure prints its seed; SEED=7 replays it, SEEDS=100 looks further.
import assert from 'node:assert/strict'
import {
  type FleetPlan,
  type FleetSecond,
  type Happening,
  percentile,
  simulateFleet,
  sum,
} from './fleet.ts'
import type { Machine, MachinePlan } from './machine.ts'
import { testSeeds } from './seeds.ts'

const FILE = import.meta.filename
const MACHINE: MachinePlan = {
  workers: 1,
  workMs: 200,
  spread: 0.5,
  backlogMax: 50,
  noticesAborts: false,
}
/** Requests a second that a machine can take. */
const CAPACITY = (MACHINE.workers * 1000) / MACHINE.workMs

function machines(count: number, more: Partial<MachinePlan> = {}): MachinePlan[] {
  return Array.from({ length: count }, () => ({ ...MACHINE, ...more }))
}

function at(atMs: number, change: (machine: Machine, random: () => number) => void): Happening {
  return {
    atMs,
    change: (all, random) => {
      for (const machine of all) change(machine, random)
    },
  }
}

/** The second from which on this part of the requests was good, each second to the end. */
function goodFrom(seconds: readonly FleetSecond[], part: number): number {
  const last = seconds.findLastIndex(({ good, failed }) => good < part * (good + failed))
  return last + 1
}

function mean(seconds: readonly FleetSecond[], of: (second: FleetSecond) => number): number {
  return seconds.reduce((total, second) => total + of(second), 0) / seconds.length
}

const STORM: Omit<FleetPlan, 'service'> = {
  seconds: 75,
  machines: machines(100),
  gateways: [null],
  threads: 4,
  exchangeTimeout: '5s',
  requestsPerSecond: () => 100 * CAPACITY * 0.5,
  clients: { retries: 2, pauseMs: 300 },
  happenings: [
    at(10_000, (machine) => {
      machine.slowness = 4
    }),
    at(40_000, (machine) => {
      machine.slowness = 1
    }),
  ],
}
const STORMS: Record<string, Partial<FleetPlan> & { recoverySeconds: number }> = {
  'with the defaults': { service: {}, clients: {}, recoverySeconds: 30 },
  'with an adaptive limit and clients who insist': {
    service: {
      retries: { attempts: 3 },
      timeouts: { attempt: '2s' },
      concurrency: { adaptive: 'gradient' },
    },
    recoverySeconds: 15,
  },
  'with a breaker and clients who insist': {
    service: { retries: { attempts: 3 }, timeouts: { attempt: '2s' }, breaker: {} },
    recoverySeconds: 15,
  },
}

for (const [name, { recoverySeconds, ...plan }] of Object.entries(STORMS)) {
  testSeeds(`a service gets over 30 s of twice its capacity, ${name}`, FILE, 1, async (seed) => {
    const { seconds, gateways } = await simulateFleet({ ...STORM, service: {}, ...plan }, seed)
    const during = seconds.slice(10, 40)
    const further = sum(during, 'attempts') - sum(during, 'requests')
    assert.ok(further <= sum(during, 'requests') * 0.2 + 310, `${further} further attempts`)
    const from = goodFrom(seconds, 0.95)
    assert.ok(from <= 40 + recoverySeconds, `good again only ${from - 40} s after it was over`)
    if (gateways[0]!.threads[0]!.service.concurrency === null) return
    const most = (100 * CAPACITY * 15) / 4
    const good = sum(seconds.slice(25, 40), 'good')
    assert.ok(good > most * 0.3, `${good} answers while ${most} could be given`)
  })
}

testSeeds('200 endpoints of which a tenth flips every second', FILE, 1, async (seed) => {
  const flips = Array.from({ length: 20 }, (_, second) =>
    at(3000 + second * 1000, (machine, random) => {
      if (second === 19) machine.turn('none')
      else if (random() < 0.1) {
        machine.turn(machine.fault !== 'none' ? 'none' : random() < 0.5 ? 'errors' : 'refuses')
      }
    }),
  )
  const { seconds } = await simulateFleet(
    {
      seconds: 65,
      machines: machines(200),
      gateways: [null],
      threads: 4,
      service: { retries: { attempts: 2 } },
      requestsPerSecond: () => 350,
      happenings: flips,
    },
    seed,
  )
  const during = seconds.slice(3, 22)
  const share = sum(during, 'failed') / sum(during, 'requests')
  assert.ok(share < 0.07, `${share} failed although another endpoint worked`)
  assert.ok(during.some(({ ejected }) => ejected > 50))
  assert.equal(sum(seconds.slice(24), 'failed'), 0)
  assert.equal(seconds.at(-1)!.ejected, 0, 'some never came back')
})

testSeeds('one of three zones becomes twenty times slower', FILE, 1, async (seed) => {
  const zones = ['a', 'b', 'c']
  const slow = (slowness: number) => (machine: Machine) => {
    if (machine.plan.zone === 'a') machine.slowness = slowness
  }
  const { seconds } = await simulateFleet(
    {
      seconds: 60,
      machines: zones.flatMap((zone) => machines(60, { zone })),
      gateways: zones,
      threads: 2,
      service: { timeouts: { attempt: '1500ms' }, retries: { attempts: 2 } },
      requestsPerSecond: () => 180 * CAPACITY * 0.4,
      happenings: [at(5000, slow(20)), at(20_000, slow(1))],
    },
    seed,
  )
  const usual = percentile(seconds.slice(1, 5), 0.99)
  for (const gateway of [1, 2]) {
    const p99 = percentile(seconds.slice(5, 30), 0.99, gateway)
    assert.ok(p99 < usual * 2, `${p99} ms for zone ${zones[gateway]}, ${usual} before`)
    const failed = seconds.reduce((total, { failures }) => total + failures[gateway]!, 0)
    assert.equal(failed, 0, 'requests of a zone where all is well failed')
  }
  const toSlow = (second: FleetSecond): number =>
    second.received.subarray(0, 60).reduce((total, count) => total + count, 0)
  const before = toSlow(seconds[4]!)
  assert.ok(toSlow(seconds[12]!) < before * 0.05, 'it does not leave the slow zone')
  assert.equal(sum(seconds.slice(12, 15), 'failed'), 0)
  assert.ok(toSlow(seconds.at(-1)!) > before * 0.8, 'it does not return')
})

testSeeds('150 of 300 endpoints come back at once', FILE, 1, async (seed) => {
  const half = (change: (machine: Machine) => void) => (machine: Machine) => {
    if (machine.slot < 150) change(machine)
  }
  const { seconds } = await simulateFleet(
    {
      seconds: 35,
      machines: machines(300),
      gateways: [null],
      threads: 4,
      service: { balance: 'round-robin', slowStart: '10s', ejection: { failures: 2 } },
      requestsPerSecond: () => 450,
      happenings: [
        at(
          3000,
          half((machine) => machine.turn('refuses')),
        ),
        at(
          9000,
          half((machine) => machine.turn('none')),
        ),
      ],
    },
    seed,
  )
  const toHalf = ({ received, requests }: FleetSecond): number =>
    received.subarray(0, 150).reduce((total, count) => total + count, 0) / requests
  const back = seconds.findIndex((second, index) => index > 9 && toHalf(second) > 0.01)
  assert.ok(back > 0, 'they never come back')
  // A quarter of their share each on average, beside as many others with a whole one: a fifth.
  const early = mean(seconds.slice(back, back + 4), toHalf)
  assert.ok(early < 0.24, `${early} of all requests in the first seconds of a slow start`)
  assert.ok(mean(seconds.slice(-4), toHalf) > 0.4, 'they do not get their share')
  assert.equal(sum(seconds.slice(6), 'failed'), 0, 'a second collapse')
  assert.ok(percentile(seconds.slice(back), 0.99) < percentile(seconds.slice(1, 3), 0.99) * 2)
})

testSeeds(
  'an adaptive limit follows capacity, and drops who matters least',
  FILE,
  1,
  async (seed) => {
    const { seconds } = await simulateFleet(
      {
        seconds: 75,
        machines: machines(30, { workers: 2 }),
        gateways: [null],
        threads: 4,
        service: { concurrency: { adaptive: 'gradient', queue: { max: 50, timeout: '500ms' } } },
        requestsPerSecond: () => 60 * CAPACITY * 1.3,
        // Low, normal, high.
        clients: { importances: [3, 2, 1] },
        happenings: [
          at(25_000, (machine) => {
            machine.strength = 0.5
          }),
          at(50_000, (machine) => {
            machine.strength = 1
          }),
        ],
      },
      seed,
    )
    const limit = (from: number, to: number): number =>
      seconds.slice(from, to).reduce((total, second) => total + second.limit, 0) / (to - from)
    const [whole, halved, again] = [limit(15, 25), limit(40, 50), limit(65, 75)]
    assert.ok(whole > 50 && whole < 150, `a limit of ${whole} for 60 workers`)
    assert.ok(halved > whole * 0.35 && halved < whole * 0.75, `${halved} after ${whole}`)
    assert.ok(again > whole * 0.7 && again < whole * 1.4, `${again} after ${halved}`)
    const failed = (from: number, to: number): number[] =>
      [0, 1, 2].map((importance) =>
        seconds.slice(from, to).reduce((total, { failedBy }) => total + failedBy[importance]!, 0),
      )
    const [low, normal] = failed(12, 25)
    assert.ok(low! > 0 && normal! < low! * 0.02, `${low} of low importance, ${normal} of normal`)
    const high = failed(5, 75)[2]!
    assert.ok(high < 70 * 65 * 0.02, `${high} of high importance were dropped`)
  },
)

testSeeds(
  'a breaker lets few find out, and all come back when it closes',
  FILE,
  1,
  async (seed) => {
    const probes = 3
    const { seconds, gateways } = await simulateFleet(
      {
        seconds: 30,
        machines: machines(100),
        gateways: [null],
        threads: 4,
        service: { breaker: { open: '2s', probes }, retries: { attempts: 1 } },
        requestsPerSecond: () => 300,
        clients: { retries: 1, pauseMs: 1000 },
        happenings: [
          at(3000, (machine) => machine.turn('errors')),
          at(15_000, (machine) => machine.turn('none')),
        ],
      },
      seed,
    )
    const during = seconds.slice(7, 15)
    const rounds = during.length / 2 + 1
    assert.ok(sum(during, 'attempts') <= rounds * probes * 2, `${sum(during, 'attempts')} attempts`)
    assert.ok(sum(during, 'attempts') > 0, 'nobody looks whether it works again')
    const closed = goodFrom(seconds, 0.999)
    assert.ok(closed <= 20, `closed after ${closed - 15} s`)
    for (const { attempts, requests } of seconds.slice(15, closed + 5)) {
      assert.ok(attempts <= requests * 1.2 + 20, `${attempts} attempts for ${requests}`)
    }
    assert.ok(gateways[0]!.counts.circuitOpened >= 4)
  },
)
