// A named upstream as one thread runs it: its endpoints, how one is picked, and the connections to each.
import type { ErrorCode } from '../../errors.ts'
import type { BalancedRequest, Picker, PickerFactory, SharedTurns } from './balancers/balancer.ts'
import { StickyPicker } from './balancers/sticky.ts'
import { type BreakerSettings, CircuitBreaker } from './circuit-breaker.ts'
import {
  ConcurrencyGate,
  type ConcurrencySettings,
  type GateCounters,
} from './concurrency/concurrency-gate.ts'
import { ConnectionPool, type PoolEnvironment, type PoolSettings } from './connection-pool.ts'
import type { DeadlineSettings } from './deadline.ts'
import type { Endpoint } from './endpoint.ts'
import { type HealthSettings, ServiceHealth } from './health/service-health.ts'
import { LatencySketch } from './latency-sketch.ts'
import { backoffMs, type HedgeSettings, type RetrySettings } from './retries.ts'
import { RetryBudget } from './retry-budget.ts'
import { EndpointTls, type UpstreamTls } from './upstream-tls.ts'

/** Counts what a service answers; see observability. */
export interface ServiceCounters {
  /** The queue in front of it. */
  readonly concurrency: GateCounters
  /** An attempt has its answer's head, or failed (`status` 0). */
  attempt(status: number, latencyMs: number): void
  /** Why an attempt failed. */
  error(code: ErrorCode): void
  retry(): void
  /** The budget had no room for a retry. */
  retryRefused(): void
  /** A request was sent to another endpoint while the first one took long. */
  hedge(): void
  /** Its answer was the first good one. */
  hedgeWon(): void
  /** The budget had no room for it. */
  hedgeRefused(): void
  /** This thread ejected an endpoint. */
  ejected(): void
  /** This thread opened the breaker. */
  circuitOpened(): void
  /** A request met the open breaker. */
  circuitRefused(): void
  connectionOpened(): void
  queued(): void
  queueTimeout(): void
}

/** How the Host field of a forwarded request is made. */
export interface HostHeader {
  readonly kind: 'preserve' | 'endpoint' | 'literal'
  readonly value: string | null
}

/** What is answered in place of a service whose breaker is open: a reply, or what another one says. */
export type Fallback =
  | { readonly service: Service }
  | {
      readonly status: number
      readonly headers: Readonly<Record<string, readonly string[]>>
      readonly body: string
    }

/** What the configuration says of a service, compiled. */
export interface ServiceSettings {
  readonly name: string
  readonly pool: PoolSettings
  readonly queueTimeoutMs: number
  /** From the beginning of an attempt to the answer's head, without the wait in a queue; 0: no such bound. */
  readonly attemptTimeoutMs: number
  readonly retries: RetrySettings
  readonly hedge: HedgeSettings | null
  readonly health: HealthSettings
  /** Statuses that say that the endpoint cannot serve. */
  readonly failureStatuses: ReadonlySet<number>
  readonly deadline: DeadlineSettings | null
  readonly breaker: BreakerSettings | null
  readonly concurrency: ConcurrencySettings | null
  readonly fallback: Fallback | null
  readonly hostHeader: HostHeader
  /** For https endpoints, else null. */
  readonly tls: UpstreamTls | null
  readonly picker: PickerFactory
  readonly counters: ServiceCounters
}

/** What an endpoint in its slow start does not take may fall on others in theirs; so often it is looked on. */
const OTHER_PICKS_MAX = 5

/** One service in one thread. Lives as long as its name is configured; settings may change. */
export class Service {
  readonly name: string
  readonly #environment: PoolEnvironment
  readonly #random: () => number
  #settings: ServiceSettings | null = null
  /** The first of those that hold the same, so that its sessions live on. */
  #tls: UpstreamTls | null = null
  readonly budget: RetryBudget
  /** Null: there is none, or no endpoint to protect. */
  breaker: CircuitBreaker | null = null
  /** How long answers take; null where no hedge goes by that. */
  latencies: LatencySketch | null = null
  /** Bounds the requests in flight; null: nothing does, or there is no endpoint to protect. */
  concurrency: ConcurrencyGate | null = null
  #gate: ConcurrencyGate | null = null
  readonly #health: ServiceHealth
  /** What a pick leaves out besides those tried, while endpoints come back. */
  readonly #skipped: Endpoint[] = []
  readonly #pools = new Map<Endpoint, ConnectionPool>()
  #endpoints: readonly Endpoint[] = []
  #picker: Picker | null = null
  #isClosed = false

  constructor(name: string, random: () => number, environment: PoolEnvironment) {
    this.name = name
    this.#random = random
    this.#environment = environment
    this.#health = new ServiceHealth(environment.table.health)
    this.budget = new RetryBudget(environment.table.health)
  }

