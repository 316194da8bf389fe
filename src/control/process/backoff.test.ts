import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Backoff } from './backoff.ts'

test('the first restart is immediate, further ones wait longer and longer, up to a bound', () => {
  const backoff = new Backoff({ firstMs: 100, maxMs: 1_000, stableMs: 10_000 })
  const waits = Array.from({ length: 7 }, () => backoff.fail(5))
  assert.deepEqual(waits, [0, 100, 200, 400, 800, 1_000, 1_000])
  assert.equal(backoff.failures, 7)
})

test('who lived long enough starts anew', () => {
  const backoff = new Backoff({ firstMs: 100, maxMs: 1_000, stableMs: 10_000 })
  backoff.fail(5)
  backoff.fail(5)
  assert.equal(backoff.fail(10_000), 0)
  assert.equal(backoff.failures, 1)
})

test('a thousand failures do not overflow the wait', () => {
  const backoff = new Backoff({ firstMs: 100, maxMs: 1_000 })
  for (let failures = 0; failures < 1_000; failures++) backoff.fail(0)
  assert.equal(backoff.fail(0), 1_000)
})
