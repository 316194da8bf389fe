// What Gatehouse counts. Every class writes the cells of one block; labels hold names out of the
// configuration or the catalogue only, never anything a client sent.
import { ERRORS, type ErrorCode } from '../errors.ts'
import type { MetricsReader, MetricsWriter } from './metrics.ts'
import { Block } from './metrics-block.ts'
import {
  DURATION_BOUNDS,
  type MetricsShape,
  metricsShape,
  observeDuration,
} from './metrics-shape.ts'
import { MIRROR } from './mirror-metrics.ts'
import { CONCURRENCY, ConcurrencyMetrics, OVERLOAD } from './overload-metrics.ts'
import { POLICY } from './policy-metrics.ts'

/** By the first digit of the status; `none` when there was no answer. */
const STATUS_CLASSES = ['none', '1xx', '2xx', '3xx', '4xx', '5xx']
const SWITCHING_PROTOCOLS = 101

function statusClass(status: number): number {
  return status >= 100 && status < 600 ? (status / 100) | 0 : 0
}

const CODES = Object.keys(ERRORS) as ErrorCode[]
const CODE_INDEX = Object.fromEntries(CODES.map((code, index) => [code, index])) as Record<
  ErrorCode,
  number
>

const ROUTE = metricsShape(
  'route',
  ['route'],
  {
    requests: {
      name: 'gatehouse_requests_total',
      help: 'Requests, by route and class of the status that the client got.',
      type: 'counter',
      label: 'status',
      values: STATUS_CLASSES,
    },
    duration: {
      name: 'gatehouse_request_duration_seconds',
      help: 'Time from the request head to the end of the response, without upgraded connections.',
      type: 'histogram',
      bounds: DURATION_BOUNDS,
    },
    requestBytes: {
      name: 'gatehouse_request_body_bytes_total',
      help: 'Bytes of request bodies received.',
      type: 'counter',
    },
    responseBytes: {
      name: 'gatehouse_response_body_bytes_total',
      help: 'Bytes of response bodies sent.',
      type: 'counter',
    },
  },
  true,
  'configured',
)

/** What one route answers. */
export class RouteMetrics extends Block {
  constructor(writer: MetricsWriter, route: string) {
    super(writer, ROUTE, [route])
  }

  /** An exchange is over; `status` is 0 when the client got no answer. */
  finish(status: number, durationMs: number, requestBytes: number, responseBytes: number): void {
    this.add(ROUTE.offsets.requests + statusClass(status), 1)
    if (status !== SWITCHING_PROTOCOLS) {
      observeDuration(this.cells, this.start + ROUTE.offsets.duration, durationMs)
    }
    if (requestBytes > 0) this.add(ROUTE.offsets.requestBytes, requestBytes)
    if (responseBytes > 0) this.add(ROUTE.offsets.responseBytes, responseBytes)
  }
}

