// Adaptive limits find out what a service can work on at once, and follow it when that changes.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ConcurrencySettings } from '../../src/proxy/upstream/concurrency/concurrency-gate.ts'
import { type CapacitySecond, simulateCapacity } from './service-capacity.ts'

const SEEDS = [1, 2026]
const WORK_MS = 100
const QUEUE = { queueMax: 100, queueTimeoutMs: 1000 }

function adaptive(algorithm: 'gradient' | 'aimd'): ConcurrencySettings {
  const bounds = { min: 4, max: 1000, tolerance: 1.5, latencyMs: 3 * WORK_MS }
  return { limit: null, adaptive: { algorithm, ...bounds }, ...QUEUE }
}

function mean(seconds: readonly CapacitySecond[], of: (second: CapacitySecond) => number): number {
  return seconds.reduce((sum, second) => sum + of(second), 0) / seconds.length
}

/** Asserts that the service has all the work it can do, and that little of it waits inside. */
function assertFits(seconds: readonly CapacitySecond[], workers: number, workMs: number): void {
  const limit = mean(seconds, (second) => second.limit)
  assert.ok(limit > workers * 0.8 && limit < workers * 2.6, `a limit of ${limit} for ${workers}`)
  const rate = mean(seconds, ({ answered }) => answered)
  const capacity = (workers * 1000) / workMs
  assert.ok(rate > capacity * 0.9, `${rate} answers a second of ${capacity}`)
  const answered = seconds.reduce((sum, second) => sum + second.answered, 0)
  const latencyMs = seconds.reduce((sum, second) => sum + second.latencyMs, 0) / answered
  assert.ok(latencyMs < workMs * 2.6, `${latencyMs} ms for what takes ${workMs}`)
}

for (const algorithm of ['gradient', 'aimd'] as const) {
  describe(`a limit found by ${algorithm}`, () => {
    for (const workers of [10, 60]) {
      test(`fits a service that works on ${workers} at once, under twice that load`, () => {
        for (const seed of SEEDS) {
          const seconds = simulateCapacity(
            {
              seconds: 60,
              requestsPerSecond: () => (2 * workers * 1000) / WORK_MS,
              workers: () => workers,
              workMs: () => WORK_MS,
              spread: 0.5,
              settings: adaptive(algorithm),
            },
            seed,
          )
          assertFits(seconds.slice(35), workers, WORK_MS)
        }
      })
    }

    test('follows a service of which half is gone, and that comes back', () => {
      for (const seed of SEEDS) {
        const seconds = simulateCapacity(
          {
            seconds: 150,
            requestsPerSecond: () => 600,
            workers: (nowMs) => (nowMs >= 50_000 && nowMs < 100_000 ? 20 : 40),
            workMs: () => WORK_MS,
            spread: 0.5,
            settings: adaptive(algorithm),
          },
          seed,
        )
        assertFits(seconds.slice(35, 50), 40, WORK_MS)
        assertFits(seconds.slice(75, 100), 20, WORK_MS)
        assertFits(seconds.slice(125), 40, WORK_MS)
      }
    })

    test('refuses nobody while the service has little to do', () => {
      const seconds = simulateCapacity(
        {
          seconds: 30,
          requestsPerSecond: () => 150,
          workers: () => 40,
          workMs: () => WORK_MS,
          spread: 1,
          settings: adaptive(algorithm),
        },
        1,
      )
      const refused = seconds.reduce((sum, second) => sum + second.refused, 0)
      assert.equal(refused, 0)
    })
  })
}

test('the gradient learns anew how long a service takes that became three times as slow', () => {
  for (const seed of SEEDS) {
    const seconds = simulateCapacity(
      {
        seconds: 120,
        requestsPerSecond: () => 600,
        workers: () => 40,
        workMs: (nowMs) => (nowMs < 50_000 ? WORK_MS : 3 * WORK_MS),
        spread: 0.5,
        settings: adaptive('gradient'),
      },
      seed,
    )
    assertFits(seconds.slice(90), 40, 3 * WORK_MS)
  }
})

test('a fixed limit is never exceeded', () => {
  const settings = { limit: 30, adaptive: null, ...QUEUE }
  const seconds = simulateCapacity(
    {
      seconds: 10,
      requestsPerSecond: () => 1000,
      workers: () => 50,
      workMs: () => WORK_MS,
      spread: 1,
      settings,
    },
    3,
  )
  assert.deepEqual([...new Set(seconds.map(({ inFlightMax }) => inFlightMax))], [30])
})
