import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { turnSchedule } from './turn-schedule.ts'

function letters(weights: readonly number[]): string {
  return [...turnSchedule(weights)].map((index) => 'abcdefgh'[index]).join('')
}

describe('turn schedule', () => {
  test('equal weights go round once', () => {
    assert.equal(letters([1, 1, 1]), 'abc')
    assert.equal(letters([7, 7, 7, 7]), 'abcd')
  })

  test('a heavy endpoint is spread between the light ones', () => {
    assert.equal(letters([5, 1, 1]), 'abaaaca')
    assert.equal(letters([3, 1]), 'aaba')
    assert.equal(letters([20, 10]), 'aba')
  })

  test('at no point is anyone a whole turn ahead of its share, nor two behind', () => {
    for (const weights of [
      [1, 2, 3, 4],
      [50, ...new Array(50).fill(1)],
      [1000, 999, 1],
      [13, 13, 5, 5, 5, 1],
      [0.5, 1.5, 2.25],
    ]) {
      const total = weights.reduce((sum, weight) => sum + weight, 0)
      const taken = weights.map(() => 0)
      turnSchedule(weights).forEach((index, turn) => {
        taken[index]! += 1
        weights.forEach((weight, other) => {
          const ahead = taken[other]! - ((turn + 1) * weight) / total
          assert.ok(ahead < 1.01 && ahead > -2, `${weights}: ${ahead} at turn ${turn}`)
        })
      })
    }
  })

  test('many odd weights are rounded, and nobody is left out', () => {
    const weights = Array.from({ length: 500 }, (_, index) => 1 + ((index * 7919) % 1000))
    const schedule = turnSchedule(weights)
    assert.ok(schedule.length <= 65_536)
    const taken = weights.map(() => 0)
    for (const index of schedule) taken[index]! += 1
    assert.ok(Math.min(...taken) >= 1)
    const heaviest = weights.indexOf(Math.max(...weights))
    const share = taken[heaviest]! / schedule.length
    const fair = weights[heaviest]! / weights.reduce((sum, weight) => sum + weight, 0)
    assert.ok(Math.abs(share / fair - 1) < 0.25, `${share} instead of ${fair}`)
  })
})