const SERVICE = metricsShape(
  'service',
  ['service'],
  {
    attempts: {
      name: 'gatehouse_upstream_attempts_total',
      help: 'Attempts to have a request answered by the service, by class of its status; `none`: no answer.',
      type: 'counter',
      label: 'status',
      values: STATUS_CLASSES,
    },
    latency: {
      name: 'gatehouse_upstream_latency_seconds',
      help: "Time from sending a request to the head of the service's answer, or to the failure.",
      type: 'histogram',
      bounds: DURATION_BOUNDS,
    },
    errors: {
      name: 'gatehouse_upstream_errors_total',
      help: 'Failed attempts, by code of the failure.',
      type: 'counter',
      label: 'code',
      values: CODES,
      isSparse: true,
    },
    retries: {
      name: 'gatehouse_upstream_retries_total',
      help: 'Attempts after the first one of an exchange.',
      type: 'counter',
    },
    retriesRefused: {
      name: 'gatehouse_upstream_retries_refused_total',
      help: 'Retries that the budget had no room for.',
      type: 'counter',
    },
    hedges: {
      name: 'gatehouse_upstream_hedges_total',
      help: 'Requests sent to another endpoint as well, because the first one took long.',
      type: 'counter',
    },
    hedgesWon: {
      name: 'gatehouse_upstream_hedges_won_total',
      help: 'Hedges whose answer was the first good one.',
      type: 'counter',
    },
    hedgesRefused: {
      name: 'gatehouse_upstream_hedges_refused_total',
      help: 'Hedges that the retry budget had no room for.',
      type: 'counter',
    },
    ejections: {
      name: 'gatehouse_upstream_ejections_total',
      help: 'Endpoints taken out of use because requests failed there.',
      type: 'counter',
    },
    circuitOpened: {
      name: 'gatehouse_upstream_circuit_opened_total',
      help: 'How often the breaker opened.',
      type: 'counter',
    },
    circuitRefused: {
      name: 'gatehouse_upstream_circuit_refused_total',
      help: 'Requests that met the open breaker.',
      type: 'counter',
    },
    opened: {
      name: 'gatehouse_upstream_connections_opened_total',
      help: 'Connections opened to the service.',
      type: 'counter',
    },
    queued: {
      name: 'gatehouse_upstream_queued_total',
      help: 'Requests that had to wait for a connection.',
      type: 'counter',
    },
    queueTimeouts: {
      name: 'gatehouse_upstream_queue_timeouts_total',
      help: 'Requests for which no connection became free in time.',
      type: 'counter',
    },
  },
  false,
  'configured',
)

/** What one service does. */
export class ServiceMetrics extends Block {
  /** The queue in front of it. */
  readonly concurrency: ConcurrencyMetrics

  constructor(writer: MetricsWriter, service: string) {
    super(writer, SERVICE, [service])
    this.concurrency = new ConcurrencyMetrics(writer, service)
  }

  /** An attempt has its answer's head, or failed (`status` 0). */
  attempt(status: number, latencyMs: number): void {
    this.add(SERVICE.offsets.attempts + statusClass(status), 1)
    observeDuration(this.cells, this.start + SERVICE.offsets.latency, latencyMs)
  }

  /** Why an attempt failed. */
  error(code: ErrorCode): void {
    this.add(SERVICE.offsets.errors + CODE_INDEX[code], 1)
  }

  retry(): void {
    this.add(SERVICE.offsets.retries, 1)
  }

  retryRefused(): void {
    this.add(SERVICE.offsets.retriesRefused, 1)
  }

  hedge(): void {
    this.add(SERVICE.offsets.hedges, 1)
  }

  hedgeWon(): void {
    this.add(SERVICE.offsets.hedgesWon, 1)
  }

  hedgeRefused(): void {
    this.add(SERVICE.offsets.hedgesRefused, 1)
  }

  ejected(): void {
    this.add(SERVICE.offsets.ejections, 1)
  }

  circuitOpened(): void {
    this.add(SERVICE.offsets.circuitOpened, 1)
  }

  circuitRefused(): void {
    this.add(SERVICE.offsets.circuitRefused, 1)
  }

  connectionOpened(): void {
    this.add(SERVICE.offsets.opened, 1)
  }

  queued(): void {
    this.add(SERVICE.offsets.queued, 1)
  }

  queueTimeout(): void {
    this.add(SERVICE.offsets.queueTimeouts, 1)
  }
}

const THREAD = metricsShape('thread', ['thread'], {
  accepted: {
    name: 'gatehouse_connections_accepted_total',
    help: 'Client connections accepted, by thread.',
    type: 'counter',
  },
  open: {
    name: 'gatehouse_connections_open',
    help: 'Client connections open now, by thread.',
    type: 'gauge',
  },
  errors: {
    name: 'gatehouse_errors_total',
    help: 'Failures that Gatehouse reported itself, by code; malformed requests included.',
    type: 'counter',
    label: 'code',
    values: CODES,
    isSparse: true,
  },
  endedEarly: {
    name: 'gatehouse_long_lived_ended_total',
    help: 'WebSockets and event streams ended because their route or service changed, or by a drain.',
    type: 'counter',
  },
  loopDelay: {
    name: 'gatehouse_event_loop_delay_seconds',
    help: 'Delay of the event loop in the last interval, by thread (99th percentile).',
    type: 'gauge',
  },
  loopUtilization: {
    name: 'gatehouse_event_loop_utilization_ratio',
    help: 'Share of the last interval in which the event loop was busy, by thread.',
    type: 'gauge',
  },
})

