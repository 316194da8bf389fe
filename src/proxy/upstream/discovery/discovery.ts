// Watches the addresses of one name: asks again when their time to live is over, and reports changes.
import { type TimerWheel, WheelTimer } from '../../../lib/timer-wheel.ts'
import type { NameResolver, Resolution, ResolveFailure } from './resolver.ts'

/** What is watched, and how closely. */
export interface DiscoverySettings {
  /** A name or a literal address. */
  readonly host: string
  /** Times to live below this, and none at all, count as this. */
  readonly ttlMinMs: number
  /** Times to live above this count as this. */
  readonly ttlMaxMs: number
}

/** How the set of addresses changed; all lists are sorted. */
export interface AddressChange {
  readonly addresses: readonly string[]
  readonly added: readonly string[]
  readonly removed: readonly string[]
}

/** Who is told. */
export interface DiscoveryObserver {
  /** The set of addresses is another than before; never called for the same set again. */
  onChange(change: AddressChange): void
  /** A look-up failed, for the log; the addresses stay (temporary) or go (nxdomain). */
  onFailure(failure: ResolveFailure, reason: string): void
}

const RETRY_MIN_MS = 500
const RETRY_MAX_MS = 30_000

/**
 * One watched name. When nobody could answer, the last good addresses stay and the question is
 * repeated ever more slowly; when the answer is that there is no such name, they go.
 */
export class Discovery extends WheelTimer {
  readonly #settings: DiscoverySettings
  readonly #resolver: NameResolver
  readonly #wheel: TimerWheel
  readonly #observer: DiscoveryObserver
  #addresses: readonly string[] = []
  #failures = 0
  #stopped = false

  constructor(
    settings: DiscoverySettings,
    resolver: NameResolver,
    wheel: TimerWheel,
    observer: DiscoveryObserver,
  ) {
    super()
    this.#settings = settings
    this.#resolver = resolver
    this.#wheel = wheel
    this.#observer = observer
  }

  /** The addresses as known now, sorted. */
  get addresses(): readonly string[] {
    return this.#addresses
  }

  /** How often in a row the look-up failed by now. */
  get failures(): number {
    return this.#failures
  }

  /** Asks for the first time; settled when the answer, or the failure, was reported. Never rejects. */
  start(): Promise<void> {
    return this.#look()
  }

  /** Ends the watch; nothing is reported any more. */
  stop(): void {
    this.#stopped = true
    this.#wheel.cancel(this)
  }

  override onTimeout(): void {
    void this.#look()
  }

  async #look(): Promise<void> {
    const resolution = await this.#resolver.resolve(this.#settings.host)
    if (this.#stopped) return
    const delayMs = resolution.failure === null ? this.#take(resolution) : this.#fail(resolution)
    if (delayMs < Number.POSITIVE_INFINITY) this.#wheel.arm(this, delayMs)
  }

  #take({ addresses }: Extract<Resolution, { failure: null }>): number {
    this.#failures = 0
    this.#replace(addresses.map(({ ip }) => ip))
    const ttlMs = Math.min(...addresses.map((address) => address.ttlMs))
    if (ttlMs === Number.POSITIVE_INFINITY) return ttlMs
    return Math.min(Math.max(ttlMs, this.#settings.ttlMinMs), this.#settings.ttlMaxMs)
  }

  #fail({ failure, reason }: Extract<Resolution, { reason: string }>): number {
    this.#failures += 1
    this.#observer.onFailure(failure, reason)
    if (failure === 'nxdomain') this.#replace([])
    const delayMs = RETRY_MIN_MS * 2 ** Math.min(this.#failures - 1, 10)
    return Math.min(delayMs, RETRY_MAX_MS, this.#settings.ttlMaxMs)
  }

  // Sorted, because name servers rotate their answers, and all threads must see one order.
  #replace(ips: readonly string[]): void {
    const before = this.#addresses
    const addresses = [...new Set(ips)].sort()
    const added = addresses.filter((ip) => !before.includes(ip))
    const removed = before.filter((ip) => !addresses.includes(ip))
    if (added.length === 0 && removed.length === 0) return
    this.#addresses = addresses
    this.#observer.onChange({ addresses, added, removed })
  }
}
