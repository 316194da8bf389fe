// What a block of metrics consists of: families in the sense of Prometheus, laid out one after the
// other in consecutive cells.
import type { Stay } from './series-directory.ts'

/** A family of series. `values` of `label` have a cell each. */
export interface MetricFamily {
  /** With the unit, in base units: `gatehouse_request_duration_seconds`. */
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  /** A label of its own beside those of the block, and its values in the order of the cells. */
  readonly label?: string
  readonly values?: readonly string[]
  /** Upper bounds of a histogram's buckets; its cells are these, one for what is above, and the sum. */
  readonly bounds?: readonly number[]
  /** Whether series that are zero are left out. */
  readonly isSparse?: boolean
}

/** A family with the place of its first cell in the block. */
export interface PlacedFamily extends MetricFamily {
  readonly offset: number
  readonly cellCount: number
}

/** The layout of all blocks of one kind. */
export interface MetricsShape<Key extends string = string> {
  readonly kind: string
  /** The labels that tell blocks of this kind apart. */
  readonly labels: readonly string[]
  readonly families: readonly PlacedFamily[]
  /** The first cell of each family. */
  readonly offsets: Readonly<Record<Key, number>>
  readonly cellCount: number
  /** Whether blocks in which everything is zero are left out. */
  readonly isSparse: boolean
  /** Whether a block stays for ever, or as long as a configuration names it and room is not short. */
  readonly stay: Stay
}

function cellCountOf(family: MetricFamily): number {
  if (family.bounds !== undefined) return family.bounds.length + 2
  return family.values?.length ?? 1
}

/**
 * Lays families out. Blocks are `configured` where every prepared configuration asks for those that it
 * has: others may count another name before they are used again.
 */
export function metricsShape<Key extends string>(
  kind: string,
  labels: readonly string[],
  families: Readonly<Record<Key, MetricFamily>>,
  isSparse = false,
  stay: Stay = 'lasting',
): MetricsShape<Key> {
  const offsets: Partial<Record<Key, number>> = {}
  const placed: PlacedFamily[] = []
  let offset = 0
  for (const key of Object.keys(families) as Key[]) {
    const cellCount = cellCountOf(families[key])
    placed.push({ ...families[key], offset, cellCount })
    offsets[key] = offset
    offset += cellCount
  }
  return {
    kind,
    labels,
    families: placed,
    offsets: offsets as Record<Key, number>,
    cellCount: offset,
    isSparse,
    stay,
  }
}

/** Upper bounds for the time a request takes, in seconds: from half a millisecond to half a minute. */
export const DURATION_BOUNDS: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
]
const DURATION_BOUNDS_MS = Float64Array.from(DURATION_BOUNDS, (seconds) => seconds * 1000)
const SUM_OFFSET = DURATION_BOUNDS.length + 1

/** Counts a duration in milliseconds in a histogram over DURATION_BOUNDS that begins at `start`. */
export function observeDuration(cells: Float64Array, start: number, durationMs: number): void {
  let bucket = 0
  while (bucket < DURATION_BOUNDS_MS.length && durationMs > DURATION_BOUNDS_MS[bucket]!) bucket++
  cells[start + bucket] = cells[start + bucket]! + 1
  cells[start + SUM_OFFSET] = cells[start + SUM_OFFSET]! + durationMs / 1000
}
