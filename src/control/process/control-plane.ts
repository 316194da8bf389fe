// The gateway process's main thread: it steers the data-plane threads and serves the admin API.
import type { Document } from '../../config/schema.ts'
import { type AdminServer, openAdmin } from '../admin/admin-server.ts'
import type { AdminSubject } from '../admin/resource.ts'
import { toChecked } from './checked-document.ts'
import type { DescriptorStock } from './inherited-descriptors.ts'
import { describeListenError, hostPort } from './listen-error.ts'
import type { CheckedDocument, ReadyMessage } from './parent-protocol.ts'
import { Reloader } from './reload.ts'
import { adminKey } from './socket-needs.ts'
import { DataThreads } from './threads.ts'

/** What the control plane is made with. */
export interface ControlPlaneOptions {
  readonly file: string
  readonly threads: number
  readonly watch: boolean
  readonly stock: DescriptorStock
  /** The module a data-plane thread runs. */
  readonly threadEntry: URL
  /** A configuration went live in place. */
  onApplied(document: CheckedDocument): void
  /** Only a new gateway process can go on from here. */
  onReplace(reason: string, document: CheckedDocument): void
  report(line: string): void
}

/** Steers one gateway process. */
export class ControlPlane implements AdminSubject {
  readonly #options: ControlPlaneOptions
  readonly #threads: DataThreads
  readonly #reloader: Reloader
  #document: Document
  #admin: AdminServer | null = null
  #state: 'starting' | 'serving' | 'draining' = 'starting'

  constructor(document: Document, options: ControlPlaneOptions) {
    this.#document = document
    this.#options = options
    this.#threads = new DataThreads({
      count: options.threads,
      entry: options.threadEntry,
      buffers: null,
      stock: options.stock,
      onThreadExit: (index, reason) => {
        if (this.#state === 'serving')
          options.report(`thread ${index} ended and is replaced: ${reason}`)
      },
      onDescriptorsLow: () => this.#replace('its descriptors are used up', this.#document),
    })
    this.#reloader = new Reloader(options.file, {
      document: () => this.#document,
      apply: (next) => this.#apply(next),
      replace: (reason, next) => this.#replace(reason, next),
      report: options.report,
    })
  }

  /**
   * Starts the threads, then the admin API.
   * @throws Error with what keeps the gateway from running; nothing runs then.
   */
  async start(): Promise<ReadyMessage> {
    await this.#threads.start(this.#document)
    try {
      await this.#openAdmin()
      await this.#reloader.start(this.#options.watch)
    } catch (error) {
      await this.drain(0, true)
      throw error
    }
    this.#state = 'serving'
    const { listeners, routes, services, admin } = this.#document
    return {
      type: 'ready',
      document: toChecked(this.#document),
      urls: listeners.map(
        ({ scheme, host }, index) => `${scheme}://${hostPort(host, this.#threads.ports[index]!)}`,
      ),
      adminUrl: this.#admin === null ? null : `http://${hostPort(admin!.host, this.#admin.port)}`,
      threads: this.#threads.count,
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
   * Stops accepting and lets running exchanges end, for at most `timeoutMs`. Without a successor the
   * admin API answers until the end, so that whoever looks sees the gateway drain.
   */
  async drain(timeoutMs: number, hasSuccessor: boolean): Promise<void> {
    this.#state = 'draining'
    this.#reloader.close()
    if (hasSuccessor) await this.#admin?.close()
    await this.#threads.drain(timeoutMs)
    await this.#admin?.close()
  }

  notReadyReason(): string | null {
    if (this.#state !== 'serving') return this.#state
    return this.#threads.serving === 0 ? 'no thread serves' : null
  }

  document(): Document {
    return this.#document
  }

  async metrics(): Promise<string> {
    return ''
  }

  async #apply(document: Document): Promise<void> {
    const checked = toChecked(document)
    await this.#threads.apply(document)
    this.#document = document
    this.#options.onApplied(checked)
  }

  #replace(reason: string, document: Document): void {
    if (this.#state !== 'draining') this.#options.onReplace(reason, toChecked(document))
  }

  async #openAdmin(): Promise<void> {
    const { admin } = this.#document
    if (admin === null) return
    const key = adminKey(admin)
    const { stock } = this.#options
    const fd = stock.has(key) ? stock.take(key, 0) : null
    try {
      this.#admin = await openAdmin(this, { ...admin, fd })
    } catch (error) {
      throw describeListenError(error, 'admin', admin.host, admin.port)
    }
  }
}
