// Gatehouse in this process, for tests: started on a free port, looked into, and closed again.
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { createGateway } from '../../src/gateway/gateway.ts'
import { createSharedState, type SharedState } from '../../src/gateway/shared-state.ts'
import { prometheusText } from '../../src/observability/exporters/prometheus.ts'
import { MetricsReader } from '../../src/observability/metrics.ts'
import { EndpointTable } from '../../src/proxy/upstream/endpoint-table.ts'
import { eventually } from './changes.ts'
import { type ClientOptions, RawClient } from './raw-client.ts'
import './lent-memory.ts'
import { RecordingUpstream, type Script } from './recording-upstream.ts'

/** A configuration as a person writes it, without what the runner adds. */
export type Settings = Readonly<Record<string, unknown>>

const LONG = '2m'

function whole(settings: Settings) {
  const base = { listen: 'http://127.0.0.1:0', admin: false, log: { level: 'error' } }
  return { ...base, ...settings } as never
}

/** A running gateway under test. */
export class TestGateway {
  readonly port: number
  readonly #gateway: Awaited<ReturnType<typeof createGateway>>
  readonly #shared: SharedState
  readonly #clients: RawClient[] = []

  private constructor(gateway: Awaited<ReturnType<typeof createGateway>>, shared: SharedState) {
    this.#gateway = gateway
    this.#shared = shared
    this.port = gateway.addresses[0]!.port
  }

  /** Starts with these settings. */
  static async start(settings: Settings): Promise<TestGateway> {
    const shared = createSharedState(1)
    const gateway = await createGateway(whole(settings), {}, shared)
    await gateway.start()
    return new TestGateway(gateway, shared)
  }

  /**
   * A gateway in front of one service, `s`. Where a test does not say otherwise its timers outlast all
   * patience, so that one that was left behind cannot end by itself before it is found.
   */
  static to(service: Settings, settings: Settings = {}): Promise<TestGateway> {
    const { connections, ...rest } = service
    const { limits, ...others } = settings
    return TestGateway.start({
      services: {
        s: { ...rest, connections: { queueTimeout: LONG, ...(connections as Settings) } },
      },
      limits: { headTimeout: LONG, bodyIdleTimeout: LONG, ...(limits as Settings) },
      routes: [{ path: '/*', to: 's' }],
      ...others,
    })
  }

  /** Connects a client, which is closed with the gateway. */
  async connect(options?: ClientOptions): Promise<RawClient> {
    const client = await RawClient.connect(this.port, options)
    this.#clients.push(client)
    return client
  }

  /** Puts other settings in the place of those that it runs with. */
  async apply(settings: Settings): Promise<void> {
    await this.#gateway.apply(whole(settings))
  }

  /** The sum of a metric over everything it is counted for. */
  metric(name: string): number {
    const lines = prometheusText(new MetricsReader(this.#shared.metrics)).split('\n')
    const own = lines.filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    return own.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
  }

  /** Attempts in flight, at all endpoints. */
  inFlight(): number {
    const table = EndpointTable.attach(this.#shared.endpoints, 1)
    let sum = 0
    for (let slot = 0; slot < this.#shared.endpoints.endpointsMax; slot++) {
      sum += table.inFlight(slot)
    }
    return sum
  }

  /** Lets it end as its configuration says; see Gateway.drain. */
  drain(): Promise<number> {
    return this.#gateway.drain()
  }

  stats(): Record<string, number> {
    return this.#gateway.stats()
  }

  /** Resolves when no exchange runs any more. */
  async settled(): Promise<void> {
    await eventually(
      () => this.stats().exchanges === 0 && this.stats().upstreamWaiters === 0,
      () => `exchanges to end: ${JSON.stringify(this.stats())}`,
    )
  }

  /**
   * Resolves when the gateway holds nothing but idle upstream connections, each with its own timer:
   * no client, no exchange, nobody who waits.
   */
  async idle(): Promise<void> {
    const isIdle = (): boolean => {
      const stats = this.stats()
      return (
        stats.clientConnections === 0 &&
        stats.exchanges === 0 &&
        stats.upstreamWaiters === 0 &&
        stats.upstreamConnections === stats.upstreamConnectionsIdle &&
        stats.timers === stats.upstreamConnectionsIdle
      )
    }
    await eventually(isIdle, () => `the gateway to be idle: ${JSON.stringify(this.stats())}`)
  }

  /** Closes the clients, so that a failed test leaves nothing to the next. */
  async disconnect(): Promise<void> {
    for (const client of this.#clients.splice(0)) await client.destroy()
  }

  /** Closes the clients and the gateway, and makes sure that nothing is left. */
  async close(): Promise<void> {
    await this.disconnect()
    await this.#gateway.close()
    const { clientConnections, upstreamConnections, upstreamWaiters, exchanges, timers } =
      this.stats()
    assert.deepEqual(
      { clientConnections, upstreamConnections, upstreamWaiters, exchanges, timers },
      { clientConnections: 0, upstreamConnections: 0, upstreamWaiters: 0, exchanges: 0, timers: 0 },
      'a closed gateway holds nothing',
    )
    assert.equal(this.inFlight(), 0, 'a closed gateway counts no attempt at any endpoint')
  }
}

/** A gateway, the scripted service behind it, and a client in front. */
export interface Pair {
  readonly gateway: TestGateway
  readonly upstream: RecordingUpstream
  readonly client: RawClient
}

/** Starts all three; they are closed, and looked at for leaks, when the test ends. */
export async function pair(
  t: TestContext,
  script: Script,
  service: Settings = {},
  settings: Settings = {},
): Promise<Pair> {
  const upstream = await RecordingUpstream.start(script)
  let gateway: TestGateway | null = null
  t.after(async () => {
    try {
      await gateway?.close()
    } finally {
      await upstream.close()
    }
  })
  gateway = await TestGateway.to({ url: upstream.url, ...service }, settings)
  return { gateway, upstream, client: await gateway.connect() }
}
