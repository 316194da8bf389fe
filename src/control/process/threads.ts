// The data-plane threads of a gateway process: started, given the same configuration in two steps,
// watched, and replaced when they end.
import type { Document } from '../../config/schema.ts'
import { type DrainPlan, NO_GRACE } from '../../gateway/drain.ts'
import { listenerKeys } from '../../gateway/listener-keys.ts'
import type { ListenSource } from '../../gateway/plane.ts'
import type { EndpointsUpdate } from '../../gateway/plane-services.ts'
import type { SharedState } from '../../gateway/shared-state.ts'
import type { LogBatch } from '../../observability/log-batcher.ts'
import type { Running } from '../../observability/pulse.ts'
import type { RemoteDocuments } from '../../state/remote-documents.ts'
import { Backoff, type BackoffSettings } from './backoff.ts'
import { DataThread } from './data-thread-handle.ts'
import type { DescriptorStock } from './inherited-descriptors.ts'
import { describeListenError } from './listen-error.ts'
import { type Suspects, seconds } from './suspects.ts'
import { threadLimits } from './thread-memory.ts'
import { Watchdog, type WatchSettings } from './watchdog.ts'

/** How soon a thread without a descriptor is looked at again, in milliseconds. */
const NO_DESCRIPTOR_WAIT_MS = 5_000
/** How soon another process is asked for again, in milliseconds: one needs its time to start. */
const STUCK_WAIT_MS = 30_000

/** What the threads are made with. */
export interface ThreadsOptions {
  readonly count: number
  /** The module a thread runs. */
  readonly entry: URL
  readonly shared: SharedState
  readonly logPending: Int32Array
  /** Fetches for all threads. */
  readonly documents: RemoteDocuments
  /** The inherited sockets; a listener that is not among them is bound by the (only) thread. */
  readonly stock: DescriptorStock
  readonly backoff?: Partial<BackoffSettings>
  readonly watch?: Partial<WatchSettings>
  readonly suspects: Suspects
  /** Finds the addresses of a configuration's services, which is about to go live or to stay. */
  locate(document: Document): Promise<EndpointsUpdate>
  /** A thread has log lines. */
  onLog(threadIndex: number, batch: LogBatch): void
  /** A thread ended; what it held in shared state must be given back. */
  onThreadExit(threadIndex: number, reason: string): void
  /** A thread was given up and does not end: only a new gateway process can take its place. */
  onThreadStuck(threadIndex: number, reason: string): void
  /** A thread has no spare descriptors any more: its next successor needs a new gateway process. */
  onDescriptorsLow(): void
}

interface Slot {
  readonly index: number
  readonly backoff: Backoff
  thread: DataThread | null
  isServing: boolean
  timer: NodeJS.Timeout | undefined
}

interface Live {
  readonly document: Document
  readonly generation: number
}

/** A configuration that the threads refused. */
export class RefusedError extends Error {
  override name = 'RefusedError'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.problems = problems
  }
}

/** All data-plane threads. */
export class DataThreads {
  readonly #options: ThreadsOptions
  readonly #slots: readonly Slot[]
  readonly #watchdog: Watchdog
  /** Given up, and still there. */
  readonly #stuck = new Set<DataThread>()
  /** By the keys of the listeners. */
  readonly #ports = new Map<string, number>()
  #live: Live | null = null
  #endpoints: EndpointsUpdate = { services: [] }
  #generation = 0
  #isApplying = false
  /** Addresses that came while a configuration was applied. */
  #missed: EndpointsUpdate | null = null
  #state: 'starting' | 'running' | 'closing' = 'starting'
  /** Starting a thread and applying a configuration wait for each other. */
  #tail: Promise<unknown> = Promise.resolve()

