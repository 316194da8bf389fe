// What mirroring counts: copies that were sent or left out, and how their answers compare.
import type { MetricsWriter } from './metrics.ts'
import { type MetricsShape, metricsShape } from './metrics-shape.ts'

/** What became of a copy that was sent. `dropped`: the gateway ended, or no longer mirrors the route. */
const RESULTS = ['answered', 'failed', 'dropped'] as const
/** Why a request that was to be copied was not. `incomplete`: it never went to its service as a whole. */
const SKIPS = [
  'too_large',
  'busy',
  'memory',
  'incomplete',
  'upgrade',
  'no_endpoint',
  'circuit_open',
] as const
const COMPARISONS = ['same', 'different_status', 'different_header', 'different_body'] as const
/** Why answers were not compared. `no_answer` is the service's own, `no_mirrored_answer` the other one's. */
const NOT_COMPARED = [
  'no_answer',
  'no_mirrored_answer',
  'too_large',
  'memory',
  'encoding',
  'not_json',
] as const

export type MirrorResult = (typeof RESULTS)[number]
export type MirrorSkip = (typeof SKIPS)[number]
export type MirrorComparison = (typeof COMPARISONS)[number]
export type NotCompared = (typeof NOT_COMPARED)[number]

export const MIRROR: MetricsShape<'requests' | 'skipped' | 'compared' | 'notCompared'> =
  metricsShape(
    'mirror',
    ['route'],
    {
      requests: {
        name: 'gatehouse_mirror_requests_total',
        help: 'Copies of requests sent to a mirror, by result; `dropped`: given up with the gateway or the route.',
        type: 'counter',
        label: 'result',
        values: RESULTS,
      },
      skipped: {
        name: 'gatehouse_mirror_skipped_total',
        help: 'Requests that were to be copied to a mirror and were not, by reason.',
        type: 'counter',
        label: 'reason',
        values: SKIPS,
      },
      compared: {
        name: 'gatehouse_mirror_compared_total',
        help: 'Answers compared with those of a mirror, by the first difference.',
        type: 'counter',
        label: 'result',
        values: COMPARISONS,
      },
      notCompared: {
        name: 'gatehouse_mirror_not_compared_total',
        help: 'Answers that could not be compared with those of a mirror, by reason.',
        type: 'counter',
        label: 'reason',
        values: NOT_COMPARED,
      },
    },
    true,
    'configured',
  )

/** What the mirror of one route does. */
export class MirrorMetrics {
  readonly #cells: Float64Array
  readonly #start: number

  constructor(writer: MetricsWriter, route: string) {
    const { cells, start } = writer.block(MIRROR, [route])
    this.#cells = cells
    this.#start = start
  }

  ended(result: MirrorResult): void {
    this.#count(MIRROR.offsets.requests + RESULTS.indexOf(result))
  }

  skipped(reason: MirrorSkip): void {
    this.#count(MIRROR.offsets.skipped + SKIPS.indexOf(reason))
  }

  compared(result: MirrorComparison): void {
    this.#count(MIRROR.offsets.compared + COMPARISONS.indexOf(result))
  }

  notCompared(reason: NotCompared): void {
    this.#count(MIRROR.offsets.notCompared + NOT_COMPARED.indexOf(reason))
  }

  #count(offset: number): void {
    const index = this.#start + offset
    this.#cells[index] = this.#cells[index]! + 1
  }
}