/** What one thread does. */
export class ThreadMetrics extends Block {
  constructor(writer: MetricsWriter) {
    super(writer, THREAD, [String(writer.row)])
  }

  connectionAccepted(): void {
    this.add(THREAD.offsets.accepted, 1)
    this.add(THREAD.offsets.open, 1)
  }

  connectionClosed(): void {
    this.add(THREAD.offsets.open, -1)
  }

  /** An upgraded connection or an event stream was ended before either side did it. */
  endedEarly(): void {
    this.add(THREAD.offsets.endedEarly, 1)
  }

  /** Gatehouse answered with a failure, or gave an exchange or connection up. */
  error(code: ErrorCode): void {
    this.add(THREAD.offsets.errors + CODE_INDEX[code], 1)
  }

  /** How the event loop did in the interval that just ended. */
  eventLoop(delayMs: number, utilization: number): void {
    this.cells[this.start + THREAD.offsets.loopDelay] = delayMs / 1000
    this.cells[this.start + THREAD.offsets.loopUtilization] = utilization
  }
}

const GATEWAY = metricsShape('gateway', [], {
  reloads: {
    name: 'gatehouse_config_reloads_total',
    help: 'Configurations tried since the start, by result.',
    type: 'counter',
    label: 'result',
    values: ['applied', 'refused'],
  },
  lastReload: {
    name: 'gatehouse_config_last_applied_timestamp_seconds',
    help: 'When the running configuration was applied, in seconds since 1970.',
    type: 'gauge',
  },
  threadsReplaced: {
    name: 'gatehouse_threads_replaced_total',
    help: 'Data-plane threads that ended unexpectedly and were replaced.',
    type: 'counter',
  },
  logDropped: {
    name: 'gatehouse_log_lines_dropped_total',
    help: 'Log lines that were dropped because their reader was too slow.',
    type: 'counter',
  },
})

/** What the gateway does as a whole; any thread may count here. */
export class GatewayMetrics extends Block {
  readonly #writer: MetricsWriter

  constructor(writer: MetricsWriter) {
    super(writer, GATEWAY, [])
    this.#writer = writer
  }

  /** A configuration runs since `wallMs` (milliseconds since 1970). */
  configurationApplied(wallMs: number): void {
    this.#writer.nextEra()
    this.add(GATEWAY.offsets.reloads, 1)
    this.cells[this.start + GATEWAY.offsets.lastReload] = wallMs / 1000
  }

  configurationRefused(): void {
    this.add(GATEWAY.offsets.reloads + 1, 1)
  }

  threadReplaced(): void {
    this.add(GATEWAY.offsets.threadsReplaced, 1)
  }

  logLinesDropped(lines: number): void {
    this.add(GATEWAY.offsets.logDropped, lines)
  }
}

/** Everything that is counted, in the order in which it is shown. */
export const METRICS_SHAPES: readonly MetricsShape[] = [
  GATEWAY,
  THREAD,
  OVERLOAD,
  ROUTE,
  SERVICE,
  CONCURRENCY,
  POLICY,
  MIRROR,
]

/** The id of the route or the policy whose metrics begin at this place. */
export function nameOfBlock(
  reader: MetricsReader,
  kind: 'route' | 'policy',
  start: number,
): string {
  const entries = reader.entries(kind === 'route' ? ROUTE : POLICY)
  return entries.find((entry) => entry.start === start)?.labels[0] ?? '(unknown)'
}
