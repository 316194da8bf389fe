// GET /metrics: every number of the gateway, for Prometheus.
import type { AdminResource } from './resource.ts'

export const metricsResource: AdminResource = {
  path: '/metrics',
  async answer(view) {
    const body = await view.metrics()
    return { status: 200, contentType: 'text/plain; version=0.0.4; charset=utf-8', body }
  },
}