  /** Those of the live snapshot. */
  get settings(): ServiceSettings {
    if (this.#settings === null) throw new Error(`service ${this.name} is not configured yet`)
    return this.#settings
  }

  get endpoints(): readonly Endpoint[] {
    return this.#endpoints
  }

  get pools(): Iterable<ConnectionPool> {
    return this.#pools.values()
  }

  /** Takes new settings or endpoints. Pools of endpoints that stay are kept, others close gently. */
  configure(settings: ServiceSettings, endpoints: readonly Endpoint[], turns: SharedTurns): void {
    const tlsChanged = settings.tls?.contents !== this.#tls?.contents
    if (tlsChanged) this.#tls = settings.tls
    this.#settings = settings
    this.#endpoints = endpoints
    const { breaker, concurrency, hedge, retries } = settings
    const { health } = this.#environment.table
    const first = endpoints[0]
    this.#health.configure(settings.health, endpoints)
    this.budget.configure(retries.budget, first?.serviceSlot ?? 0)
    this.breaker =
      breaker === null || first === undefined
        ? null
        : new CircuitBreaker(health, first.serviceSlot, breaker)
    const quantile = hedge?.quantile ?? 0
    if (quantile === 0) this.latencies = null
    else if (this.latencies?.quantile !== quantile) {
      this.latencies = new LatencySketch(quantile, this.#environment.table.clock)
    }
    this.#bound(first === undefined ? null : concurrency, first?.serviceSlot ?? 0)
    const context = { turns, random: this.#random, zones: this.#health.zones }
    this.#picker = endpoints.length === 0 ? null : settings.picker(endpoints, context)
    for (const [endpoint, pool] of this.#pools) {
      if (tlsChanged || !endpoints.includes(endpoint)) {
        this.#pools.delete(endpoint)
        pool.close()
      } else pool.configure(settings.pool)
    }
  }

  /** Where the next attempt goes; null when no endpoint is left to try. */
  pick(request: BalancedRequest, tried: readonly Endpoint[]): Endpoint | null {
    const picker = this.#picker
    if (picker === null) return null
    this.#health.update()
    const picked = picker.pick(request, tried)
    if (picked === null || !this.#health.isRamping) return picked
    const isRetry = tried.length > 0
    if (this.#health.takes(picked, this.#random(), isRetry)) return picked
    const skipped = this.#skipped
    for (let i = 0; i < tried.length; i++) skipped.push(tried[i]!)
    let other: Endpoint | null = picked
    for (let i = 0; i < OTHER_PICKS_MAX && other !== null; i++) {
      skipped.push(other)
      other = picker.pick(request, skipped)
      if (other !== null && this.#health.takes(other, this.#random(), isRetry)) break
    }
    skipped.length = 0
    return other ?? picked
  }

  /** Whether an endpoint is left that requests may go to and that is not in `tried`. */
  hasOther(tried: readonly Endpoint[], last: Endpoint | null): boolean {
    this.#health.update()
    const endpoints = this.#endpoints
    for (let i = 0; i < endpoints.length; i++) {
      const endpoint = endpoints[i]!
      if (endpoint.usable && endpoint !== last && !tried.includes(endpoint)) return true
    }
    return false
  }

  /** An attempt is over, and says something of its endpoint; see Endpoint.end. */
  ended(endpoint: Endpoint, latencyMs: number, failed: boolean): void {
    endpoint.end(latencyMs, failed)
    if (this.#health.note(endpoint, failed)) this.settings.counters.ejected()
  }

  /** How long to wait before retry number `retry` (1, 2, ...), in ms. */
  backoffMs(settings: RetrySettings, retry: number): number {
    return backoffMs(settings, retry, this.#random())
  }

  /** The Set-Cookie value that keeps the caller at the endpoint; null where none is due. */
  stickyCookie(request: BalancedRequest, endpoint: Endpoint): string | null {
    const picker = this.#picker
    return picker instanceof StickyPicker ? picker.cookieFor(endpoint, request) : null
  }

  /** Reads the files of its TLS settings again. @throws Error as UpstreamTls.reload does. */
  async reloadCertificates(): Promise<boolean> {
    return this.#tls === null ? false : await this.#tls.reload()
  }

  /** The connections to an endpoint. */
  pool(endpoint: Endpoint): ConnectionPool {
    const known = this.#pools.get(endpoint)
    if (known !== undefined) return known
    const { clock } = this.#environment.table
    const target = {
      host: endpoint.host,
      port: endpoint.port,
      tls: this.#tls === null ? null : new EndpointTls(this.#tls, endpoint.serverName, clock),
    }
    const { pool } = this.settings
    const made = new ConnectionPool(target, endpoint.slot, pool, this.#environment)
    this.#pools.set(endpoint, made)
    // An exchange from before a reload still goes there; nobody else will.
    if (this.#isClosed || !this.#endpoints.includes(endpoint)) made.close()
    return made
  }

  /** The gate stays the same while the service lives: requests hold places of it, or wait. */
  #bound(settings: ConcurrencySettings | null, serviceSlot: number): void {
    const { table, wheel } = this.#environment
    if (settings !== null && this.#gate === null) {
      const { clock, concurrency: shared } = table
      this.#gate = new ConcurrencyGate({ shared, clock, wheel }, this.settings.counters.concurrency)
    }
    this.concurrency = settings === null ? null : this.#gate
    this.#gate?.configure(settings, serviceSlot)
  }

  /** Closes all that is idle, and the rest as it comes back; exchanges that go on may still use it. */
  close(): void {
    this.#isClosed = true
    this.#bound(null, 0)
    for (const pool of this.#pools.values()) pool.close()
    this.#pools.clear()
  }
}
