// The gateway process's main thread: it steers the data-plane threads and serves the admin API.
import type { Document } from '../../config/schema.ts'
import { cutLine, type DrainPlan, NO_GRACE } from '../../gateway/drain.ts'
import { EndpointDirectory } from '../../gateway/endpoint-directory.ts'
import { createSharedState, openCountFile, type SharedState } from '../../gateway/shared-state.ts'
import { systemClock } from '../../lib/clock.ts'
import { hostPort } from '../../lib/host-port.ts'
import { prometheusText } from '../../observability/exporters/prometheus.ts'
import { GatewayMetrics, ServiceMetrics } from '../../observability/gateway-metrics.ts'
import { MetricsReader, MetricsWriter } from '../../observability/metrics.ts'
import { SystemResolver } from '../../proxy/upstream/discovery/resolver.ts'
import type { CountFile } from '../../state/count-file.ts'
import { DocumentFetcher } from '../../state/document-fetcher.ts'
import { toChecked } from './checked-document.ts'
import { collectedMetrics } from './collected-metrics.ts'
import type { AdminServer, ControlView, NotReady, OpenAdmin } from './control-view.ts'
import { GatewayLog } from './gateway-log.ts'
import type { DescriptorStock } from './inherited-descriptors.ts'
import { describeListenError } from './listen-error.ts'
import { canHoldSockets } from './listening-sockets.ts'
import type { CheckedDocument, ReadyMessage } from './parent-protocol.ts'
import { Reloader } from './reload.ts'
import { SharedCleanup } from './shared-cleanup.ts'
import { adminKey } from './socket-needs.ts'
import { Suspects } from './suspects.ts'
import { DataThreads } from './threads.ts'

/** What the control plane is made with. */
export interface ControlPlaneOptions {
  readonly file: string
  readonly threads: number
  readonly watch: boolean
  readonly stock: DescriptorStock
  /** The module a data-plane thread runs. */
  readonly threadEntry: URL
  readonly openAdmin: OpenAdmin
  /** A configuration went live in place. */
  onApplied(document: CheckedDocument): void
  /** Only a new gateway process can go on from here. */
  onReplace(reason: string, document: CheckedDocument): void
  report(line: string): void
}

/** Steers one gateway process. */
export class ControlPlane implements ControlView {
  readonly #options: ControlPlaneOptions
  readonly #directory: EndpointDirectory
  readonly #metrics: MetricsReader
  readonly #counters: GatewayMetrics
  readonly #log: GatewayLog
  readonly #cleanup: SharedCleanup
  readonly #documents = new DocumentFetcher(systemClock)
  readonly #threads: DataThreads
  readonly #reloader: Reloader
  readonly #shared: SharedState
  #counts: CountFile | null = null
  #document: Document
  #admin: AdminServer | null = null
  #state: 'starting' | 'serving' | 'draining' = 'starting'

