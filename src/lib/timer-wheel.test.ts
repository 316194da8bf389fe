// Timers fire once, never early, at most one tick late, whatever their handlers do meanwhile.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, mock, test } from 'node:test'
import fc from 'fast-check'
import { ManualClock, systemClock } from './clock.ts'
import { TimerWheel, WheelTimer } from './timer-wheel.ts'

class TestTimer extends WheelTimer {
  readonly firedAt: number[] = []
  readonly #action: (timer: TestTimer, now: number) => void

  constructor(action: (timer: TestTimer, now: number) => void = () => {}) {
    super()
    this.#action = action
  }

  override onTimeout(now: number): void {
    this.firedAt.push(now)
    this.#action(this, now)
  }
}

class Bench {
  readonly clock = new ManualClock()
  readonly wheel = new TimerWheel(this.clock, { manual: true })

  step(ms: number): void {
    this.clock.advance(ms)
    this.wheel.advance(this.clock.now())
  }
}

describe('timer wheel', () => {
  test('fires at the first tick at or after the deadline', () => {
    const { wheel, clock } = new Bench()
    const short = new TestTimer()
    const long = new TestTimer()
    wheel.arm(short, 25)
    wheel.arm(long, 1001)
    for (let ms = 0; ms < 2000; ms++) {
      clock.advance(1)
      wheel.advance(clock.now())
    }
    assert.deepEqual(short.firedAt, [30])
    assert.deepEqual(long.firedAt, [1250])
    assert.equal(wheel.size, 0)
  })

  test('a delay of 0 or less fires at the next tick', () => {
    const bench = new Bench()
    const timer = new TestTimer()
    bench.wheel.arm(timer, -5)
    bench.step(0)
    assert.deepEqual(timer.firedAt, [])
    bench.step(10)
    assert.deepEqual(timer.firedAt, [10])
  })

  test('a timer beyond the horizon waits further rounds', () => {
    const bench = new Bench()
    const timer = new TestTimer()
    bench.wheel.arm(timer, 24 * 3600_000)
    for (let hour = 0; hour < 23; hour++) bench.step(3600_000)
    assert.deepEqual(timer.firedAt, [])
    bench.step(3600_000)
    assert.deepEqual(timer.firedAt, [24 * 3600_000])
  })

  test('a clock that jumped over whole rounds leaves no timer behind', () => {
    for (const [delay, jump] of [
      [10, 1280],
      [10, 1290],
      [1001, 513 * 250],
      [1250, 517 * 250],
    ] as const) {
      const bench = new Bench()
      const timer = new TestTimer()
      bench.wheel.arm(timer, delay)
      bench.step(jump)
      assert.equal(timer.firedAt.length, 1)
    }
  })

  test('arming again moves a timer, cancelling disarms it', () => {
    const bench = new Bench()
    const moved = new TestTimer()
    const cancelled = new TestTimer()
    bench.wheel.arm(moved, 50)
    bench.wheel.arm(cancelled, 50)
    bench.wheel.arm(moved, 500)
    bench.wheel.cancel(cancelled)
    bench.wheel.cancel(cancelled)
    assert.equal(bench.wheel.size, 1)
    assert.equal(moved.armed, true)
    assert.equal(cancelled.armed, false)
    bench.step(100)
    assert.deepEqual(moved.firedAt, [])
    bench.step(400)
    assert.deepEqual(moved.firedAt, [500])
    assert.deepEqual(cancelled.firedAt, [])
  })

  test('a handler may arm itself, and cancel one that is due at the same time', () => {
    const bench = new Bench()
    const periodic = new TestTimer((timer) => bench.wheel.arm(timer, 100))
    bench.wheel.arm(periodic, 100)
    for (let step = 0; step < 50; step++) bench.step(10)
    assert.deepEqual(periodic.firedAt, [100, 200, 300, 400, 500])
    bench.wheel.cancel(periodic)

    const rivals: TestTimer[] = []
    for (let index = 0; index < 2; index++) {
      rivals.push(new TestTimer((timer) => bench.wheel.cancel(rivals.find((it) => it !== timer)!)))
    }
    for (const rival of rivals) bench.wheel.arm(rival, 20)
    bench.step(100)
    assert.equal(
      rivals.reduce((sum, rival) => sum + rival.firedAt.length, 0),
      1,
    )
    assert.equal(bench.wheel.size, 0)
  })

  test('a handler that throws stops neither the others nor the wheel', async () => {
    const bench = new Bench()
    const thrown: unknown[] = []
    const queued = mock.method(globalThis, 'queueMicrotask', (task: () => void) => {
      try {
        task()
      } catch (error) {
        thrown.push(error)
      }
    })
    const failure = new Error('broken handler')
    const timers = [0, 1, 2].map(
      (index) =>
        new TestTimer(() => {
          if (index === 1) throw failure
        }),
    )
    for (const timer of timers) bench.wheel.arm(timer, 10)
    bench.step(10)
    queued.mock.restore()
    assert.deepEqual(
      timers.map((timer) => timer.firedAt.length),
      [1, 1, 1],
    )
    assert.deepEqual(thrown, [failure])
    bench.wheel.arm(timers[0]!, 10)
    bench.step(20)
    assert.equal(timers[0]!.firedAt.length, 2)
  })

  test('close disarms everything', () => {
    const bench = new Bench()
    const timers = [5, 5000, 500_000].map((delay) => {
      const timer = new TestTimer()
      bench.wheel.arm(timer, delay)
      return timer
    })
    bench.wheel.close()
    bench.wheel.arm(timers[0]!, 5)
    bench.step(1_000_000)
    assert.equal(bench.wheel.size, 0)
    assert.deepEqual(
      timers.map((timer) => timer.armed || timer.firedAt.length > 0),
      [false, false, false],
    )
  })
})

