// What the sources of all services say: the endpoints that are in use, and the names in them, which are
// looked up once for all services.
import { isIP } from 'node:net'
import type { ServiceDocument } from '../../config/schema.ts'
import type { TimerWheel } from '../../lib/timer-wheel.ts'
import { Discovery } from '../../proxy/upstream/discovery/discovery.ts'
import type { SourcedEndpoint } from '../../proxy/upstream/discovery/endpoint-source.ts'
import { type EndpointResolver, sourceKey, sourceOf } from './service-source.ts'

/** Who is told. */
export interface SourcesObserver {
  /** Endpoints or their addresses are others than before. */
  onChange(): void
  /** A line for the log; what was known stays, unless a name is gone. */
  onProblem(message: string): void
}

interface Bounds {
  readonly minTtlMs: number
  readonly maxTtlMs: number
}

interface Name {
  readonly discovery: Discovery
  readonly bounds: Bounds
  readonly first: Promise<void>
  isAnswered: boolean
  /** Whether the last look-up said something definite. */
  isDecided: boolean
}

interface Sourced {
  readonly key: string
  /** The same source, perhaps watched in another way: what was known of it stays true. */
  readonly place: string
  readonly abort: AbortController
  bounds: Bounds
  /** In use. */
  live: readonly SourcedEndpoint[]
  /** Published, and waiting for the addresses of its names; null if nothing is. */
  next: readonly SourcedEndpoint[] | null
  /** Settled when the source has said anything. */
  readonly first: Promise<void>
}

/** The endpoints of all services, as their sources have them. */
export class SourcedServices {
  readonly #resolver: EndpointResolver
  readonly #wheel: TimerWheel
  readonly #observer: SourcesObserver
  readonly #services = new Map<string, Sourced>()
  readonly #names = new Map<string, Name>()

  constructor(resolver: EndpointResolver, wheel: TimerWheel, observer: SourcesObserver) {
    this.#resolver = resolver
    this.#wheel = wheel
    this.#observer = observer
  }

  /** Takes the services there are now. Sources and names that stay the same go on. */
  configure(services: readonly ServiceDocument[]): void {
    const wanted = new Map(services.map((service) => [service.name, service]))
    for (const [name, sourced] of this.#services) {
      const service = wanted.get(name)
      if (service !== undefined && sourceKey(service) === sourced.key) {
        sourced.bounds = service.dns
        continue
      }
      sourced.abort.abort()
      this.#services.delete(name)
      if (service?.discover != null) this.#start(service, sourced)
    }
    for (const service of services) {
      if (!this.#services.has(service.name)) this.#start(service, null)
    }
    this.#followNames()
  }

  /** Settled when every source has said something and every name in it was looked up once. */
  async known(): Promise<void> {
    await Promise.all(Array.from(this.#services.values(), ({ first }) => first))
    await Promise.all(Array.from(this.#names.values(), ({ first }) => first))
  }

  /** The endpoints of a service in use. */
  endpoints(service: string): readonly SourcedEndpoint[] {
    return this.#services.get(service)?.live ?? []
  }

  /** The addresses of a host, or the host itself if it is one. */
  addresses(host: string): readonly string[] {
    return isIP(host) === 0 ? (this.#names.get(host)?.discovery.addresses ?? []) : [host]
  }

  close(): void {
    for (const { abort } of this.#services.values()) abort.abort()
    for (const { discovery } of this.#names.values()) discovery.stop()
    this.#services.clear()
    this.#names.clear()
  }

  #start(service: ServiceDocument, before: Sourced | null): void {
    const place = JSON.stringify(service.discover)
    const { promise, resolve } = Promise.withResolvers<void>()
    const abort = new AbortController()
    const { signal } = abort
    const sourced: Sourced = {
      key: sourceKey(service),
      place,
      abort,
      bounds: service.dns,
      live: before?.place === place ? before.live : [],
      next: null,
      first: promise,
    }
    this.#services.set(service.name, sourced)
    signal.addEventListener('abort', () => resolve(), { once: true })
    sourceOf(
      service,
      this.#resolver,
      this.#wheel,
    )({
      signal,
      publish: (endpoints) => {
        if (signal.aborted) return
        sourced.next = endpoints
        this.#followNames()
        resolve()
        this.#settle()
      },
      fail: (reason) => {
        if (signal.aborted) return
        this.#observer.onProblem(`the endpoints of ${service.name}: ${reason}`)
        resolve()
      },
    })
  }

  /** Follows the names that are needed, and no others. */
  #followNames(): void {
    const wanted = new Map<string, Bounds>()
    for (const { live, next, bounds } of this.#services.values()) {
      for (const { host } of live) if (isIP(host) === 0) wanted.set(host, bounds)
      for (const { host } of next ?? []) if (isIP(host) === 0) wanted.set(host, bounds)
    }
    for (const [host, name] of this.#names) {
      const bounds = wanted.get(host)
      if (bounds !== undefined && sameBounds(bounds, name.bounds)) continue
      name.discovery.stop()
      this.#names.delete(host)
    }
    for (const [host, bounds] of wanted) if (!this.#names.has(host)) this.#follow(host, bounds)
  }

  #follow(host: string, bounds: Bounds): void {
    const settings = { host, ttlMinMs: bounds.minTtlMs, ttlMaxMs: bounds.maxTtlMs }
    const discovery = new Discovery(settings, this.#resolver, this.#wheel, {
      onChange: () => {
        name.isDecided = true
        if (!this.#settle()) this.#observer.onChange()
      },
      onFailure: (failure, reason) => {
        name.isDecided = failure === 'nxdomain'
        this.#observer.onProblem(`the name ${host} was not found (${failure}: ${reason})`)
      },
    })
    const first = discovery.start().then(() => {
      name.isAnswered = true
      this.#settle()
    })
    const name: Name = { discovery, bounds, first, isAnswered: false, isDecided: false }
    this.#names.set(host, name)
  }

  /** Puts to use what was published, as far as the addresses are known. @returns whether it told. */
  #settle(): boolean {
    let isChanged = false
    for (const sourced of this.#services.values()) {
      const { next, live } = sourced
      if (next === null || !this.#isReady(next, live.length === 0)) continue
      sourced.live = next
      sourced.next = null
      isChanged = true
    }
    if (!isChanged) return false
    this.#followNames()
    this.#observer.onChange()
    return true
  }

  /**
   * A list takes the place of another when all its names were looked up, and it has an address or is known
   * to have none: last good addresses stay when nobody could say. Where there is nothing to lose, the
   * first address suffices.
   */
  #isReady(endpoints: readonly SourcedEndpoint[], isFirst: boolean): boolean {
    const names = endpoints.flatMap(({ host }) => this.#names.get(host) ?? [])
    const hasAddress = endpoints.some(({ host }) => this.addresses(host).length > 0)
    if (isFirst && hasAddress) return true
    if (names.some(({ isAnswered }) => !isAnswered)) return false
    return hasAddress || names.every(({ isDecided }) => isDecided)
  }
}

function sameBounds(one: Bounds, other: Bounds): boolean {
  return one.minTtlMs === other.minTtlMs && one.maxTtlMs === other.maxTtlMs
}
