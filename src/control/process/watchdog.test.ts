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