describe('timer wheel on the real clock', () => {
  test('fires by itself, never early, and holds no process open', async () => {
    const before = process.getActiveResourcesInfo().filter((it) => it === 'Timeout').length
    const wheel = new TimerWheel(systemClock)
    const fired = new EventTarget()
    const start = systemClock.now()
    const timer = new TestTimer(() => fired.dispatchEvent(new Event('fired')))
    const alive = setInterval(() => {}, 1000)
    wheel.arm(new TestTimer(), 60_000)
    wheel.arm(timer, 25)
    assert.equal(
      process.getActiveResourcesInfo().filter((it) => it === 'Timeout').length,
      before + 1,
      'only the interval of the test itself is counted',
    )
    await once(fired, 'fired')
    clearInterval(alive)
    assert.ok(timer.firedAt[0]! - start >= 25)
    wheel.close()
  })

  test('sets one timeout at a time, and none when it is empty', () => {
    let live = 0
    let set = 0
    let callback = () => {}
    const setMock = mock.method(globalThis, 'setTimeout', (task: () => void) => {
      live++
      set++
      callback = task
      return { unref() {} }
    })
    const clearMock = mock.method(globalThis, 'clearTimeout', () => {
      live--
    })
    try {
      const clock = new ManualClock()
      const wheel = new TimerWheel(clock)
      assert.equal(set, 0)
      const timer = new TestTimer()
      const wake = () => {
        live--
        callback()
      }
      for (let request = 0; request < 100; request++) {
        wheel.arm(timer, 5000)
        assert.equal(live, 1)
        wheel.cancel(timer)
        clock.advance(1)
      }
      assert.equal(set, 1, 'arming and cancelling again and again sets one timeout')
      clock.advance(5000)
      wake()
      assert.equal(live, 0, 'nothing is armed, so nothing wakes up')
      wheel.arm(timer, 5000)
      wheel.arm(new TestTimer(), 50)
      assert.equal(live, 1)
      clock.advance(60)
      wake()
      assert.equal(live, 1)
      clock.advance(5200)
      wake()
      assert.equal(timer.firedAt.length, 1)
      assert.equal(live, 0)
    } finally {
      setMock.mock.restore()
      clearMock.mock.restore()
    }
  })
})

