// Says in words, and counts, which policies hold the event loops of threads.
import { nameOfBlock } from '../../observability/gateway-metrics.ts'
import type { MetricsReader, MetricsWriter } from '../../observability/metrics.ts'
import { PolicyMetrics } from '../../observability/policy-metrics.ts'
import type { Running } from '../../observability/pulse.ts'

/** The least time between two lines about policies that gave the loop back, in milliseconds. */
const REPORT_INTERVAL_MS = 10_000

/** Knows policies and routes by the places of their metrics. */
export class Suspects {
  readonly #reader: MetricsReader
  readonly #writer: MetricsWriter
  readonly #report: (line: string) => void
  #reportedAt = Number.NEGATIVE_INFINITY
  #unreported = 0

  constructor(reader: MetricsReader, writer: MetricsWriter, report: (line: string) => void) {
    this.#reader = reader
    this.#writer = writer
    this.#report = report
  }

  /** A policy had a thread for so long, and gave it back at `now`. */
  gaveBack(threadIndex: number, running: Running, heldMs: number, now: number): void {
    const who = this.accuse(running)
    if (now - this.#reportedAt < REPORT_INTERVAL_MS) {
      this.#unreported++
      return
    }
    const others = this.#unreported === 0 ? '' : ` (and ${this.#unreported} more times before)`
    this.#reportedAt = now
    this.#unreported = 0
    this.#report(
      `thread ${threadIndex} was held for at least ${seconds(heldMs)} by ${who}${others}`,
    )
  }

  /** Counts it; returns `policy "slow" (route "orders", onRequest)`. */
  accuse({ policyBlock, routeBlock, moment }: Running): string {
    const policy = nameOfBlock(this.#reader, 'policy', policyBlock)
    const route = nameOfBlock(this.#reader, 'route', routeBlock)
    new PolicyMetrics(this.#writer, policy).loopHeld()
    return `policy "${policy}" (route "${route}", ${moment})`
  }
}

/** `1.3 s`. */
export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
