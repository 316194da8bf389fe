// One address of a service, with its live state as one thread sees it.
import type { Clock } from '../../lib/clock.ts'
import type { EndpointTable } from './endpoint-table.ts'

/** What the configuration, or discovery, says of an endpoint. */
export interface EndpointSettings {
  /** 'service|address': what its live state is kept under. */
  readonly key: string
  /** 'host:port' as written; all addresses of one name share it. */
  readonly address: string
  /** What is connected to: an address, or a name that was not looked up. */
  readonly host: string
  readonly port: number
  /** Whether it is spoken to over TLS. */
  readonly secure: boolean
  /** The name its certificate must carry, sent as SNI. */
  readonly serverName: string
  /** Its share relative to the others; above 0. */
  readonly weight: number
  /** 0 is used first; those of a greater number only when too few of the smaller ones can be. */
  readonly priority: number
  /** Where it is, if that is known. */
  readonly zone?: string | null
  /** Its place in the EndpointTable. */
  readonly slot: number
  /** The place of its service there. */
  readonly serviceSlot: number
}

// Not a whole number, so that the field is a double from the start.
const UNKNOWN_LATENCY_MS = -1.5
/** How long the memory of a latency lasts: after this time a past one counts 1/e. */
const LATENCY_MEMORY_MS = 10_000
/** A failure counts as an answer that took this many times the usual, within these bounds. */
const FAILURE_FACTOR = 4
const FAILURE_LATENCY_MIN_MS = 100
const FAILURE_LATENCY_MAX_MS = 10_000
/** So long after a failure with nothing since, an endpoint is tried as if it were new; as an ejection lasts. */
const FAILURE_MEMORY_MS = 10_000

/**
 * Requests in flight are shared by all threads. The latency is this thread's own: it
 * includes the delay of the thread's event loop, and a thread that stalls must not spoil what the
 * others know. What the others send there is seen at once, through the requests in flight.
 */
export class Endpoint {
  readonly key: string
  readonly address: string
  readonly host: string
  readonly port: number
  readonly secure: boolean
  readonly serverName: string
  readonly slot: number
  readonly serviceSlot: number
  /** These three change only when a configuration is applied, or by discovery. */
  weight: number
  priority: number
  zone: string | null
  /** Whether requests may go there: what ServiceHealth made of the shared state. */
  usable = true
  readonly #table: EndpointTable
  readonly #clock: Clock
  // Below 0 until an answer was seen.
  #latencyMs = UNKNOWN_LATENCY_MS
  #observedAt = -0.5
  /** Whether what was observed last was a failure. */
  #hasFailed = false

  constructor(table: EndpointTable, settings: EndpointSettings) {
    this.key = settings.key
    this.address = settings.address
    this.host = settings.host
    this.port = settings.port
    this.secure = settings.secure
    this.serverName = settings.serverName
    this.slot = settings.slot
    this.serviceSlot = settings.serviceSlot
    this.weight = settings.weight
    this.priority = settings.priority
    this.zone = settings.zone ?? null
    this.#table = table
    this.#clock = table.clock
  }

  /** Requests in flight, over all threads. */
  inFlight(): number {
    return this.#table.inFlight(this.slot)
  }

  /** An attempt goes there. Every `begin` is followed by one `end`. */
  begin(): void {
    this.#table.changeInFlight(this.slot, 1)
  }

  /**
   * An attempt is over. `latencyMs` is the time to the response head, or to the failure; `failed`
   * says that the endpoint failed, not that its answer was an error of the client's.
   */
  end(latencyMs: number, failed: boolean): void {
    this.#table.changeInFlight(this.slot, -1)
    const now = this.#clock.now()
    const known = this.#isFailureOver(now) ? UNKNOWN_LATENCY_MS : this.#latencyMs
    const seen = failed ? penalty(latencyMs, known) : latencyMs
    if (seen >= known) {
      // A rise is believed at once, a fall only over time: queues build up faster than they drain.
      this.#latencyMs = seen
    } else {
      const memory = Math.exp((this.#observedAt - now) / LATENCY_MEMORY_MS)
      this.#latencyMs = known * memory + seen * (1 - memory)
    }
    this.#observedAt = now
    this.#hasFailed = failed
  }

  /** An attempt is over that says nothing of the endpoint: the client went away. */
  cancel(): void {
    this.#table.changeInFlight(this.slot, -1)
  }

  /**
   * An attempt was given up for one that had begun later and was answered first: its latency would
   * have been `waitedMs` at least. That can make the endpoint look slower, never faster.
   */
  outrun(waitedMs: number): void {
    this.#table.changeInFlight(this.slot, -1)
    if (waitedMs <= this.latencyMs()) return
    this.#latencyMs = waitedMs
    this.#observedAt = this.#clock.now()
  }

  /** What was seen of it counts no more: it was out of use since. */
  forgetLatency(): void {
    this.#latencyMs = UNKNOWN_LATENCY_MS
  }

  /**
   * The peak-sensitive moving average of the latency this thread saw, in ms; below 0 when it saw
   * none. Forgotten little by little while this thread sends nothing there, so that an endpoint
   * that was slow once is tried again; and all at once some time after it failed, for a latency
   * that was made up says nothing of how long that takes to pass.
   */
  latencyMs(): number {
    if (this.#latencyMs <= 0 || this.#table.inFlightHere(this.slot) > 0) return this.#latencyMs
    const now = this.#clock.now()
    if (this.#isFailureOver(now)) return UNKNOWN_LATENCY_MS
    return this.#latencyMs * Math.exp((this.#observedAt - now) / LATENCY_MEMORY_MS)
  }

  #isFailureOver(now: number): boolean {
    return this.#hasFailed && now - this.#observedAt >= FAILURE_MEMORY_MS
  }
}

// Failing fast must not look like answering fast.
function penalty(latencyMs: number, knownMs: number): number {
  const usual = Math.max(knownMs * FAILURE_FACTOR, FAILURE_LATENCY_MIN_MS)
  return Math.max(latencyMs, Math.min(usual, FAILURE_LATENCY_MAX_MS))
}

/** A thread's endpoints. The same place in the table is the same Endpoint, whatever is reloaded. */
export class EndpointRegistry {
  readonly #table: EndpointTable
  readonly #endpoints = new Map<string, Endpoint>()

  constructor(table: EndpointTable) {
    this.#table = table
  }

  /** The endpoint of `settings.key`, with its live state and the weight, priority and zone of `settings`. */
  get(settings: EndpointSettings): Endpoint {
    const known = this.#endpoints.get(settings.key)
    if (known !== undefined && isSame(known, settings)) {
      known.weight = settings.weight
      known.priority = settings.priority
      known.zone = settings.zone ?? null
      return known
    }
    const made = new Endpoint(this.#table, settings)
    this.#endpoints.set(settings.key, made)
    return made
  }

  /** Forgets all endpoints but `used`; returns those forgotten. */
  retain(used: ReadonlySet<Endpoint>): Endpoint[] {
    const gone: Endpoint[] = []
    for (const endpoint of this.#endpoints.values()) {
      if (!used.has(endpoint)) gone.push(endpoint)
    }
    for (const endpoint of gone) this.#endpoints.delete(endpoint.key)
    return gone
  }
}

function isSame(endpoint: Endpoint, settings: EndpointSettings): boolean {
  return (
    endpoint.slot === settings.slot &&
    endpoint.serviceSlot === settings.serviceSlot &&
    endpoint.address === settings.address &&
    endpoint.secure === settings.secure &&
    endpoint.serverName === settings.serverName
  )
}