  constructor(options: ThreadsOptions) {
    this.#options = options
    this.#slots = Array.from({ length: options.count }, (_, index) => ({
      index,
      backoff: new Backoff(options.backoff),
      thread: null,
      isServing: false,
      timer: undefined,
    }))
    const { shared, suspects, watch } = options
    const events = {
      onHeld: (index: number, running: Running, heldMs: number) =>
        suspects.gaveBack(index, running, heldMs, performance.now()),
      onSilent: (index: number, silentMs: number, running: Running | null) =>
        void this.#giveUp(this.#slots[index]!, silentMs, running),
    }
    this.#watchdog = new Watchdog(shared.pulse, events, watch)
  }

  /** The bound port of each listener, in the order of the document. */
  get ports(): readonly number[] {
    return listenerKeys(this.#live!.document).map((key) => this.#ports.get(key)!)
  }

  /** How many threads accept connections. */
  get serving(): number {
    return this.#slots.filter((slot) => slot.isServing).length
  }

  /** Whether any thread showed a sign of life at one of the last looks. */
  get isAlive(): boolean {
    return !this.#watchdog.isQuiet
  }

  /** The generation that serves; counts up with every configuration tried. */
  get generation(): number {
    return this.#live?.generation ?? 0
  }

  /**
   * Starts every thread on the first configuration.
   * @throws RefusedError, or Error when a thread cannot start or listen. Nothing runs then.
   */
  async start(document: Document): Promise<void> {
    this.#live = { document, generation: ++this.#generation }
    this.#endpoints = await this.#options.locate(document)
    const results = await Promise.allSettled(this.#slots.map((slot) => this.#bringUp(slot)))
    const failed = results.find((result) => result.status === 'rejected')
    if (failed !== undefined) {
      await this.drain(NO_GRACE)
      throw failed.reason
    }
    this.#state = 'running'
    this.#watchdog.start()
    for (const slot of this.#slots) if (slot.thread === null) this.#reviveLater(slot, 0)
  }

  /**
   * Has every thread prepare the configuration, then all switch; resolves when all have.
   * @throws RefusedError when one cannot; all go on with what they have.
   */
  apply(document: Document): Promise<void> {
    return this.#exclusive(async () => {
      this.#isApplying = true
      try {
        await this.#apply(document, ++this.#generation)
      } finally {
        this.#isApplying = false
        if (this.#missed !== null) await this.updateEndpoints(this.#missed)
      }
    })
  }

  /** Hands newly found addresses to every thread, those that start later included. */
  async updateEndpoints(endpoints: EndpointsUpdate): Promise<void> {
    // They may name services that no thread has yet: they go live with their configuration.
    this.#missed = this.#isApplying ? endpoints : null
    if (this.#isApplying) return
    this.#endpoints = endpoints
    await Promise.allSettled(this.#living().map((thread) => thread.updateEndpoints(endpoints)))
  }

  /** The numbers of all threads that answer, added up. */
  async stats(): Promise<Record<string, number>> {
    const sum: Record<string, number> = {}
    const results = await Promise.allSettled(this.#serving().map((thread) => thread.stats()))
    for (const result of results) {
      if (result.status === 'rejected') continue
      for (const [name, value] of Object.entries(result.value)) sum[name] = (sum[name] ?? 0) + value
    }
    return sum
  }

  /** Whether a thread cannot be ended, so that this process must be killed to end. */
  get isStuck(): boolean {
    return this.#stuck.size > 0
  }

  /**
   * Lets running exchanges end as `plan` says, and ends the threads, but those that cannot be.
   * @returns how many exchanges were cut off.
   */
  async drain(plan: DrainPlan): Promise<number> {
    this.#state = 'closing'
    this.#watchdog.stop()
    for (const slot of this.#slots) clearTimeout(slot.timer)
    this.#options.stock.close()
    const threads = this.#living()
    const cut = await Promise.all(threads.map((thread) => thread.drain(plan).catch(() => 0)))
    await Promise.all(
      threads.map(async (thread) => {
        if (!(await thread.terminate())) this.#stuck.add(thread)
      }),
    )
    return cut.reduce((sum, count) => sum + count, 0)
  }

  async #apply(document: Document, generation: number): Promise<void> {
    const threads = this.#serving()
    try {
      await prepareAll(threads, document, generation)
      this.#endpoints = await this.#options.locate(document)
      this.#missed = null
    } catch (error) {
      await Promise.allSettled(threads.map((thread) => thread.discard(generation)))
      this.#missed = await this.#options.locate(this.#live!.document)
      throw error
    }
    this.#live = { document, generation }
    const endpoints = this.#endpoints
    // A thread that fails now is replaced by one that begins with the new configuration.
    const switchOne = (thread: DataThread) =>
      thread.switchTo(generation, endpoints).catch(() => thread.terminate())
    await Promise.all(threads.map(switchOne))
  }

  #serving(): DataThread[] {
    return this.#slots.flatMap((slot) => (slot.isServing && slot.thread) || [])
  }

  #living(): DataThread[] {
    return this.#slots.flatMap((slot) => slot.thread ?? [])
  }

  #exclusive<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(task)
    this.#tail = result.catch(() => {})
    return result
  }

  async #bringUp(slot: Slot): Promise<void> {
    const { document, generation } = this.#live!
    const thread = this.#spawn(slot, document)
    try {
      await prepareAll([thread], document, generation)
      await thread.switchTo(generation, this.#endpoints)
      await this.#listen(thread, slot.index, document)
      slot.isServing = true
    } catch (error) {
      await this.#end(slot, thread, null)
      throw error
    }
  }

  #spawn(slot: Slot, document: Document): DataThread {
    const { count, documents, entry, logPending, onLog, shared } = this.#options
    const { index } = slot
    this.#watchdog.reset(index)
    const data = {
      threadIndex: index,
      shared,
      logPending,
      logLevel: document.log.level,
      plugins: document.plugins,
    }
    const thread = new DataThread(
      entry,
      data,
      documents,
      threadLimits(document.threadHeap, count),
      (batch) => onLog(index, batch),
    )
    slot.thread = thread
    void thread.exited.then((reason) => this.#onExit(slot, thread, reason))
    return thread
  }

  async #listen(thread: DataThread, threadIndex: number, document: Document): Promise<void> {
    const keys = listenerKeys(document)
    for (const [index, { host, port }] of document.listeners.entries()) {
      const key = keys[index]!
      const source = this.#source(key, threadIndex, host, this.#ports.get(key) ?? port)
      try {
        const bound = await thread.listen(key, source)
        this.#ports.set(key, this.#options.stock.port(key, bound))
      } catch (error) {
        throw describeListenError(error, 'listen', host, port)
      }
    }
    if (this.#isLow(keys, threadIndex)) this.#options.onDescriptorsLow()
  }

  #source(key: string, threadIndex: number, host: string, port: number): ListenSource {
    const { stock } = this.#options
    if (!stock.has(key)) return { host, port }
    const fd = stock.take(key, threadIndex)
    if (fd === null) throw new Error('no descriptor is left for another thread')
    return { fd }
  }

  /** Whether no descriptor is left for a successor of the thread. */
  #isLow(keys: readonly string[], threadIndex: number): boolean {
    const { stock } = this.#options
    return keys.every((key) => stock.has(key)) && stock.left(keys, threadIndex) === 0
  }

  /** Its event loop stands still. */
  async #giveUp(slot: Slot, silentMs: number, running: Running | null): Promise<void> {
    const { thread } = slot
    if (thread === null) return
    const who = running === null ? '' : `, in ${this.#options.suspects.accuse(running)}`
    const code = await thread.busyCode()
    const where = code === null ? '' : `; it was busy in ${code}`
    const reason = `it did not answer for ${seconds(silentMs)}${who}${where}`
    await this.#end(slot, thread, reason)
  }

  /** Ends a thread; #onExit has it replaced. One that does not end is nobody's business any more. */
  async #end(slot: Slot, thread: DataThread, reason: string | null): Promise<void> {
    if ((await thread.terminate(reason)) || slot.thread !== thread) return
    slot.thread = null
    slot.isServing = false
    this.#stuck.add(thread)
    this.#tellStuck(slot, reason ?? 'it could not begin to serve')
  }

  #tellStuck(slot: Slot, reason: string): void {
    if (this.#state !== 'running') return
    this.#options.onThreadStuck(slot.index, reason)
    slot.timer = setTimeout(() => this.#tellStuck(slot, reason), STUCK_WAIT_MS)
  }

  #onExit(slot: Slot, thread: DataThread, reason: string): void {
    this.#stuck.delete(thread)
    slot.thread = null
    slot.isServing = false
    this.#options.onThreadExit(slot.index, reason)
    const livedMs = performance.now() - thread.startedAt
    if (this.#state === 'running') this.#reviveLater(slot, slot.backoff.fail(livedMs))
  }

  #reviveLater(slot: Slot, delayMs: number): void {
    const revive = async () => {
      if (this.#state !== 'running') return
      const keys = listenerKeys(this.#live!.document)
      if (this.#isLow(keys, slot.index)) {
        this.#options.onDescriptorsLow()
        this.#reviveLater(slot, NO_DESCRIPTOR_WAIT_MS)
      } else await this.#bringUp(slot)
    }
    clearTimeout(slot.timer)
    // A failed start ends in #onExit, which tries again.
    slot.timer = setTimeout(() => void this.#exclusive(revive).catch(() => {}), delayMs)
  }
}

/** Has every thread prepare a configuration. @throws RefusedError with what is wrong with it. */
async function prepareAll(
  threads: readonly DataThread[],
  document: Document,
  generation: number,
): Promise<void> {
  const results = await Promise.allSettled(
    threads.map((thread) => thread.prepare(document, generation)),
  )
  const problems = results.flatMap((result) =>
    result.status === 'fulfilled' ? result.value : [(result.reason as Error).message],
  )
  if (problems.length > 0) throw new RefusedError([...new Set(problems)])
}
