// How busy a thread's event loop is, for the metrics.
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { ThreadMetrics } from '../../observability/gateway-metrics.ts'
import { type MetricsBuffers, MetricsWriter } from '../../observability/metrics.ts'

const INTERVAL_MS = 5_000
/** Often enough to see what delays requests, seldom enough not to keep an idle machine awake. */
const RESOLUTION_MS = 100

/** Measures the calling thread for as long as it lives. */
export function watchEventLoop(buffers: MetricsBuffers, threadIndex: number): void {
  const metrics = new ThreadMetrics(new MetricsWriter(buffers, threadIndex))
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delay.enable()
  let last = performance.eventLoopUtilization()
  const timer = setInterval(() => {
    const now = performance.eventLoopUtilization()
    const delayMs = Math.max(0, delay.percentile(99) / 1e6 - RESOLUTION_MS)
    metrics.eventLoop(delayMs, performance.eventLoopUtilization(now, last).utilization)
    last = now
    delay.reset()
  }, INTERVAL_MS)
  timer.unref()
}