  constructor(document: Document, options: ControlPlaneOptions) {
    const { threads: count, threadEntry: entry, stock } = options
    const shared = createSharedState(count)
    this.#document = document
    this.#options = options
    this.#shared = shared
    this.#metrics = new MetricsReader(shared.metrics)
    const writer = new MetricsWriter(shared.metrics, count)
    this.#counters = new GatewayMetrics(writer)
    this.#log = new GatewayLog(count, this.#counters)
    this.#cleanup = new SharedCleanup(shared, this.#metrics)
    this.#directory = new EndpointDirectory(
      shared.endpoints,
      new SystemResolver(),
      (update) => void this.#threads.updateEndpoints(update),
      (message) => options.report(message),
      {
        onChange: ({ endpoint, state, reason }) =>
          options.report(`${endpoint} is ${state}${reason === '' ? '' : `: ${reason}`}`),
        onEjected: (service) => new ServiceMetrics(writer, service).ejected(),
      },
    )
    this.#threads = new DataThreads({
      count,
      entry,
      shared,
      stock,
      logPending: this.#log.pending,
      documents: this.#documents,
      suspects: new Suspects(this.#metrics, writer, options.report),
      locate: (next) => this.#directory.configure(next),
      onLog: (index, batch) => this.#log.write(index, batch),
      onThreadExit: (index, reason) => this.#onThreadExit(index, reason),
      onThreadStuck: (index, reason) => this.#onThreadStuck(index, reason),
      onDescriptorsLow: () => this.#replace('its descriptors are used up', this.#document),
    })
    this.#reloader = new Reloader(options.file, {
      threads: count,
      document: () => this.#document,
      apply: (next) => this.#apply(next),
      replace: (reason, next) => this.#replace(reason, next),
      refused: () => this.#counters.configurationRefused(),
      report: options.report,
    })
  }

  /**
   * Starts the threads, then the admin API.
   * @throws Error with what keeps the gateway from running; nothing runs then.
   */
  async start(): Promise<ReadyMessage> {
    try {
      const { threads, report } = this.#options
      this.#counts = await openCountFile(this.#document, this.#shared, threads, (reason) =>
        report(`the counts of quotas could not be written (${reason}); it is tried again`),
      )
      await this.#threads.start(this.#document)
      this.#state = 'serving'
      await this.#openAdmin()
      await this.#reloader.start(this.#options.watch)
    } catch (error) {
      await this.drain(NO_GRACE, true)
      throw error
    }
    this.#counters.configurationApplied(Date.now())
    const { listeners, routes, services, admin } = this.#document
    const { ports } = this.#threads
    return {
      type: 'ready',
      document: toChecked(this.#document),
      urls: listeners.map(
        ({ scheme, host }, index) => `${scheme}://${hostPort(host, ports[index]!)}`,
      ),
      adminUrl: this.#admin === null ? null : `http://${hostPort(admin!.host, this.#admin.port)}`,
      threads: this.#options.threads,
      routes: routes.length,
      services: services.length,
    }
  }

  /** Loads the file again and applies it if it is good; never rejects. */
  reload(): Promise<void> {
    return this.#reloader.reload(true)
  }

  /** The successor that was asked for did not come up. */
  notReplaced(reason: string): void {
    this.#reloader.notReplaced(reason)
  }

  /**
   * Lets running exchanges end as `plan` says. Without a successor the admin API answers until the
   * end, so that whoever looks sees the gateway drain.
   */
  async drain(plan: DrainPlan, hasSuccessor: boolean): Promise<void> {
    this.#state = 'draining'
    this.#reloader.close()
    if (hasSuccessor) await this.#admin?.close()
    const cut = await this.#threads.drain(plan)
    if (cut > 0) this.#options.report(cutLine(cut, plan))
    this.#counts?.close()
    this.#counts = null
    this.#directory.close()
    this.#documents.close()
    await this.#admin?.close()
    await this.#log.close()
  }

  /** Whether this process must be killed to end: one of its threads sits in native code. */
  get isStuck(): boolean {
    return this.#threads.isStuck
  }

  notReady(): NotReady[] {
    if (this.#state !== 'serving') return [{ code: this.#state }]
    const { serving } = this.#threads
    const { threads: configured } = this.#options
    const missing: NotReady[] = this.#directory
      .requiredWithoutEndpoint()
      .map((service) => ({ code: 'service', service }))
    return serving === configured ? missing : [{ code: 'threads', serving, configured }, ...missing]
  }

  isAlive(): boolean {
    return this.#state !== 'serving' || this.#threads.isAlive
  }

  document(): Document {
    return this.#document
  }

  async metrics(): Promise<string> {
    const stats = await this.#threads.stats()
    const readings = {
      threads: this.#options.threads,
      threadsServing: this.#threads.serving,
      generation: this.#threads.generation,
      isReady: this.notReady().length === 0,
      noRoom: this.#cleanup.noRoom,
      loads: this.#directory.loads(),
      stats,
    }
    return prometheusText(this.#metrics, collectedMetrics(readings))
  }

  #onThreadExit(threadIndex: number, reason: string): void {
    this.#cleanup.threadEnded(threadIndex)
    this.#log.threadEnded(threadIndex)
    if (this.#state !== 'serving') return
    this.#counters.threadReplaced()
    this.#options.report(`thread ${threadIndex} ended and is replaced: ${reason}`)
  }

  /** Nothing but the end of the process ends that thread. */
  #onThreadStuck(threadIndex: number, reason: string): void {
    this.#options.report(`thread ${threadIndex} does not end: ${reason}`)
    // Without sockets to hand over it is the only thread: nobody else's request is lost.
    if (!canHoldSockets()) process.kill(process.pid, 'SIGKILL')
    this.#replace(`thread ${threadIndex} does not end`, this.#document)
  }

  async #apply(document: Document): Promise<void> {
    const checked = toChecked(document)
    await this.#threads.apply(document)
    this.#document = document
    this.#counters.configurationApplied(Date.now())
    this.#options.onApplied(checked)
  }

  #replace(reason: string, document: Document): void {
    if (this.#state === 'serving') this.#options.onReplace(reason, toChecked(document))
  }

  async #openAdmin(): Promise<void> {
    const { admin } = this.#document
    if (admin === null) return
    const key = adminKey(admin)
    const { openAdmin, stock } = this.#options
    const fd = stock.has(key) ? stock.take(key, 0) : null
    try {
      this.#admin = await openAdmin(this, { ...admin, fd })
    } catch (error) {
      throw describeListenError(error, 'admin', admin.host, admin.port)
    }
  }
}
