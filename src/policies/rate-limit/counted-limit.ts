// One limit of a rate-limit policy: its keys, what clients are told of it, and consumers' own ones.
import type { ConsumerDirectory } from '../../proxy/pipeline/consumer.ts'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import type { PolicyEnvironment } from '../../proxy/pipeline/policy.ts'
import type { Reply } from '../../proxy/pipeline/reply.ts'
import type { Limit } from '../../state/store.ts'
import { keyPrefix, LimitKeyReader } from '../limit-key.ts'
import type { LimitSettings } from './settings.ts'

/** A limit with all that depends on its numbers. */
export interface Numbers {
  readonly limit: Limit
  readonly keyPrefix: string
  /** Item of RateLimit-Policy. */
  readonly policyItem: string
  /** How long one unit lasts at the permitted rate, in seconds. */
  readonly unitSeconds: number
  readonly refusal: Reply
  /** For requests that cost more than can ever be taken at once. */
  readonly impossible: Reply
}

/** One limit, for one route. */
export class CountedLimit {
  /** As a string of structured fields (RFC 9651 3.3.3). */
  readonly quotedName: string
  readonly numbers: Numbers
  readonly #name: string
  readonly #settings: LimitSettings
  readonly #keys: LimitKeyReader
  readonly #environment: PolicyEnvironment
  readonly #index: number
  readonly #consumers: ConsumerDirectory | null
  /** By the numbers that consumers of the configuration have of their own. */
  readonly #own = new Map<string, Numbers>()

  /** @param takesOwn whether consumers' own limits stand in its place. */
  constructor(
    settings: LimitSettings,
    index: number,
    count: number,
    ipv6Bits: number,
    takesOwn: boolean,
    environment: PolicyEnvironment,
  ) {
    const { stage } = environment
    this.#settings = settings
    this.#index = index
    this.#environment = environment
    this.#name = settings.name ?? (count === 1 ? stage.id : `${stage.id}-${index + 1}`)
    this.quotedName = `"${this.#name.replaceAll(/["\\]/g, '\\$&')}"`
    this.#keys = new LimitKeyReader(settings.by, ipv6Bits, environment)
    this.#consumers = takesOwn ? environment.consumers : null
    this.numbers = this.#numbersOf(settings.limit, settings.burst)
  }

  /** The numbers that hold for this request. */
  numbersFor({ consumer }: Exchange): Numbers {
    if (this.#consumers === null || consumer === null) return this.numbers
    const own = this.#consumers.byId(consumer.id)?.limits[this.#environment.stage.id]
    if (own === undefined) return this.numbers
    const { limit } = own
    const burst = this.#settings.algorithm === 'gcra' ? (own.burst ?? limit) : 0
    const id = `${limit} ${burst}`
    let numbers = this.#own.get(id)
    if (numbers === undefined) {
      numbers = this.#numbersOf(limit, burst)
      this.#own.set(id, numbers)
    }
    return numbers
  }

  keyFor(exchange: Exchange, numbers: Numbers): string {
    return this.#keys.read(exchange, numbers.keyPrefix)
  }

  #numbersOf(units: number, burst: number): Numbers {
    const { algorithm, periodMs, by } = this.#settings
    const { problem, stage } = this.#environment
    const most = algorithm === 'gcra' ? burst : units
    const seconds = Math.ceil(periodMs / 1000)
    const extensions = { 'violated-policies': [this.#name] }
    return {
      limit: { algorithm, limit: units, periodMs, burst },
      // What changes the meaning of a cell changes its key; all else may change and the count goes on.
      keyPrefix: keyPrefix([stage.id, this.#index, algorithm, units, periodMs, by]),
      policyItem: `${this.quotedName};q=${units};w=${seconds}`,
      unitSeconds: periodMs / units / 1000,
      refusal: problem('rate_limited', {
        detail: `The limit "${this.#name}" of ${units} in ${seconds} s is used up.`,
        extensions,
      }),
      impossible: problem('rate_limited', {
        detail: `The request costs more than the ${most} that the limit "${this.#name}" lets pass at once.`,
        extensions,
      }),
    }
  }
}
