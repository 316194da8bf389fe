// The data plane of one thread: snapshots, services, listeners, and the switch between generations.
import { readFileSync } from 'node:fs'
import { compileSnapshot } from '../config/compile.ts'
import type { SharedServices } from '../config/compile-stage.ts'
import type { Document } from '../config/schema.ts'
import type { Snapshot } from '../config/snapshot.ts'
import type { ErrorCode } from '../errors.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import { networkOf } from '../lib/ip-prefix-tree.ts'
import { TimerWheel } from '../lib/timer-wheel.ts'
import { Pulse } from '../observability/pulse.ts'
import { FIRST_REQUEST_WAIT_MS } from '../proxy/http/limits.ts'
import { type Certificates, loadCertificates } from '../proxy/http/tls.ts'
import { CountedFailures } from '../proxy/pipeline/failed-attempts.ts'
import { KeptResources } from '../proxy/pipeline/kept-resources.ts'
import type { PolicyDefinition, PolicyLog } from '../proxy/pipeline/policy.ts'
import { EndpointTable } from '../proxy/upstream/endpoint-table.ts'
import { DocumentFetcher } from '../state/document-fetcher.ts'
import type { RemoteDocuments } from '../state/remote-documents.ts'
import { SharedMemoryStore } from '../state/shared-memory-store.ts'
import { type CertificateHolder, CertificateWatch } from './certificate-watch.ts'
import { Drain, type DrainPlan } from './drain.ts'
import { Listener, type ListenerHost } from './listener.ts'
import { listenerKeys } from './listener-keys.ts'
import { LongLivedExchanges } from './long-lived-exchanges.ts'
import { OverloadWatch, systemReadings } from './overload/overload-watch.ts'
import type { DataPlane, ListenSource } from './plane.ts'
import { PlaneCounters } from './plane-counters.ts'
import { type EndpointsUpdate, PlaneServices } from './plane-services.ts'
import { ConnectionCount, type SharedState } from './shared-state.ts'
import { TicketKeys } from './ticket-keys.ts'

/** What a plane is given by whoever hosts it. */
export interface PlaneOptions {
  readonly shared: SharedState
  readonly threadIndex: number
  readonly policies: ReadonlyMap<string, PolicyDefinition>
  readonly log: PolicyLog
  /** Fetches what policies follow on other servers; without it the plane does so itself. */
  readonly documents?: RemoteDocuments
  readonly clock?: Clock
}

const SLICE_MS = 5
const READ_BUFFER_BYTES = 65536
/** How often a plane that drains looks whether it may end. */
const LOOK_MS = 20
/** How long the answers to what was cut off may take to leave. */
const LAST_ANSWER_MS = 500
/** What one client of IPv6 usually has. */
const CLIENT_IPV6_BITS = 64

/** A compiled configuration with the certificates of its listeners, in their order. */
interface Prepared {
  readonly snapshot: Snapshot
  readonly certificates: readonly (Certificates | null)[]
}

/** Makes the data plane of the calling thread. */
export function createDataPlane(options: PlaneOptions): ThreadPlane {
  return new ThreadPlane(options)
}

