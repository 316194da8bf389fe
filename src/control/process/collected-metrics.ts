// Numbers that nobody counts: they are read from the threads and the process when someone asks.
import type { ServiceLoad } from '../../gateway/endpoint-directory.ts'
import type { CollectedFamily } from '../../observability/exporters/prometheus.ts'

type Sample = CollectedFamily['samples'][number]

/** What the control plane knows at this moment. */
export interface Readings {
  readonly threads: number
  readonly threadsServing: number
  readonly generation: number
  readonly isReady: boolean
  /** How often shared state found no room for another key. */
  readonly noRoom: number
  /** Services that bound their requests in flight. */
  readonly loads: readonly ServiceLoad[]
  /** The data plane's numbers, added up over all threads. */
  readonly stats: Readonly<Record<string, number>>
}

/** Readings as metric families. */
export function collectedMetrics(readings: Readings): CollectedFamily[] {
  const { threads, threadsServing, generation, isReady, noRoom, loads, stats } = readings
  const stat = (name: string) => stats[name] ?? 0
  const { user, system } = process.cpuUsage()
  return [
    gauge('gatehouse_ready', 'Whether requests are served (1) or not (0).', one(isReady ? 1 : 0)),
    gauge('gatehouse_threads', 'Data-plane threads, by state.', [
      { labels: { state: 'configured' }, value: threads },
      { labels: { state: 'serving' }, value: threadsServing },
    ]),
    gauge('gatehouse_config_generation', 'Number of the running configuration.', one(generation)),
    gauge('gatehouse_upstream_connections', 'Connections to services, by state.', [
      { labels: { state: 'open' }, value: stat('upstreamConnections') },
      { labels: { state: 'idle' }, value: stat('upstreamConnectionsIdle') },
    ]),
    gauge(
      'gatehouse_upstream_waiting',
      'Requests that wait for a connection to a service.',
      one(stat('upstreamWaiters')),
    ),
    ...(loads.length === 0 ? [] : loadMetrics(loads)),
    gauge('gatehouse_exchanges', 'Requests that are being answered.', one(stat('exchanges'))),
    gauge(
      'gatehouse_long_lived_exchanges',
      'Requests being answered that are WebSockets or event streams.',
      one(stat('longLived')),
    ),
    {
      name: 'gatehouse_state_no_room_total',
      help: 'Times that a limit, count or place found no room for another key.',
      type: 'counter',
      samples: one(noRoom),
    },
    gauge(
      'process_resident_memory_bytes',
      'Resident memory of the gateway process.',
      one(process.memoryUsage.rss()),
    ),
    {
      name: 'process_cpu_seconds_total',
      help: 'Processor time of the gateway process, all threads together.',
      type: 'counter',
      samples: one((user + system) / 1e6),
    },
    gauge(
      'process_start_time_seconds',
      'When the gateway process was started, in seconds since 1970.',
      one(performance.timeOrigin / 1000),
    ),
  ]
}

function loadMetrics(loads: readonly ServiceLoad[]): CollectedFamily[] {
  const samples = (value: 'limit' | 'inFlight' | 'waiting'): Sample[] =>
    loads.map((load) => ({ labels: { service: load.service }, value: load[value] }))
  return [
    gauge(
      'gatehouse_upstream_concurrency_limit',
      'Most requests that may be in flight at the service now.',
      samples('limit'),
    ),
    gauge(
      'gatehouse_upstream_concurrency_in_flight',
      'Requests in flight at a service that has such a limit.',
      samples('inFlight'),
    ),
    gauge(
      'gatehouse_upstream_concurrency_waiting',
      'Requests that wait because as many as the limit says are in flight.',
      samples('waiting'),
    ),
  ]
}

function gauge(name: string, help: string, samples: readonly Sample[]): CollectedFamily {
  return { name, help, type: 'gauge', samples }
}

function one(value: number): Sample[] {
  return [{ labels: {}, value }]
}
