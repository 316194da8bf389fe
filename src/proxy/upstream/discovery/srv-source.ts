// The endpoints that SRV records name (RFC 2782): priorities become tiers, weights stay weights.
import type { TimerWheel } from '../../../lib/timer-wheel.ts'
import type { SrvRecord } from './dns-message.ts'
import { ENDPOINTS_MAX, type EndpointSource, type SourceContext } from './endpoint-source.ts'
import { type LookupBounds, RepeatedLookup } from './repeated-lookup.ts'
import type { FailedResolution, SrvResolution, SrvResolver } from './resolver.ts'
import { endpointsOf } from './srv-endpoints.ts'

type Found = Extract<SrvResolution, { failure: null }>

/** Which name, and how closely it is watched. */
export interface SrvSettings extends LookupBounds {
  readonly name: string
}

/** Makes a source of the endpoints that the SRV records of a name give. */
export function srvSource(
  settings: SrvSettings,
  resolver: SrvResolver,
  wheel: TimerWheel,
): EndpointSource {
  return (context) => {
    const lookup = new SrvLookup(settings, resolver, wheel, context)
    context.signal.addEventListener('abort', () => lookup.stop(), { once: true })
    void lookup.start()
  }
}

class SrvLookup extends RepeatedLookup<Found> {
  readonly #name: string
  readonly #resolver: SrvResolver
  readonly #context: SourceContext
  /** The last answer in an order of its own: name servers rotate theirs. */
  #known = ''

  constructor(
    settings: SrvSettings,
    resolver: SrvResolver,
    wheel: TimerWheel,
    context: SourceContext,
  ) {
    super(settings, wheel)
    this.#name = settings.name
    this.#resolver = resolver
    this.#context = context
  }

  protected override async ask(): Promise<SrvResolution> {
    const answer = await this.#resolver.resolveSrv(this.#name)
    if (answer.failure !== null) return answer
    const { records } = answer
    if (records.length > ENDPOINTS_MAX) {
      return {
        failure: 'temporary',
        reason: `${this.#name}: ${records.length} records; at most ${ENDPOINTS_MAX} are used`,
      }
    }
    // "the service is decidedly not available at this domain"
    if (records.every(({ target }) => target === '')) {
      return { failure: 'nxdomain', reason: `${this.#name}: the service is not available there` }
    }
    return answer
  }

  protected override take({ records, ttlMs }: Found): number {
    this.#publish(records)
    return ttlMs
  }

  protected override fail({ failure, reason }: FailedResolution): void {
    this.#context.fail(`${failure}: ${reason}`)
    if (failure === 'nxdomain') this.#publish([])
  }

  #publish(records: readonly SrvRecord[]): void {
    const endpoints = endpointsOf(records)
    const known = JSON.stringify(endpoints)
    if (known === this.#known) return
    this.#known = known
    this.#context.publish(endpoints)
  }
}
