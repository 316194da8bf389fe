// Gatehouse in this process, for tests: started on a free port, looked into, and closed again.
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { createGateway } from '../../src/gateway/gateway.ts'
import { eventually } from './changes.ts'
import { type ClientOptions, RawClient } from './raw-client.ts'
import './lent-memory.ts'
import { RecordingUpstream, type Script } from './recording-upstream.ts'

/** A configuration as a person writes it, without what the runner adds. */
export type Settings = Readonly<Record<string, unknown>>

const LONG = '2m'

/** A running gateway under test. */
export class TestGateway {
  readonly port: number
  readonly #gateway: Awaited<ReturnType<typeof createGateway>>
  readonly #clients: RawClient[] = []

  private constructor(gateway: Awaited<ReturnType<typeof createGateway>>) {
    this.#gateway = gateway
    this.port = gateway.addresses[0]!.port
  }

  /** Starts with these settings. */
  static async start(settings: Settings): Promise<TestGateway> {
    const gateway = await createGateway({
      listen: 'http://127.0.0.1:0',
      admin: false,
      log: { level: 'error' },
      ...settings,
    } as never)
    await gateway.start()
    return new TestGateway(gateway)
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
