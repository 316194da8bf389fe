// Where a thread's exchanges are counted: the shared metrics.
import type { ErrorCode } from '../errors.ts'
import { RouteMetrics, ServiceMetrics, ThreadMetrics } from '../observability/gateway-metrics.ts'
import { type MetricsBuffers, MetricsWriter } from '../observability/metrics.ts'
import { MirrorMetrics } from '../observability/mirror-metrics.ts'
import { OverloadMetrics } from '../observability/overload-metrics.ts'
import { PolicyMetrics } from '../observability/policy-metrics.ts'
import type { MirrorCounters } from '../proxy/pipeline/mirror/mirror-plan.ts'
import type { ServiceCounters } from '../proxy/upstream/service.ts'

/** The counters of one thread. */
export class PlaneCounters {
  readonly thread: ThreadMetrics
  readonly overload: OverloadMetrics
  readonly #writer: MetricsWriter

  constructor(buffers: MetricsBuffers, row: number) {
    this.#writer = new MetricsWriter(buffers, row)
    this.thread = new ThreadMetrics(this.#writer)
    this.overload = new OverloadMetrics(this.#writer)
  }

  route(id: string): RouteMetrics {
    return new RouteMetrics(this.#writer, id)
  }

  service(name: string): ServiceCounters {
    return new ServiceMetrics(this.#writer, name)
  }

  policy(id: string): PolicyMetrics {
    return new PolicyMetrics(this.#writer, id)
  }

  mirror(routeId: string): MirrorCounters {
    return new MirrorMetrics(this.#writer, routeId)
  }

  error(code: ErrorCode): void {
    this.thread.error(code)
  }
}
