// Watches the addresses of one name: asks again when their time to live is over, and reports changes.
import type { TimerWheel } from '../../../lib/timer-wheel.ts'
import { type LookupBounds, RepeatedLookup } from './repeated-lookup.ts'
import type { FailedResolution, NameResolver, Resolution, ResolveFailure } from './resolver.ts'

/** What is watched, and how closely. */
export interface DiscoverySettings extends LookupBounds {
  /** A name or a literal address. */
  readonly host: string
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

type Found = Extract<Resolution, { failure: null }>

/** One watched name. */
export class Discovery extends RepeatedLookup<Found> {
  readonly #host: string
  readonly #resolver: NameResolver
  readonly #observer: DiscoveryObserver
  #addresses: readonly string[] = []

  constructor(
    settings: DiscoverySettings,
    resolver: NameResolver,
    wheel: TimerWheel,
    observer: DiscoveryObserver,
  ) {
    super(settings, wheel)
    this.#host = settings.host
    this.#resolver = resolver
    this.#observer = observer
  }

  /** The addresses as known now, sorted. */
  get addresses(): readonly string[] {
    return this.#addresses
  }

  protected override ask(): Promise<Resolution> {
    return this.#resolver.resolve(this.#host)
  }

  protected override take({ addresses }: Found): number {
    this.#replace(addresses.map(({ ip }) => ip))
    return Math.min(...addresses.map((address) => address.ttlMs))
  }

  protected override fail({ failure, reason }: FailedResolution): void {
    this.#observer.onFailure(failure, reason)
    if (failure === 'nxdomain') this.#replace([])
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
