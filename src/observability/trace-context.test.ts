import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { formatTraceparent, newSpanId, newTraceId, parseTraceparent } from './trace-context.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'

describe('traceparent', () => {
  for (const [flags, isSampled] of [
    ['01', true],
    ['00', false],
    ['03', true],
    ['fe', false],
    ['0b', true],
  ] as const) {
    test(`with the flags ${flags} is ${isSampled ? '' : 'not '}sampled`, () => {
      assert.deepEqual(parseTraceparent(`00-${TRACE}-${SPAN}-${flags}`), {
        traceId: TRACE,
        parentId: SPAN,
        isSampled,
      })
    })
  }

  test('of a later version is read as far as it is known', () => {
    assert.equal(parseTraceparent(`01-${TRACE}-${SPAN}-01-more`)?.traceId, TRACE)
    assert.equal(parseTraceparent(`01-${TRACE}-${SPAN}-01`)?.traceId, TRACE)
    assert.equal(parseTraceparent(`01-${TRACE}-${SPAN}-01more`), null)
  })

  for (const value of [
    null,
    '',
    `00-${TRACE}-${SPAN}`,
    `00-${TRACE}-${SPAN}-01-`,
    `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`,
    `ff-${TRACE}-${SPAN}-01`,
    `0g-${TRACE}-${SPAN}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE}-${SPAN}-0x`,
    `00_${TRACE}-${SPAN}-01`,
  ]) {
    test(`${JSON.stringify(value)} begins a new trace`, () => {
      assert.equal(parseTraceparent(value), null)
    })
  }

  test('is written as it is read', () => {
    const traceId = newTraceId()
    const parentId = newSpanId()
    for (const isSampled of [true, false]) {
      const value = formatTraceparent(traceId, parentId, isSampled)
      assert.deepEqual(parseTraceparent(value), { traceId, parentId, isSampled })
    }
  })
})
