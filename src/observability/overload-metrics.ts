// What is counted of too much load: at a service that bounds its requests in flight, and at the gateway.
import type { MetricsWriter } from './metrics.ts'
import { Block } from './metrics-block.ts'
import { metricsShape } from './metrics-shape.ts'

/** Why a request got no place at its service. */
const REFUSALS = ['full', 'displaced', 'late'] as const
/** From the first that are refused to the last. */
const IMPORTANCES = ['low', 'normal', 'high', 'critical'] as const

export const CONCURRENCY = metricsShape(
  'concurrency',
  ['service'],
  {
    awaited: {
      name: 'gatehouse_upstream_concurrency_awaited_total',
      help: 'Requests that had to wait because as many as the limit says were in flight.',
      type: 'counter',
    },
    refused: {
      name: 'gatehouse_upstream_concurrency_refused_total',
      help: 'Requests refused because of the limit: the queue was `full`, a more important one `displaced` it there, or its turn came too `late`.',
      type: 'counter',
      label: 'reason',
      values: REFUSALS,
    },
  },
  true,
  'configured',
)

/** The queue in front of one service. */
export class ConcurrencyMetrics extends Block {
  constructor(writer: MetricsWriter, service: string) {
    super(writer, CONCURRENCY, [service])
  }

  /** A request waits for a place. */
  awaited(): void {
    this.add(CONCURRENCY.offsets.awaited, 1)
  }

  /** It got none. */
  refused(refusal: (typeof REFUSALS)[number]): void {
    this.add(CONCURRENCY.offsets.refused + REFUSALS.indexOf(refusal), 1)
  }
}

export const OVERLOAD = metricsShape('overload', ['thread'], {
  level: {
    name: 'gatehouse_overload_level',
    help: 'Which requests are refused because the gateway has too much to do, by thread: 0 none, 1 those of low importance, 2 also of normal, 3 also of high.',
    type: 'gauge',
  },
  refused: {
    name: 'gatehouse_overload_refused_total',
    help: 'Requests refused because the gateway has too much to do, by thread and importance.',
    type: 'counter',
    label: 'importance',
    values: IMPORTANCES,
    isSparse: true,
  },
})

/** What one thread refuses. */
export class OverloadMetrics extends Block {
  constructor(writer: MetricsWriter) {
    super(writer, OVERLOAD, [String(writer.row)])
  }

  /** From now on requests that matter less than `level` are refused. */
  level(level: number): void {
    this.cells[this.start + OVERLOAD.offsets.level] = level
  }

  refused(importance: number): void {
    this.add(OVERLOAD.offsets.refused + importance, 1)
  }
}