const operation = fc.oneof(
  fc.record({
    kind: fc.constant('arm' as const),
    timer: fc.nat(7),
    ms: fc.oneof(fc.nat(30), fc.nat(1500), fc.nat(400_000)),
  }),
  fc.record({ kind: fc.constant('cancel' as const), timer: fc.nat(7), ms: fc.constant(0) }),
  fc.record({
    kind: fc.constant('advance' as const),
    timer: fc.constant(0),
    ms: fc.oneof(fc.nat(15), fc.nat(600), fc.nat(300_000)),
  }),
)

/** The runtime's timeouts on a manual clock: they fire while time passes, at their time. */
class ManualRuntime {
  readonly clock = new ManualClock()
  #wake: { at: number; task: () => void } | null = null
  readonly #mocks = [
    mock.method(globalThis, 'setTimeout', (task: () => void, ms: number) => {
      assert.equal(this.#wake, null, 'one timeout at a time')
      this.#wake = { at: this.clock.now() + ms, task }
      return { unref() {} }
    }),
    mock.method(globalThis, 'clearTimeout', () => {
      this.#wake = null
    }),
  ]

  pass(ms: number): void {
    const end = this.clock.now() + ms
    while (this.#wake !== null && this.#wake.at <= end) {
      const { at, task } = this.#wake
      this.#wake = null
      this.clock.advance(at - this.clock.now())
      task()
    }
    this.clock.advance(end - this.clock.now())
  }

  restore(): void {
    for (const { mock: mocked } of this.#mocks) mocked.restore()
  }
}

function checkAgainstDeadlines(
  clock: ManualClock,
  wheel: TimerWheel,
  pass: (ms: number) => void,
  operations: { kind: 'arm' | 'cancel' | 'advance'; timer: number; ms: number }[],
): void {
  const expected = new Map<TestTimer, { deadline: number; lateBy: number }>()
  const timers = Array.from(
    { length: 8 },
    () =>
      new TestTimer((timer, now) => {
        const entry = expected.get(timer)
        assert.ok(entry !== undefined, 'fired although it was not armed')
        assert.ok(entry.deadline <= now, `early by ${entry.deadline - now} ms`)
        expected.delete(timer)
      }),
  )
  for (const { kind, timer: index, ms } of operations) {
    const timer = timers[index]!
    if (kind === 'arm') {
      wheel.arm(timer, ms)
      expected.set(timer, { deadline: clock.now() + ms, lateBy: ms <= 1000 ? 10 : 250 })
    } else if (kind === 'cancel') {
      wheel.cancel(timer)
      expected.delete(timer)
    } else {
      pass(ms)
      for (const [late, { deadline, lateBy }] of expected) {
        assert.ok(late.armed)
        assert.ok(clock.now() < deadline + lateBy, 'late by more than one tick')
      }
    }
    assert.equal(wheel.size, expected.size)
  }
}

describe('timer wheel against a list of deadlines', () => {
  const operations = fc.array(operation, { maxLength: 60 })

  test('fires exactly what is due, once, within one tick', () => {
    fc.assert(
      fc.property(operations, fc.nat(1000), (steps, start) => {
        const clock = new ManualClock()
        clock.advance(start)
        const wheel = new TimerWheel(clock, { manual: true })
        const pass = (ms: number) => {
          clock.advance(ms)
          wheel.advance(clock.now())
        }
        checkAgainstDeadlines(clock, wheel, pass, steps)
      }),
    )
  })

  test('wakes up for the short delays before the long ones', () => {
    const runtime = new ManualRuntime()
    try {
      const wheel = new TimerWheel(runtime.clock)
      const timers = [60_000, 500, 50].map((delay) => {
        const timer = new TestTimer()
        wheel.arm(timer, delay)
        return timer
      })
      runtime.pass(70_000)
      assert.deepEqual(
        timers.map((it) => it.firedAt),
        [[60_000], [500], [50]],
      )
    } finally {
      runtime.restore()
    }
  })

  test('wakes up in time by itself', () => {
    const runtime = new ManualRuntime()
    try {
      fc.assert(
        fc.property(operations, fc.nat(1000), (steps, start) => {
          runtime.pass(start)
          const wheel = new TimerWheel(runtime.clock)
          checkAgainstDeadlines(runtime.clock, wheel, (ms) => runtime.pass(ms), steps)
          wheel.close()
        }),
      )
    } finally {
      runtime.restore()
    }
  })
})
