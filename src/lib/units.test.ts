import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { z } from 'zod'
import { byteSize, durationMs, formatByteSize, formatDurationMs } from './units.ts'

describe('a duration', () => {
  for (const [text, ms] of [
    ['100ms', 100],
    ['5s', 5_000],
    ['1m', 60_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
    ['0s', 0],
  ] as const) {
    test(`of ${text} is ${ms} ms`, () => assert.equal(durationMs().parse(text), ms))
  }

  for (const wrong of ['5', '5 s', '-1s', '1.5s', '05s', '5S', '5sec', '', 's', '1e3ms', 5]) {
    test(`cannot be ${JSON.stringify(wrong)}, and the message names what can`, () => {
      const issues = durationMs().safeParse(wrong).error?.issues
      assert.equal(issues?.length, 1)
      assert.match(issues[0]!.message, /whole number with ms, s, m, h or d, like 100ms or 5s/)
    })
  }

  test('may be bounded, and the message names the bound in the same unit', () => {
    const schema = durationMs({ min: 1_000, max: 3_600_000 })
    assert.equal(schema.safeParse('999ms').error?.issues[0]?.message, 'must be 1s or more')
    assert.equal(schema.safeParse('61m').error?.issues[0]?.message, 'must be 1h or less')
    assert.equal(schema.parse('60m'), 3_600_000)
  })
})

describe('a size', () => {
  for (const [text, bytes] of [
    ['512b', 512],
    ['64kb', 65_536],
    ['2mb', 2_097_152],
    ['1gb', 1_073_741_824],
  ] as const) {
    test(`of ${text} is ${bytes} bytes`, () => assert.equal(byteSize().parse(text), bytes))
  }

  for (const wrong of ['64', '64 kb', '64KB', '64kib', '1.5mb', '-1kb', 64]) {
    test(`cannot be ${JSON.stringify(wrong)}, and the message names what can`, () => {
      const issues = byteSize().safeParse(wrong).error?.issues
      assert.equal(issues?.length, 1)
      assert.match(issues[0]!.message, /b, kb, mb or gb \(1kb is 1024 bytes\), like 64kb or 2mb/)
    })
  }
})

test('units are written back as a person would', () => {
  assert.deepEqual([0, 1, 1_500, 5_000, 90_000, 86_400_000].map(formatDurationMs), [
    '0ms',
    '1ms',
    '1500ms',
    '5s',
    '90s',
    '1d',
  ])
  assert.deepEqual([0, 1_000, 65_536, 2_097_152].map(formatByteSize), [
    '0b',
    '1000b',
    '64kb',
    '2mb',
  ])
})

test('an editor is told the pattern, the default and the description', () => {
  const schema = z.strictObject({
    wait: durationMs().prefault('5s').describe('How long to wait.'),
    room: byteSize().optional().describe('How much.'),
  })
  const json = z.toJSONSchema(schema, { io: 'input' }) as { properties: Record<string, object> }
  assert.deepEqual(json.properties.wait, {
    type: 'string',
    pattern: '^(0|[1-9][0-9]{0,11})(ms|s|m|h|d)$',
    default: '5s',
    description: 'How long to wait.',
  })
  assert.equal('pattern' in json.properties.room!, true)
  assert.deepEqual(schema.parse({}), { wait: 5_000 })
})
