import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { OverloadLevel } from './overload-level.ts'

const DELAY = [100, 200, 400] as const
const SHARE = [0.8, 0.9, 0.98] as const

function watched() {
  const level = new OverloadLevel()
  level.configure([DELAY, SHARE, SHARE, SHARE])
  let now = 0
  /** Looks `seconds` later. */
  const look = (delayMs: number, memory = 0, seconds = 0.1) => {
    now += seconds * 1000
    return level.update([delayMs, memory, 0, 0], now)
  }
  return { level, look }
}

describe('the level of overload', () => {
  test('rises at once to what was reached, and says which measure did that', () => {
    const { level, look } = watched()
    assert.equal(look(99), null)
    assert.deepEqual(look(100), { level: 1, measure: 'event loop delay', value: 100 })
    assert.deepEqual(look(120, 0.98), { level: 3, measure: 'memory', value: 0.98 })
    assert.equal(level.measure, 'memory')
    assert.equal(look(1000, 0.99), null)
  })

  test('falls by one a second, once the measure is well below what began it', () => {
    const { look } = watched()
    look(500)
    assert.equal(look(0, 0, 0.5), null)
    assert.equal(look(0, 0, 0.5)?.level, 2)
    assert.equal(look(0, 0, 0.9), null)
    assert.equal(look(0, 0, 0.1)?.level, 1)
    assert.equal(look(95, 0, 2), null)
    assert.equal(look(89, 0, 0.1)?.level, 0)
    assert.equal(look(89, 0, 5), null)
  })

  test('does not flicker where a measure moves about a threshold', () => {
    const { look } = watched()
    const changes = Array.from({ length: 50 }, (_, i) => look(i % 2 === 0 ? 105 : 95))
    assert.equal(changes.filter((change) => change !== null).length, 1)
  })
})
