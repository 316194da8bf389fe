// Endpoints that code of others finds. It runs in a thread of its own beside the control plane: what it
// throws, and what it never finishes, ends there.
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import type { DiscoveryContext } from '../../config/define-discovery.ts'
import type { EndpointList } from '../../config/endpoint-file.ts'
import { type TimerWheel, WheelTimer } from '../../lib/timer-wheel.ts'
import type {
  EndpointSource,
  SourceContext,
  SourcedEndpoint,
} from '../../proxy/upstream/discovery/endpoint-source.ts'

/** Which module, what it is given, and how its endpoints are spoken to. */
export interface ModuleSettings {
  readonly module: string
  readonly settings: Readonly<Record<string, unknown>>
  readonly scheme: 'http' | 'https'
}

interface Job extends ModuleSettings {
  readonly kind: 'gatehouse:discover'
}

/** What the thread says. */
interface Report {
  readonly kind: 'gatehouse:discovered'
  readonly endpoints: readonly SourcedEndpoint[] | null
  readonly failures: readonly string[]
}

const RESTART_MIN_MS = 1000
const RESTART_MAX_MS = 30_000
/** After so long a life the next failure is a first one again. */
const STABLE_MS = 60_000
/** How often a module is heard at the most: of what it publishes in between, the last counts. */
const PUBLISH_MS = 50
/** Of what went wrong in between, the first few are told. */
const FAIL_MS = 500
const FAILURES_MAX = 5
const REASON_LENGTH_MAX = 500
const HEAP_MB = 128
/** What it may take to end its requests before it is ended. */
const END_MS = 500

/** Makes a source of the endpoints that a module publishes. */
export function moduleSource(settings: ModuleSettings, wheel: TimerWheel): EndpointSource {
  return (context) => new ModuleThread(settings, wheel, context).start()
}

/** The thread of one module, started again when it ends. */
class ModuleThread extends WheelTimer {
  readonly #job: Job
  readonly #wheel: TimerWheel
  readonly #context: SourceContext
  #restartMs = RESTART_MIN_MS
  #startedAt = 0

  constructor(settings: ModuleSettings, wheel: TimerWheel, context: SourceContext) {
    super()
    this.#job = { ...settings, kind: 'gatehouse:discover' }
    this.#wheel = wheel
    this.#context = context
    context.signal.addEventListener('abort', () => wheel.cancel(this), { once: true })
  }

  start(): void {
    this.#startedAt = performance.now()
    const worker = new Worker(new URL(import.meta.url), {
      workerData: this.#job,
      name: 'discovery',
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
    })
    worker.unref()
    const { signal, publish, fail } = this.#context
    const end = (): void => {
      worker.postMessage('end')
      setTimeout(() => void worker.terminate(), END_MS).unref()
    }
    signal.addEventListener('abort', end, { once: true })
    worker.on('message', (message: unknown) => {
      // The module's own code may post to its parent what it likes.
      if (signal.aborted || !isReport(message)) return
      const { endpoints, failures } = message
      for (const failure of failures) fail(failure)
      if (endpoints !== null) publish(endpoints)
    })
    worker.on('error', (error) => {
      if (!signal.aborted) fail(reasonOf(error))
    })
    worker.once('exit', () => {
      signal.removeEventListener('abort', end)
      if (!signal.aborted) this.#restartLater()
    })
  }

  override onTimeout(): void {
    this.start()
  }

  #restartLater(): void {
    const isStable = performance.now() - this.#startedAt > STABLE_MS
    if (isStable) this.#restartMs = RESTART_MIN_MS
    this.#wheel.arm(this, this.#restartMs)
    this.#restartMs = Math.min(this.#restartMs * 2, RESTART_MAX_MS)
  }
}

// ---- in the thread --------------------------------------------------------------------------------------

/** What the module said since it was last heard. */
class Reports {
  readonly #read: (list: unknown) => EndpointList
  #endpoints: readonly SourcedEndpoint[] | null = null
  #failures: string[] = []
  #endpointsTimer: NodeJS.Timeout | undefined
  #failuresTimer: NodeJS.Timeout | undefined
  /** What was said last: the same again is no news. */
  #knownEndpoints = ''
  #knownFailure = ''

  constructor(read: (list: unknown) => EndpointList) {
    this.#read = read
  }

  publish(list: unknown): void {
    const { endpoints, problems } = this.#read(list)
    if (problems !== null) {
      this.fail(`what it published cannot be used: ${problems.join('; ')}`)
      return
    }
    this.#endpoints = endpoints
    this.#knownFailure = ''
    this.#endpointsTimer ??= setTimeout(() => this.#tellEndpoints(), PUBLISH_MS)
  }

  fail(error: unknown): void {
    const reason = reasonOf(error)
    if (reason === this.#knownFailure) return
    this.#knownFailure = reason
    if (this.#failures.length < FAILURES_MAX) this.#failures.push(reason)
    this.#failuresTimer ??= setTimeout(() => this.#tellFailures(), FAIL_MS)
  }

  /** Says what is left to say. */
  flush(): void {
    if (this.#endpoints !== null) this.#tellEndpoints()
    if (this.#failures.length > 0) this.#tellFailures()
  }

  #tellEndpoints(): void {
    clearTimeout(this.#endpointsTimer)
    this.#endpointsTimer = undefined
    const endpoints = this.#endpoints
    const known = JSON.stringify(endpoints)
    if (known === this.#knownEndpoints) return
    this.#knownEndpoints = known
    this.#tell(endpoints, [])
  }

  #tellFailures(): void {
    clearTimeout(this.#failuresTimer)
    this.#failuresTimer = undefined
    this.#tell(null, this.#failures)
    this.#failures = []
  }

  #tell(endpoints: Report['endpoints'], failures: readonly string[]): void {
    parentPort!.postMessage({ kind: 'gatehouse:discovered', endpoints, failures } satisfies Report)
  }
}

function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return (text.split('\n', 1)[0] ?? '').slice(0, REASON_LENGTH_MAX)
}

async function run({ module, settings, scheme }: Job): Promise<void> {
  // Only here: whoever started the thread stays small.
  const { importDiscovery } = await import('../../config/discovery-module.ts')
  const { toEndpoints } = await import('../../config/endpoint-file.ts')
  const ending = new AbortController()
  const reports = new Reports((list) => toEndpoints(list, scheme))
  parentPort!.once('message', () => {
    ending.abort()
    // What still runs has been told; whatever goes on is ended from outside.
    parentPort!.unref()
  })
  const context: DiscoveryContext = {
    signal: ending.signal,
    publish: (endpoints) => reports.publish(endpoints),
    fail: (error) => reports.fail(error),
  }
  try {
    const definition = await importDiscovery(module)
    await definition.watch(await definition.settings.parseAsync(settings), context)
  } catch (error) {
    if (ending.signal.aborted) return
    reports.flush()
    throw error
  }
}

function isJob(data: unknown): data is Job {
  return kindOf(data) === 'gatehouse:discover'
}

function isReport(data: unknown): data is Report {
  return kindOf(data) === 'gatehouse:discovered'
}

function kindOf(data: unknown): unknown {
  return typeof data === 'object' && data !== null && 'kind' in data ? data.kind : null
}

if (!isMainThread && isJob(workerData)) {
  // Not awaited: the module may import the whole of Gatehouse, and so this very file.
  run(workerData).catch((error) => {
    setImmediate(() => {
      throw error
    })
  })
}
