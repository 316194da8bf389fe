import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ManualClock } from '../../../lib/clock.ts'
import { TimerWheel } from '../../../lib/timer-wheel.ts'
import { ConcurrencyGate, type Place, type PlaceSeeker, type Refusal } from './concurrency-gate.ts'
import { Importance, type ImportanceName } from './importance.ts'
import { concurrencyBytes, SharedConcurrency } from './shared-concurrency.ts'

const CAPACITY = { servicesMax: 4, threadsMax: 4 }
const SLOT = 2

/** One that asks for a place. */
class Seeker implements PlaceSeeker {
  waiting: { cancel(): void } | null = null
  place: Place | null = null
  outcome: 'waits' | 'placed' | 'free' | Refusal = 'waits'
  readonly #placed: (seeker: Seeker) => void

  constructor(placed: (seeker: Seeker) => void = () => {}) {
    this.#placed = placed
  }

  onPlace(place: Place | null): void {
    this.place = place
    this.outcome = place === null ? 'free' : 'placed'
    this.#placed(this)
  }

  onRefused(refusal: Refusal): void {
    this.outcome = refusal
  }

  leave(latencyMs = 10): void {
    this.place!.leave(latencyMs, false)
  }
}

/** The gates of some threads, on one clock and one memory. */
class Bench {
  readonly clock = new ManualClock()
  readonly wheel = new TimerWheel(this.clock, { manual: true })
  readonly shared: readonly SharedConcurrency[]
  readonly gates: readonly ConcurrencyGate[]
  readonly counts: Record<'awaited' | Refusal, number> = {
    awaited: 0,
    full: 0,
    displaced: 0,
    late: 0,
  }
  settings = {
    limit: 2 as number | null,
    adaptive: null,
    queueMax: 3,
    queueTimeoutMs: 1000,
  }

  constructor(threads = 1, settings: object = {}) {
    const buffer = new SharedArrayBuffer(concurrencyBytes(CAPACITY))
    const ticks = { now: () => this.clock.now() | 0 }
    this.shared = Array.from(
      { length: threads },
      (_, index) => new SharedConcurrency(buffer, CAPACITY, index, ticks),
    )
    const counters = {
      awaited: () => this.counts.awaited++,
      refused: (refusal: Refusal) => this.counts[refusal]++,
    }
    this.gates = this.shared.map(
      (shared) => new ConcurrencyGate({ shared, clock: this.clock, wheel: this.wheel }, counters),
    )
    this.configure(settings)
  }

  configure(settings: object): void {
    Object.assign(this.settings, settings)
    for (const gate of this.gates) gate.configure(this.settings, SLOT)
  }

  ask(
    importance: ImportanceName = 'normal',
    thread = 0,
    endsAt = Number.POSITIVE_INFINITY,
  ): Seeker {
    const seeker = new Seeker((placed) => this.order.push(placed))
    const gate = this.gates[thread]!
    const place = gate.tryEnter(Importance[importance])
    if (place === null) gate.wait(seeker, Importance[importance], endsAt)
    else seeker.onPlace(place)
    return seeker
  }

  readonly order: Seeker[] = []

  pass(ms: number): void {
    this.clock.advance(ms)
    this.wheel.advance(this.clock.now())
  }
}

function outcomes(seekers: readonly Seeker[]): string[] {
  return seekers.map(({ outcome }) => outcome)
}

