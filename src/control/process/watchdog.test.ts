import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allocatePulse, Moment, Pulse } from '../../observability/pulse.ts'
import { Watchdog } from './watchdog.ts'

/** Two threads and their watchdog, on a clock of their own. */
class Watched {
  readonly found: string[] = []
  readonly pulses: readonly Pulse[]
  readonly watchdog: Watchdog
  #now = 0

  constructor() {
    const buffer = allocatePulse(2)
    this.pulses = [new Pulse(buffer, 0), new Pulse(buffer, 1)]
    this.watchdog = new Watchdog(buffer, {
      onHeld: (index, { moment, policyBlock, routeBlock }, ms) =>
        this.found.push(`${index} held ${ms}: ${moment} ${policyBlock} ${routeBlock}`),
      onSilent: (index, ms, running) =>
        this.found.push(`${index} silent ${ms}: ${running?.moment ?? 'nobody'}`),
    })
    for (const pulse of this.pulses) pulse.beat()
    this.looks(1)
  }

  /** So many looks, every 250 ms; `beating` threads turn in between. */
  looks(count: number, ...beating: number[]): void {
    for (let look = 0; look < count; look++) {
      for (const index of beating) this.pulses[index]!.beat()
      this.look(250)
    }
  }

  look(afterMs: number): void {
    this.#now += afterMs
    this.watchdog.look(this.#now)
  }
}

test('a thread without a sign of life for five seconds is reported, once', () => {
  const watched = new Watched()
  watched.looks(19, 0)
  assert.deepEqual(watched.found, [])
  watched.looks(1, 0)
  assert.deepEqual(watched.found, ['1 silent 5000: nobody'])
  watched.looks(100, 0)
  assert.equal(watched.found.length, 1)
})

test('one beat, or a new thread, starts the time anew', () => {
  const watched = new Watched()
  watched.looks(19, 0)
  watched.pulses[1]!.beat()
  watched.looks(20, 0)
  watched.watchdog.reset(1)
  watched.looks(100, 0)
  assert.deepEqual(watched.found, [], 'a thread that still starts gives no sign of life')
  watched.pulses[1]!.beat()
  watched.looks(21, 0)
  assert.deepEqual(watched.found, ['1 silent 5000: nobody'])
})

test('time in which the watchdog itself was late counts for nobody', () => {
  const watched = new Watched()
  watched.pulses[0]!.mark(7, 9).enter(Moment.onRequest)
  watched.looks(1)
  for (let look = 0; look < 50; look++) watched.look(600)
  watched.look(3_600_000)
  assert.deepEqual(watched.found, [])
  watched.looks(20, 1)
  assert.deepEqual(watched.found, ['0 silent 5000: onRequest'])
})

test('a hook that took half a second or longer is named when it is over', () => {
  const watched = new Watched()
  const slow = watched.pulses[1]!.mark(7, 9)
  slow.enter(Moment.onRequestBody)
  watched.looks(4, 0)
  assert.deepEqual(watched.found, [])
  slow.leave()
  watched.looks(1, 0, 1)
  assert.deepEqual(watched.found, ['1 held 750: onRequestBody 7 9'])
})

test('hooks that are short are nobody’s business, however often they run', () => {
  const watched = new Watched()
  const quick = watched.pulses[0]!.mark(7, 9)
  for (let look = 0; look < 100; look++) {
    quick.leave()
    quick.enter(Moment.onRequest)
    watched.looks(1, 0, 1)
  }
  assert.deepEqual(watched.found, [])
})

test('all threads together are quiet when none showed a sign of life for a while', () => {
  const watched = new Watched()
  const { watchdog } = watched
  watched.looks(9)
  assert.equal(watchdog.isQuiet, false)
  watched.looks(1)
  assert.equal(watchdog.isQuiet, true)
  // A new thread is no sign of life before it shows one.
  watchdog.reset(0)
  watched.looks(1)
  assert.equal(watchdog.isQuiet, true)
  watched.looks(1, 1)
  assert.equal(watchdog.isQuiet, false)
})