/** The data plane of one thread. */
export class ThreadPlane implements DataPlane, ListenerHost {
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly readBuffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES)
  readonly #ticketKeys: TicketKeys
  readonly #options: PlaneOptions
  readonly #table: EndpointTable
  readonly #counters: PlaneCounters
  readonly #pulse: Pulse
  readonly #connectionCount: ConnectionCount
  readonly #store: SharedMemoryStore
  readonly #services: PlaneServices
  readonly #prepared = new Map<number, Prepared>()
  /** By their keys: a configuration may list them in another order than the last. */
  readonly #listeners = new Map<string, Listener>()
  #live: Snapshot | null = null
  #certificates: Prepared['certificates'] = []
  readonly #certificateWatch: CertificateWatch
  /** Its own, when nobody fetches for it. */
  readonly #documents: DocumentFetcher | null
  readonly #state: SharedServices
  readonly #longLived: LongLivedExchanges
  readonly #overload: OverloadWatch
  #isClosed = false

  constructor(options: PlaneOptions) {
    this.#options = options
    this.clock = options.clock ?? systemClock
    this.wheel = new TimerWheel(this.clock)
    const { shared, threadIndex } = options
    this.#ticketKeys = new TicketKeys(shared.ticketKeys, threadIndex === 0, this.clock)
    this.#table = EndpointTable.attach(shared.endpoints, threadIndex, this.clock)
    this.#counters = new PlaneCounters(shared.metrics, threadIndex)
    this.#pulse = new Pulse(shared.pulse, threadIndex)
    this.#longLived = new LongLivedExchanges(
      this.wheel,
      this.clock,
      () => this.live,
      () => this.#counters.thread.endedEarly(),
    )
    this.#connectionCount = new ConnectionCount(shared.connections, threadIndex)
    this.#overload = new OverloadWatch({
      clock: this.clock,
      readings: systemReadings(() => this.#connectionCount.open),
      counters: this.#counters.overload,
      log: options.log,
    })
    this.#store = new SharedMemoryStore(shared.store, threadIndex, options.clock)
    this.#services = new PlaneServices({
      wheel: this.wheel,
      readBuffer: this.readBuffer,
      table: this.#table,
      onDefect: (error) => this.onDefect(error),
    })
    this.#documents = options.documents === undefined ? new DocumentFetcher(this.clock) : null
    const attempts = new SharedMemoryStore(shared.failedAttempts, threadIndex, options.clock)
    this.#state = {
      store: this.#store,
      failedAttempts: new CountedFailures(attempts, this.clock),
      places: attempts,
      documents: options.documents ?? this.#documents!,
      kept: new KeptResources(),
    }
    this.#certificateWatch = new CertificateWatch(() => this.#certificateHolders(), options.log)
  }

  /** The snapshot that new exchanges run on. */
  get live(): Snapshot {
    if (this.#live === null) throw new Error('no configuration is live yet')
    return this.#live
  }

  async prepare(document: Document, generation: number): Promise<{ problems: string[] }> {
    const { policies, log } = this.#options
    const counters = this.#counters
    const pulse = this.#pulse
    const steps = compileSnapshot(document, generation, {
      policies,
      clock: this.clock,
      wheel: this.wheel,
      longLived: this.#longLived,
      log,
      service: (name) => this.#services.get(name),
      routeCounters: (id) => counters.route(id),
      serviceCounters: (name) => counters.service(name),
      stageCounters: (policy) => counters.policy(policy),
      mirrorCounters: (routeId) => counters.mirror(routeId),
      stageMark: (policy, route) =>
        pulse.mark(counters.policy(policy).start, counters.route(route).start),
      countError: (code) => counters.error(code),
      overload: this.#overload,
      state: this.#state,
      readFile: (path) => readFileSync(path, 'utf8'),
    })
    try {
      const certificates = await this.#loadCertificates(document)
      let sliceEnd = this.clock.now() + SLICE_MS
      for (;;) {
        const step = steps.next()
        if (step.done === true) {
          this.#prepared.set(generation, { snapshot: step.value, certificates })
          return { problems: [] }
        }
        if (this.clock.now() >= sliceEnd) {
          await new Promise((resolve) => setImmediate(resolve))
          sliceEnd = this.clock.now() + SLICE_MS
        }
      }
    } catch (error) {
      return { problems: [(error as Error).message] }
    }
  }

  switchTo(generation: number): void {
    const next = this.#prepared.get(generation)
    if (next === undefined) throw new Error(`generation ${generation} was not prepared`)
    this.#prepared.delete(generation)
    const before = this.#live
    this.#live = next.snapshot
    this.#certificates = next.certificates
    this.#services.configure(next.snapshot)
    this.#services.retain(next.snapshot)
    const { document } = next.snapshot
    this.#overload.configure(document.overload, document.limits.connectionsMax)
    for (const [index, key] of listenerKeys(document).entries()) {
      const certificates = next.certificates[index] ?? null
      this.#listeners.get(key)?.configure(document.listeners[index]!, certificates)
    }
    if (before === null) return
    before.retire()
    const ended = this.#longLived.reload(before.document, document)
    if (ended === 0) return
    this.#options.log.info(
      { connections: ended, spreadMs: document.drain.spreadMs },
      'long-lived connections end because their route or service changed',
    )
  }

  discard(generation: number): void {
    this.#prepared.get(generation)?.snapshot.retire()
    this.#prepared.delete(generation)
  }

  async listen(key: string, source: ListenSource): Promise<{ port: number }> {
    const index = listenerKeys(this.live.document).indexOf(key)
    const document = this.live.document.listeners[index]
    if (document === undefined) throw new Error(`the configuration has no listener ${key}`)
    const made = new Listener(document, this.#certificates[index] ?? null, this)
    this.#listeners.set(key, made)
    return { port: await made.listen(source) }
  }

  /** Looks now whether certificate files changed; it also happens every few seconds. Never rejects. */
  async reloadCertificates(): Promise<void> {
    await this.#certificateWatch.check()
  }

  updateEndpoints(update: unknown): void {
    this.#services.locate(update as EndpointsUpdate)
    if (this.#live !== null) this.#services.configure(this.#live)
  }

  async drain(plan: DrainPlan): Promise<number> {
    const last = new Drain(plan, this.clock)
    for (const listener of this.#listeners.values()) listener.takeLastRequests(last)
    await this.#until(() => false, plan.delayMs)
    // Whoever waits in the queue of a socket is reset with its last copy, so all of it is taken first.
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve))
    for (const listener of this.#listeners.values()) listener.stopAccepting()
    this.#longLived.drain(Math.min(plan.spreadMs, plan.timeoutMs))
    const isEmpty = (): boolean => this.#openConnections() === 0
    const arrivalMs = Math.max(last.idleWaitMs(), FIRST_REQUEST_WAIT_MS)
    const end = this.clock.now() + plan.timeoutMs
    await this.#until(isEmpty, Math.min(arrivalMs, plan.timeoutMs))
    for (const listener of this.#listeners.values()) listener.cutArriving()
    await this.#until(isEmpty, end - this.clock.now())
    let cut = 0
    for (const listener of this.#listeners.values()) cut += listener.cut()
    await this.#until(isEmpty, LAST_ANSWER_MS)
    return cut
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#certificateWatch.close()
    this.#overload.close()
    for (const listener of this.#listeners.values()) listener.close()
    for (const service of this.#services.all()) service.close()
    // Sockets report their end in later turns of the loop; only then is everything given back.
    for (let turn = 0; turn < 100 && this.#openConnections() > 0; turn++) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    this.#live?.retire()
    this.#documents?.close()
    this.wheel.close()
  }

  stats(): Record<string, number> {
    let open = 0
    let idle = 0
    let waiting = 0
    for (const service of this.#services.all()) {
      for (const pool of service.pools) {
        open += pool.counts.open
        idle += pool.counts.idle
        waiting += pool.counts.waiting
      }
    }
    return {
      clientConnections: this.#openConnections(),
      upstreamConnections: open,
      upstreamConnectionsIdle: idle,
      upstreamWaiters: waiting,
      exchanges: (this.#live?.exchanges ?? 0) + this.#longLived.size,
      longLived: this.#longLived.size,
      timers: this.wheel.size,
      generation: this.#live?.generation ?? 0,
    }
  }

  // ---- what listeners ask -------------------------------------------------------------------------

  admit(): boolean {
    if (!this.#connectionCount.tryEnter(this.live.document.limits.connectionsMax)) return false
    this.#counters.thread.connectionAccepted()
    return true
  }

  release(): void {
    this.#connectionCount.leave()
    this.#counters.thread.connectionClosed()
  }

  admitFrom(ip: string): string | null {
    const key = `connections from ${networkOf(ip, CLIENT_IPV6_BITS)}`
    const { noRoom } = this.#store
    if (this.#store.enter(key, this.live.document.limits.connectionsPerIpMax)) return key
    // More addresses than can be counted are no reason to refuse one: all together are bounded as well.
    return this.#store.noRoom > noRoom ? '' : null
  }

  releaseFrom(key: string): void {
    this.#store.leave(key)
  }

  ticketKeys(): Buffer {
    return this.#ticketKeys.take()
  }

  onDefect(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.#counters.error('internal')
    this.live.log.error({ error: text }, 'a defect of the gateway cost a connection')
  }

  countRefused(code: ErrorCode, clientIp: string): void {
    this.#counters.error(code)
    this.#options.log.info({ code, client: clientIp }, 'request refused')
  }

  countTurnedAway(code: ErrorCode): void {
    this.#counters.error(code)
  }

  // -------------------------------------------------------------------------------------------------

  /** Waits until something holds, but not for longer than this, and not once the plane is closed. */
  async #until(holds: () => boolean, waitMs: number): Promise<void> {
    const end = this.clock.now() + waitMs
    while (!holds() && !this.#isClosed && this.clock.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
  }

  #openConnections(): number {
    let count = 0
    for (const listener of this.#listeners.values()) count += listener.socketCount
    return count
  }

  /** The certificates a configuration names; those in use already if they are the same. */
  async #loadCertificates(document: Document): Promise<(Certificates | null)[]> {
    const loaded: (Certificates | null)[] = []
    const keys = listenerKeys(document)
    for (const [index, { tls }] of document.listeners.entries()) {
      const inUse = this.#listeners.get(keys[index]!)?.certificates ?? null
      loaded.push(tls === null ? null : await loadCertificates(tls, inUse))
    }
    return loaded
  }

  #certificateHolders(): CertificateHolder[] {
    return [...this.#listeners.values(), ...this.#services.all()]
  }
}
