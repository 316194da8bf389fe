import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Calendar, isTimeZone, type PeriodKind } from './calendar.ts'

/** The period that holds an instant, as instants in UTC. */
function period(kind: PeriodKind, timeZone: string, at: string): string {
  const calendar = new Calendar(kind, timeZone)
  calendar.moveTo(Date.parse(at))
  const text = (ms: number) => new Date(ms).toISOString().slice(0, 16)
  return `${text(calendar.startMs)} ${text(calendar.endMs)}`
}

describe('the period', () => {
  for (const [kind, zone, at, expected] of [
    ['hour', 'UTC', '2026-02-03T04:05:06.789Z', '2026-02-03T04:00 2026-02-03T05:00'],
    ['hour', 'Asia/Kathmandu', '2026-02-03T04:05:00Z', '2026-02-03T03:15 2026-02-03T04:15'],
    ['day', 'UTC', '2026-02-28T23:59:59.999Z', '2026-02-28T00:00 2026-03-01T00:00'],
    ['day', 'UTC', '2026-03-01T00:00:00Z', '2026-03-01T00:00 2026-03-02T00:00'],
    ['day', 'America/Los_Angeles', '2026-07-01T05:00:00Z', '2026-06-30T07:00 2026-07-01T07:00'],
    // Clocks go forward, and back.
    ['day', 'Europe/Berlin', '2026-03-29T12:00:00Z', '2026-03-28T23:00 2026-03-29T22:00'],
    ['day', 'Europe/Berlin', '2026-10-25T12:00:00Z', '2026-10-24T22:00 2026-10-25T23:00'],
    // Clocks skipped midnight.
    ['day', 'America/Sao_Paulo', '2018-11-04T12:00:00Z', '2018-11-04T03:00 2018-11-05T02:00'],
    ['day', 'America/Sao_Paulo', '2018-11-03T12:00:00Z', '2018-11-03T03:00 2018-11-04T03:00'],
    // Midnight came twice.
    ['day', 'America/Havana', '2024-11-03T12:00:00Z', '2024-11-03T04:00 2024-11-04T05:00'],
    ['month', 'UTC', '2024-02-29T12:00:00Z', '2024-02-01T00:00 2024-03-01T00:00'],
    ['month', 'Europe/Berlin', '2026-12-31T22:59:59Z', '2026-11-30T23:00 2026-12-31T23:00'],
    ['month', 'Europe/Berlin', '2026-12-31T23:00:00Z', '2026-12-31T23:00 2027-01-31T23:00'],
    ['month', 'Pacific/Kiritimati', '2026-01-31T10:00:00Z', '2026-01-31T10:00 2026-02-28T10:00'],
  ] as const) {
    test(`${kind} in ${zone} at ${at}`, () => assert.equal(period(kind, zone, at), expected))
  }

  test('changes when its end has come, or when clocks are set back before it', () => {
    const calendar = new Calendar('hour', 'UTC')
    const at = Date.parse('2026-02-03T04:05:00Z')
    assert.equal(calendar.moveTo(at), true)
    assert.equal(calendar.moveTo(calendar.endMs - 1), false)
    assert.equal(calendar.moveTo(calendar.endMs), true)
    assert.equal(calendar.moveTo(at), true)
  })
})

test('only names of time zones are names of time zones', () => {
  assert.equal(isTimeZone('Europe/Berlin'), true)
  assert.equal(isTimeZone('Berlin'), false)
  assert.equal(isTimeZone(''), false)
})
