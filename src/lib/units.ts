// Durations and sizes as people write them in a configuration: `5s`, `100ms`, `2mb`.
import { z } from 'zod'

const MS_PER_UNIT: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

const BYTES_PER_UNIT: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1_024,
  mb: 1_024 ** 2,
  gb: 1_024 ** 3,
}

const DURATION = /^(0|[1-9][0-9]{0,11})(ms|s|m|h|d)$/
const SIZE = /^(0|[1-9][0-9]{0,11})(b|kb|mb|gb)$/

const DURATION_EXPECTED =
  'expected a duration: a whole number with ms, s, m, h or d, like 100ms or 5s'
const SIZE_EXPECTED =
  'expected a size: a whole number with b, kb, mb or gb (1kb is 1024 bytes), like 64kb or 2mb'

/** The least and the greatest value that a setting takes, both inclusive. */
export interface Range {
  readonly min?: number
  readonly max?: number
}

function amount(text: string, pattern: RegExp, units: Readonly<Record<string, number>>): number {
  const match = pattern.exec(text)
  return match === null ? Number.NaN : Number(match[1]) * (units[match[2]!] ?? Number.NaN)
}

/** The milliseconds that `5s`, `100ms`, `1m`, `1h` or `1d` stand for; NaN when it is none of these. */
export function parseDurationMs(text: string): number {
  return amount(text, DURATION, MS_PER_UNIT)
}

/** The bytes that `512b`, `64kb`, `2mb` or `1gb` stand for; NaN when it is none of these. */
export function parseByteSize(text: string): number {
  return amount(text, SIZE, BYTES_PER_UNIT)
}

function shortest(value: number, units: Readonly<Record<string, number>>): string {
  let best = ''
  for (const [unit, size] of Object.entries(units)) {
    if (best === '' || (value >= size && value % size === 0)) best = `${value / size}${unit}`
  }
  return best
}

/** Writes milliseconds the way a configuration does: 5000 is `5s`. */
export function formatDurationMs(ms: number): string {
  return shortest(ms, MS_PER_UNIT)
}

/** Writes bytes the way a configuration does: 65536 is `64kb`. */
export function formatByteSize(bytes: number): string {
  return shortest(bytes, BYTES_PER_UNIT)
}

/** Writes a part of a whole, from 0 to 1, for people: 0.1 is `10 %`. */
export function formatShare(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`
}

/** A schema whose input is a duration like `5s` and whose output is milliseconds; `range` is in milliseconds. */
export function durationMs(range: Range = {}) {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = range
  return z
    .string({ error: DURATION_EXPECTED })
    .regex(DURATION, { error: DURATION_EXPECTED, abort: true })
    .refine((text) => parseDurationMs(text) >= min, {
      error: `must be ${formatDurationMs(min)} or more`,
    })
    .refine((text) => parseDurationMs(text) <= max, {
      error: `must be ${formatDurationMs(max)} or less`,
    })
    .transform(parseDurationMs)
}

/** A schema whose input is a size like `64kb` and whose output is bytes; `range` is in bytes. */
export function byteSize(range: Range = {}) {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = range
  return z
    .string({ error: SIZE_EXPECTED })
    .regex(SIZE, { error: SIZE_EXPECTED, abort: true })
    .refine((text) => parseByteSize(text) >= min, {
      error: `must be ${formatByteSize(min)} or more`,
    })
    .refine((text) => parseByteSize(text) <= max, {
      error: `must be ${formatByteSize(max)} or less`,
    })
    .transform(parseByteSize)
}
