// The public way to run a gateway inside a program: everything in the calling thread, through the code
// that the threads of `gatehouse run` use.
import { type LoadObjectOptions, loadObject } from '../config/load-object.ts'
import type { Document, DocumentInput } from '../config/schema.ts'
import { hostPort } from '../lib/host-port.ts'
import { ServiceMetrics } from '../observability/gateway-metrics.ts'
import { MetricsWriter } from '../observability/metrics.ts'
import type { PolicyLog } from '../proxy/pipeline/policy.ts'
import { SystemResolver } from '../proxy/upstream/discovery/resolver.ts'
import type { CountFile } from '../state/count-file.ts'
import { createDataPlane, type ThreadPlane } from './data-plane.ts'
import { EndpointDirectory } from './endpoint-directory.ts'
import { listenerKeys } from './listener-keys.ts'
import { createSharedState, openCountFile, type SharedState } from './shared-state.ts'

/** How a gateway is embedded. */
export interface GatewayOptions extends LoadObjectOptions {
  /** Where log lines go; nowhere by default. */
  readonly log?: PolicyLog
}

/** A bound listener. */
export interface GatewayAddress {
  readonly url: string
  readonly port: number
}

/** A gateway in this process. */
export class Gateway {
  readonly #plane: ThreadPlane
  readonly #shared: SharedState
  readonly #directory: EndpointDirectory
  readonly #options: GatewayOptions
  readonly #metrics: MetricsWriter
  #document: Document
  #generation = 0
  #addresses: readonly GatewayAddress[] = []
  #counts: CountFile | null = null
  /** Configurations go live one after the other, in the order in which they came. */
  #applying: Promise<unknown> = Promise.resolve()
  #isClosed = false

  constructor(
    plane: ThreadPlane,
    shared: SharedState,
    directory: EndpointDirectory,
    document: Document,
    options: GatewayOptions,
  ) {
    this.#plane = plane
    this.#shared = shared
    this.#directory = directory
    this.#document = document
    this.#options = options
    // The row after those of the threads is the control plane's.
    this.#metrics = new MetricsWriter(shared.metrics, 1)
  }

  /** The listeners, once started, in the order of the configuration. */
  get addresses(): readonly GatewayAddress[] {
    return this.#addresses
  }

  /** Binds the listeners and serves. @throws Error when an address or the file of state cannot be used. */
  async start(): Promise<void> {
    const { log = SILENT } = this.#options
    this.#counts = await openCountFile(this.#document, this.#shared, 0, (reason) =>
      log.error({ reason }, 'the counts of quotas could not be written; it is tried again'),
    )
    await this.#goLive(this.#document)
    const addresses: GatewayAddress[] = []
    const keys = listenerKeys(this.#document)
    for (const [index, { scheme, host, port }] of this.#document.listeners.entries()) {
      const bound = await this.#plane.listen(keys[index]!, { host, port })
      addresses.push({ url: `${scheme}://${hostPort(host, bound.port)}`, port: bound.port })
    }
    this.#addresses = addresses
  }

  /**
   * Puts another configuration in the place of the running one, for all exchanges that begin from now
   * on. Its listeners take their new settings, but they must be the ones that were bound. Of several
   * calls at once the last one stays.
   * @throws GatewayConfigurationError or Error when it cannot be used; the running one stays.
   */
  apply(config: DocumentInput): Promise<void> {
    const result = this.#applying.then(() => this.#apply(config))
    this.#applying = result.catch(nothing)
    return result
  }

  async #apply(config: DocumentInput): Promise<void> {
    const { document } = await loadObject(config, this.#options)
    const bound = listenerKeys(this.#document).sort().join(', ')
    const wanted = listenerKeys(document).sort().join(', ')
    if (bound !== wanted) {
      throw new Error(
        `listen: a running gateway cannot change its addresses (bound: ${bound}; wanted: ${wanted}). ` +
          'Close it and make another.',
      )
    }
    if (document.state.file !== this.#document.state.file) {
      throw new Error('state.file: a running gateway cannot change it. Close it and make another.')
    }
    await this.#goLive(document)
    this.#document = document
  }

  /**
   * Lets the gateway end without losing a request: as `drain` of the configuration says, with another
   * `timeoutMs` if one is given. `close` follows.
   * @returns how many requests were cut off in the end.
   */
  async drain(timeoutMs?: number): Promise<number> {
    const plan = this.#document.drain
    return this.#plane.drain({ ...plan, timeoutMs: timeoutMs ?? plan.timeoutMs })
  }

  /** Cuts off what still runs and gives everything back. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#directory.close()
    await this.#plane.close()
    this.#counts?.close()
    this.#counts = null
  }

  /** Connections, timers and exchanges by name. */
  stats(): Record<string, number> {
    return this.#plane.stats()
  }

  async #goLive(document: Document): Promise<void> {
    this.#mustBeOpen()
    const generation = ++this.#generation
    const { problems } = await this.#plane.prepare(document, generation)
    if (problems.length > 0) throw new Error(problems.join('\n'))
    try {
      this.#mustBeOpen()
      const endpoints = await this.#directory.configure(document)
      this.#mustBeOpen()
      this.#plane.updateEndpoints(endpoints)
    } catch (error) {
      this.#plane.discard(generation)
      if (!this.#isClosed) await this.#directory.configure(this.#document)
      throw error
    }
    this.#plane.switchTo(generation)
    this.#metrics.nextEra()
  }

  #mustBeOpen(): void {
    if (this.#isClosed) throw new Error('the gateway is closed')
  }
}

/**
 * Makes a gateway out of a configuration object; `start` runs it.
 * @param shared what it counts in, of one thread, for who wants to read along.
 * @throws GatewayConfigurationError with every problem of the configuration.
 */
export async function createGateway(
  config: DocumentInput,
  options: GatewayOptions = {},
  shared: SharedState = createSharedState(1),
): Promise<Gateway> {
  const { document, policies } = await loadObject(config, options)
  const plane = createDataPlane({
    shared,
    threadIndex: 0,
    policies: new Map(policies.map((policy) => [policy.name, policy])),
    log: options.log ?? SILENT,
  })
  const log = options.log ?? SILENT
  // The row after those of the threads is the control plane's.
  const writer = new MetricsWriter(shared.metrics, 1)
  const directory = new EndpointDirectory(
    shared.endpoints,
    new SystemResolver(),
    (update) => plane.updateEndpoints(update),
    (message) => log.warn({}, message),
    {
      onChange: (change) => log.warn({ ...change }, 'the health of an endpoint changed'),
      onEjected: (service) => new ServiceMetrics(writer, service).ejected(),
    },
  )
  return new Gateway(plane, shared, directory, document, options)
}

const nothing = (): void => {}
const SILENT: PolicyLog = { info: nothing, warn: nothing, error: nothing, line: nothing }