describe('a place', () => {
  test('is for as many as the limit says, and the next waits until one is left', () => {
    const bench = new Bench()
    const [first, second, third] = [bench.ask(), bench.ask(), bench.ask()]
    assert.deepEqual(outcomes([first, second, third]), ['placed', 'placed', 'waits'])
    second.leave()
    assert.equal(third.outcome, 'placed')
    first.leave()
    first.leave()
    third.leave()
    assert.equal(bench.shared[0]!.inFlight(SLOT), 0)
    assert.ok(bench.shared[0]!.isQuiet(SLOT))
    assert.equal(bench.wheel.size, 0)
  })

  test('goes to the most important, and among equals to who came first', () => {
    const bench = new Bench(1, { limit: 1, queueMax: 10 })
    const holder = bench.ask()
    const low = bench.ask('low')
    const normal = bench.ask('normal')
    const later = bench.ask('normal')
    const critical = bench.ask('critical')
    bench.order.length = 0
    for (let seeker: Seeker = holder; bench.order.length < 4; seeker = bench.order.at(-1)!) {
      seeker.leave()
    }
    assert.deepEqual(bench.order, [critical, normal, later, low])
  })

  test('is not taken past those who wait and matter as much', () => {
    const bench = new Bench(2, { limit: 1 })
    const holder = bench.ask('normal', 0)
    const waiting = bench.ask('normal', 1)
    // The other thread has not heard of it yet.
    holder.leave()
    bench.pass(1)
    assert.equal(bench.ask('normal', 0).outcome, 'waits')
    bench.gates[1]!.serve()
    assert.equal(waiting.outcome, 'placed')
    assert.equal(bench.shared[0]!.inFlight(SLOT), 1)
  })

  test('goes to the thread in which the next of all waits', () => {
    const bench = new Bench(3, { limit: 1, queueMax: 10 })
    const holder = bench.ask('normal', 0)
    bench.ask('normal', 1)
    bench.pass(5)
    const high = bench.ask('high', 2)
    holder.leave()
    bench.gates[1]!.serve()
    assert.equal(high.outcome, 'waits')
    bench.gates[2]!.serve()
    assert.equal(high.outcome, 'placed')
  })
})

describe('a queue that has been there for half of the longest wait', () => {
  test('is served newest first, and when full the oldest go', () => {
    const bench = new Bench(1, { limit: 1 })
    const holder = bench.ask()
    const waiting = [bench.ask()]
    for (let i = 0; i < 2; i++) {
      bench.pass(300)
      waiting.push(bench.ask())
    }
    const newcomer = bench.ask()
    assert.deepEqual(outcomes([...waiting, newcomer]), ['displaced', 'waits', 'waits', 'waits'])
    holder.leave()
    assert.equal(newcomer.outcome, 'placed')
  })

  test('is served oldest first again once it was empty', () => {
    const bench = new Bench(1, { limit: 1 })
    const holder = bench.ask()
    const first = bench.ask()
    bench.pass(600)
    holder.leave()
    const [older, newer] = [bench.ask(), bench.ask()]
    first.leave()
    assert.deepEqual(outcomes([older, newer]), ['placed', 'waits'])
  })
})

describe('a full queue', () => {
  test('refuses who matters no more than those in it', () => {
    const bench = new Bench()
    const seekers = Array.from({ length: 6 }, () => bench.ask())
    assert.equal(seekers[5]!.outcome, 'full')
    assert.deepEqual(bench.counts, { awaited: 3, full: 1, displaced: 0, late: 0 })
  })

  test('drops the least important, the last to come first, for one that matters more', () => {
    const bench = new Bench()
    bench.ask()
    bench.ask()
    const waiting = [bench.ask('normal'), bench.ask('low'), bench.ask('low')]
    const [high, critical, normal] = [bench.ask('high'), bench.ask('critical'), bench.ask('normal')]
    assert.deepEqual(outcomes(waiting), ['waits', 'displaced', 'displaced'])
    assert.deepEqual(outcomes([high, critical, normal]), ['waits', 'waits', 'full'])
    assert.equal(bench.shared[0]!.waiting(SLOT), 3)
  })

  test('drops those of another thread once that has heard of it', () => {
    const bench = new Bench(2)
    bench.ask()
    bench.ask()
    const low = [bench.ask('low', 1), bench.ask('low', 1), bench.ask('low', 1)]
    const high = Array.from({ length: 5 }, () => bench.ask('high', 0))
    // No more than can be dropped there get in.
    assert.deepEqual(outcomes(high), ['waits', 'waits', 'waits', 'full', 'full'])
    bench.gates[1]!.serve()
    assert.deepEqual(outcomes(low), ['displaced', 'displaced', 'displaced'])
    assert.equal(bench.shared[0]!.waiting(SLOT), 3)
  })

  test('of no length lets nobody wait', () => {
    const bench = new Bench(1, { queueMax: 0 })
    bench.ask()
    bench.ask()
    assert.equal(bench.ask('critical').outcome, 'full')
  })
})

