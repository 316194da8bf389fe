import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ManualClock } from '../../lib/clock.ts'
import { LatencySketch } from './latency-sketch.ts'

describe('a percentile of latencies', () => {
  test('is unknown before there are a hundred', () => {
    const sketch = new LatencySketch(0.95, new ManualClock())
    for (let i = 0; i < 99; i++) {
      sketch.record(10)
      assert.ok(sketch.valueMs() < 0)
    }
    for (let i = 0; i < 33; i++) sketch.record(10)
    assert.ok(Math.abs(sketch.valueMs() - 10) < 1)
  })

  test('is correct to a tenth, whatever the size of the numbers', () => {
    for (const scale of [1, 10, 100]) {
      for (const quantile of [0.5, 0.9, 0.95, 0.99]) {
        const sketch = new LatencySketch(quantile, new ManualClock())
        for (let i = 1; i <= 1000; i++) sketch.record((((i * 7919) % 1000) + 1) * scale)
        const exact = quantile * 1000 * scale
        const ratio = sketch.valueMs() / exact
        assert.ok(ratio > 0.9 && ratio < 1.1, `${quantile} of ${scale}: ${ratio}`)
      }
    }
  })

  test('takes whatever it is given', () => {
    const sketch = new LatencySketch(0.99, new ManualClock())
    for (let i = 0; i < 200; i++) sketch.record(i % 2 === 0 ? 0 : 1e9)
    assert.ok(sketch.valueMs() > 100_000 && sketch.valueMs() < 1e9)
  })

  test('follows a change within a few thousand answers', () => {
    const sketch = new LatencySketch(0.9, new ManualClock())
    for (let i = 0; i < 50_000; i++) sketch.record(10)
    for (let i = 0; i < 3000; i++) sketch.record(100)
    assert.ok(sketch.valueMs() > 90, `${sketch.valueMs()}`)
    for (let i = 0; i < 10_000; i++) sketch.record(10)
    assert.ok(sketch.valueMs() < 12, `${sketch.valueMs()}`)
  })

  test('is forgotten when nobody asks for minutes', () => {
    const clock = new ManualClock()
    const sketch = new LatencySketch(0.9, clock)
    for (let i = 0; i < 500; i++) sketch.record(10)
    assert.ok(sketch.valueMs() > 0)
    for (let minute = 0; minute < 3; minute++) {
      clock.advance(60_000)
      sketch.valueMs()
    }
    assert.ok(sketch.valueMs() < 0)
  })
})
