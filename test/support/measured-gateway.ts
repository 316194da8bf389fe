// A gateway in this process whose counters and log lines a test can read.
import { loadObject } from '../../src/config/load-object.ts'
import { createDataPlane } from '../../src/gateway/data-plane.ts'
import { EndpointDirectory } from '../../src/gateway/endpoint-directory.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { createSharedState } from '../../src/gateway/shared-state.ts'
import { prometheusText } from '../../src/observability/exporters/prometheus.ts'
import { MetricsReader } from '../../src/observability/metrics.ts'
import { SystemResolver } from '../../src/proxy/upstream/discovery/resolver.ts'
import { eventually } from './changes.ts'
import './lent-memory.ts'

type Fields = Readonly<Record<string, unknown>>

/** One line of the log. */
export interface LogLine {
  readonly message: string
  readonly fields: Fields
}

/** A running gateway, what it counted and what it said. */
export class MeasuredGateway {
  readonly gateway: Gateway
  readonly lines: readonly LogLine[]
  readonly #reader: MetricsReader

  private constructor(gateway: Gateway, lines: readonly LogLine[], reader: MetricsReader) {
    this.gateway = gateway
    this.lines = lines
    this.#reader = reader
  }

  /** Starts with these settings, on a free port. */
  static async start(settings: Fields): Promise<MeasuredGateway> {
    const { document, policies } = await loadObject(measured(settings))
    const shared = createSharedState(1)
    const lines: LogLine[] = []
    const add = (fields: Fields, message: string): void => {
      lines.push({ message, fields })
    }
    const log = { info: add, warn: add, error: add, line: () => {} }
    const plane = createDataPlane({
      shared,
      threadIndex: 0,
      policies: new Map(policies.map((policy) => [policy.name, policy])),
      log,
    })
    const directory = new EndpointDirectory(
      shared.endpoints,
      new SystemResolver(),
      (update) => plane.updateEndpoints(update),
      () => {},
    )
    const gateway = new Gateway(plane, shared, directory, document, { log })
    await gateway.start()
    return new MeasuredGateway(gateway, lines, new MetricsReader(shared.metrics))
  }

  get port(): number {
    return this.gateway.addresses[0]!.port
  }

  /** Puts other settings in place of the running ones. */
  async apply(settings: Fields): Promise<void> {
    await this.gateway.apply(measured(settings))
  }

  /** Series whose name, without `gatehouse_`, begins so, and that are not 0, with their values. */
  counts(start: string): Record<string, number> {
    const counts: Record<string, number> = {}
    for (const line of prometheusText(this.#reader).split('\n')) {
      const value = Number(line.slice(line.lastIndexOf(' ')))
      if (!line.startsWith(`gatehouse_${start}`) || value === 0) continue
      counts[line.slice('gatehouse_'.length, line.lastIndexOf(' '))] = value
    }
    return counts
  }

  /** Resolves when nothing runs but idle connections, each with its timer. */
  async idle(): Promise<void> {
    const isIdle = (): boolean => {
      const stats = this.gateway.stats()
      return (
        stats.exchanges === 0 &&
        stats.upstreamWaiters === 0 &&
        stats.upstreamConnections === stats.upstreamConnectionsIdle &&
        stats.timers === (stats.upstreamConnectionsIdle ?? 0) + (stats.clientConnections ?? 0)
      )
    }
    await eventually(
      isIdle,
      () => `the gateway to be idle: ${JSON.stringify(this.gateway.stats())}`,
    )
  }
}

// biome-ignore lint/suspicious/noExplicitAny: settings as a person writes them
function measured(settings: Fields): any {
  return { listen: 'http://127.0.0.1:0', admin: false, ...settings }
}
