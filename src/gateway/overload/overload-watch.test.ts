import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { ManualClock } from '../../lib/clock.ts'
import type { PolicyLog } from '../../proxy/pipeline/policy.ts'
import { OverloadWatch } from './overload-watch.ts'

const SETTINGS = {
  loopDelayMs: 100,
  memoryShare: 0.8,
  memoryBytesMax: 1000,
  heapShare: 0.8,
  connectionsShare: 0.5,
}
const [LOW, NORMAL, HIGH, CRITICAL] = [0, 1, 2, 3]

class Bench {
  readonly clock = new ManualClock()
  readonly readings = { memory: 0, heap: 0, connections: 0 }
  readonly lines: string[] = []
  readonly refused = [0, 0, 0, 0]
  looks = 0
  readonly watch: OverloadWatch
  readonly #timers: TestContext['mock']['timers']

  constructor(t: TestContext) {
    this.#timers = t.mock.timers
    this.#timers.enable({ apis: ['setTimeout'] })
    const line = (fields: object, text: string): void => {
      this.lines.push(`${text} ${JSON.stringify(fields)}`)
    }
    const log = { info: line, warn: line, error: line, line: () => {} } as unknown as PolicyLog
    this.watch = new OverloadWatch({
      clock: this.clock,
      log,
      counters: { level: () => {}, refused: (importance) => this.refused[importance]!++ },
      readings: {
        memoryBytes: () => {
          this.looks++
          return this.readings.memory
        },
        heapShare: () => this.readings.heap,
        connections: () => this.readings.connections,
      },
    })
    this.watch.configure(SETTINGS, 100)
    t.after(() => this.watch.close())
  }

  /** What a request of this importance gets, as the pipeline asks. */
  ask(importance: number): string | null {
    const { watch } = this
    return importance < watch.asksBelow ? watch.refusal(importance) : null
  }

  /** Time passes; the loop turns `lateMs` later than it should. */
  pass(ms: number, lateMs = 0): void {
    for (let passed = 0; passed < ms; passed += 100) {
      this.clock.advance(100 + lateMs)
      this.#timers.tick(100)
    }
  }

  /** The same with a request between all looks. */
  work(ms: number, lateMs = 0): void {
    for (let passed = 0; passed < ms; passed += 100) {
      this.ask(CRITICAL!)
      this.pass(100, lateMs)
    }
  }
}

describe('an overloaded gateway', () => {
  test('refuses the least important first, more as it gets worse, and never the critical', (t) => {
    const bench = new Bench(t)
    for (const [memory, refused] of [
      [700, []],
      [800, [LOW]],
      [900, [LOW, NORMAL]],
      [990, [LOW, NORMAL, HIGH]],
      [2000, [LOW, NORMAL, HIGH]],
    ] as const) {
      bench.readings.memory = memory
      bench.work(200)
      const asked = [LOW!, NORMAL!, HIGH!, CRITICAL!].filter((level) => bench.ask(level) !== null)
      assert.deepEqual(asked, refused)
      if (refused.length > 0) assert.equal(bench.ask(LOW!), 'gateway_overloaded')
    }
    assert.equal(bench.refused[CRITICAL!], 0)
    assert.equal(bench.lines.length, 3, 'one line for each change')
    assert.match(bench.lines[0]!, /requests of low importance.*"measure":"memory","value":0.8/)
  })

  test('sees a loop that is late all the time, and not one long pause', (t) => {
    const bench = new Bench(t)
    bench.work(300)
    bench.work(100, 5000)
    bench.work(100, 300)
    assert.equal(bench.ask(LOW!), null)
    bench.work(100, 250)
    assert.equal(bench.ask(NORMAL!), 'gateway_overloaded')
    assert.equal(bench.ask(HIGH!), null)
    bench.work(2500)
    assert.equal(bench.ask(LOW!), null)
    assert.match(bench.lines.at(-1)!, /no longer overloaded/)
  })

  test('looks at the heap, and at connections beside that of the request', (t) => {
    const bench = new Bench(t)
    bench.readings.connections = 50
    bench.work(200)
    assert.equal(bench.ask(LOW!), null)
    bench.readings.connections = 51
    bench.work(200)
    // That ends the connection as well.
    assert.equal(bench.ask(LOW!), 'overloaded')
    // Idle connections by the thousand are no reason not to serve the others.
    bench.readings.connections = 100
    bench.work(200)
    assert.equal(bench.ask(NORMAL!), null)
    bench.readings.connections = 0
    bench.work(1500)
    bench.readings.heap = 0.8
    bench.work(200)
    assert.equal(bench.ask(LOW!), 'gateway_overloaded')
  })
})

describe('a watch', () => {
  test('sleeps while no request comes, and the next one finds what holds now', (t) => {
    const bench = new Bench(t)
    bench.work(500)
    bench.pass(500)
    const { looks } = bench
    bench.pass(60_000)
    assert.equal(bench.looks, looks)
    bench.readings.memory = 950
    assert.equal(bench.ask(NORMAL!), 'gateway_overloaded')
  })

  test('stays awake without requests until nothing is refused any more', (t) => {
    const bench = new Bench(t)
    bench.readings.memory = 990
    bench.ask(LOW!)
    bench.readings.memory = 0
    bench.pass(5000)
    assert.match(bench.lines.at(-1)!, /no longer overloaded/)
    const { looks } = bench
    bench.pass(5000)
    assert.equal(bench.looks, looks)
  })

  test('looks ten times a second at most, however many requests come', (t) => {
    const bench = new Bench(t)
    for (let i = 0; i < 1000; i++) bench.ask(LOW!)
    assert.equal(bench.looks, 1)
  })

  test('that is turned off refuses nothing', (t) => {
    const bench = new Bench(t)
    bench.readings.memory = 2000
    bench.work(200)
    assert.notEqual(bench.ask(LOW!), null)
    bench.watch.configure(null, 100)
    assert.equal(bench.ask(LOW!), null)
    const { looks } = bench
    bench.work(1000)
    assert.equal(bench.looks, looks)
  })
})
