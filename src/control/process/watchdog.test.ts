import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Watchdog } from './watchdog.ts'

test('a thread without a sign of life at ten looks in a row is reported, once', () => {
  const silent: number[] = []
  const watchdog = new Watchdog(2, (index) => silent.push(index))
  const looks = (count: number) => {
    for (let look = 0; look < count; look++) {
      Atomics.add(watchdog.beats, 0, 1)
      watchdog.look()
    }
  }
  looks(9)
  assert.deepEqual(silent, [])
  looks(1)
  assert.deepEqual(silent, [1])
  looks(9)
  assert.deepEqual(silent, [1])
})

test('one beat, or a new thread, starts the count anew', () => {
  const silent: number[] = []
  const watchdog = new Watchdog(1, (index) => silent.push(index))
  const looks = (count: number) => {
    for (let look = 0; look < count; look++) watchdog.look()
  }
  looks(9)
  Atomics.add(watchdog.beats, 0, 1)
  looks(9)
  watchdog.reset(0)
  looks(9)
  assert.deepEqual(silent, [])
})

test('all threads together are quiet when none showed a sign of life for a while', () => {
  const watchdog = new Watchdog(2, () => {})
  const looks = (count: number) => {
    for (let look = 0; look < count; look++) watchdog.look()
  }
  looks(4)
  assert.equal(watchdog.isQuiet, false)
  looks(2)
  assert.equal(watchdog.isQuiet, true)
  // A new thread is no sign of life before it shows one.
  watchdog.reset(0)
  looks(1)
  assert.equal(watchdog.isQuiet, true)
  Atomics.add(watchdog.beats, 1, 1)
  looks(1)
  assert.equal(watchdog.isQuiet, false)
})