describe('a wait ends', () => {
  test('after the longest that is allowed', () => {
    const bench = new Bench(1, { queueTimeoutMs: 200 })
    bench.ask()
    bench.ask()
    const seeker = bench.ask()
    bench.pass(190)
    assert.equal(seeker.outcome, 'waits')
    bench.pass(30)
    assert.equal(seeker.outcome, 'late')
    assert.ok(bench.shared[0]!.waiting(SLOT) === 0)
  })

  test('when even the quickest answer would come too late, and does not begin after that', () => {
    const bench = new Bench()
    const holders = [bench.ask(), bench.ask()]
    for (const holder of holders) holder.leave(100)
    bench.ask()
    bench.ask()
    assert.equal(bench.ask('critical', 0, bench.clock.now() + 90).outcome, 'late')
    const seeker = bench.ask('normal', 0, bench.clock.now() + 400)
    bench.pass(250)
    assert.equal(seeker.outcome, 'waits')
    bench.pass(70)
    assert.equal(seeker.outcome, 'late')
  })

  test('when nobody wants the place any more, and the next in another thread gets it', () => {
    const bench = new Bench(2, { limit: 1 })
    const holder = bench.ask()
    const gone = bench.ask('high', 1)
    const next = bench.ask('normal', 0)
    holder.leave()
    assert.equal(next.outcome, 'waits')
    gone.waiting!.cancel()
    assert.equal(gone.waiting, null)
    bench.gates[0]!.serve()
    assert.equal(next.outcome, 'placed')
  })
})

describe('settings', () => {
  test('that lower the limit hold as places are left, and that raise it at once', () => {
    const bench = new Bench(1, { limit: 3, queueMax: 10 })
    const seekers = Array.from({ length: 6 }, () => bench.ask())
    bench.configure({ limit: 1 })
    seekers[0]!.leave()
    seekers[1]!.leave()
    assert.deepEqual(outcomes(seekers.slice(3)), ['waits', 'waits', 'waits'])
    assert.equal(bench.shared[0]!.inFlight(SLOT), 1)
    bench.configure({ limit: 3 })
    assert.deepEqual(outcomes(seekers.slice(3)), ['placed', 'placed', 'waits'])
  })

  test('that take the limit away let everybody go, and places taken before are given back', () => {
    const bench = new Bench()
    const seekers = Array.from({ length: 4 }, () => bench.ask())
    bench.gates[0]!.configure(null, SLOT)
    assert.deepEqual(outcomes(seekers), ['placed', 'placed', 'free', 'free'])
    seekers[0]!.leave()
    seekers[1]!.leave()
    assert.ok(bench.shared[0]!.isQuiet(SLOT))
  })
})

test('what a dead thread held and waited for is given back', () => {
  const bench = new Bench(2)
  bench.ask('normal', 1)
  bench.ask('normal', 1)
  bench.ask('high', 1)
  const waiting = bench.ask('normal', 0)
  assert.equal(waiting.outcome, 'waits')
  bench.shared[0]!.releaseThread(1)
  bench.gates[0]!.serve()
  assert.equal(waiting.outcome, 'placed')
  assert.equal(bench.shared[0]!.inFlight(SLOT), 1)
  assert.equal(bench.shared[0]!.waiting(SLOT), 0)
})
