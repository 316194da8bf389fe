// Limits how much may come in how long, over all threads.
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import { definePolicy, type PolicyEnvironment } from '../../proxy/pipeline/policy.ts'
import type { Reply } from '../../proxy/pipeline/reply.ts'
import type { Limit, TakeResult } from '../../state/store.ts'
import { CostReader } from '../limit-cost.ts'
import { needsOfKey } from '../limit-key.ts'
import { CountedLimit, type Numbers } from './counted-limit.ts'
import { type RateLimitSettings, rateLimitSettings } from './settings.ts'

export const rateLimit = definePolicy({
  name: 'rate-limit',
  summary: 'Limits how many requests may come in how long.',
  settings: rateLimitSettings,
  needsWith: ({ limits }) => [...new Set(limits.flatMap(({ by }) => needsOfKey(by)))],
  examples: [
    { limit: 100, per: '1m' },
    { limit: 600, per: '1m', burst: 20, by: 'consumer' },
    {
      limits: [
        { name: 'second', limit: 10, per: '1s' },
        { name: 'hour', limit: 1000, per: '1h', algorithm: 'sliding-window' },
      ],
      by: 'header:x-tenant',
      cost: "request.method == 'GET' ? 1 : 5",
    },
  ],
  create(settings, environment) {
    const limiter = new RateLimiter(settings, environment)
    return {
      onRequest: (exchange) => limiter.onRequest(exchange),
      onResponse: (exchange) => limiter.onResponse(exchange),
    }
  },
})

/** What is remembered of an exchange until its response. */
interface Taken {
  /** RateLimit, or '' for none. */
  readonly field: string
  /** RateLimit-Policy, or '' for none. */
  readonly policyField: string
  /** Seconds; 0 when the request was not refused, or never passes. */
  readonly retryAfter: number
}

class RateLimiter {
  readonly #environment: PolicyEnvironment
  readonly #limits: readonly CountedLimit[]
  readonly #cost: CostReader
  readonly #whenFull: 'deny' | 'allow'
  readonly #sendsFields: boolean
  readonly #slot: number
  readonly #policyField: string
  // Filled anew for each request, and read before any other one.
  readonly #numbers: Numbers[]
  readonly #storeLimits: Limit[]
  readonly #keys: string[]

  constructor(settings: RateLimitSettings, environment: PolicyEnvironment) {
    const { limits, ipv6Prefix, cost, whenFull, headers } = settings
    this.#environment = environment
    this.#slot = environment.slot()
    this.#whenFull = whenFull
    this.#sendsFields = headers
    const ownIndex = limits.findIndex(({ by }) => by === 'consumer')
    this.#limits = limits.map(
      (limit, index) =>
        new CountedLimit(limit, index, limits.length, ipv6Prefix, index === ownIndex, environment),
    )
    this.#numbers = this.#limits.map(({ numbers }) => numbers)
    this.#storeLimits = this.#numbers.map(({ limit }) => limit)
    this.#keys = this.#limits.map(() => '')
    this.#policyField = this.#policies()
    this.#cost = new CostReader(cost, environment)
  }

  onRequest(exchange: Exchange): void | Reply | Promise<void | Reply> {
    for (let index = 0; index < this.#limits.length; index++) {
      const limit = this.#limits[index]!
      const numbers = limit.numbersFor(exchange)
      this.#numbers[index] = numbers
      this.#storeLimits[index] = numbers.limit
      this.#keys[index] = limit.keyFor(exchange, numbers)
    }
    const cost = this.#cost.read(exchange)
    const { store } = this.#environment
    const outcome = store.take(this.#storeLimits, this.#keys, cost, this.#whenFull)
    if (!(outcome instanceof Promise)) {
      return this.#decide(exchange, outcome, this.#numbers, this.#policyFieldNow())
    }
    const numbers = [...this.#numbers]
    const policyField = this.#policyFieldNow()
    return outcome.then((result) => this.#decide(exchange, result, numbers, policyField))
  }

  onResponse(exchange: Exchange): void {
    const taken = exchange.slots[this.#slot] as Taken | null
    if (taken === null) return
    if (taken.field !== '') {
      // Added, not set: other limits, those of the service among them, have items of their own.
      exchange.addResponseHeader('RateLimit-Policy', taken.policyField)
      exchange.addResponseHeader('RateLimit', taken.field)
    }
    if (taken.retryAfter > 0 && exchange.errorCode === 'rate_limited') {
      exchange.setResponseHeader('Retry-After', String(taken.retryAfter))
    }
  }

  #decide(
    exchange: Exchange,
    result: TakeResult,
    all: readonly Numbers[],
    policyField: string,
  ): void | Reply {
    const { allowed, limitIndex, remaining, retryAfterMs } = result
    const numbers = all[limitIndex]!
    const retryAfter = allowed || retryAfterMs < 0 ? 0 : Math.max(1, Math.ceil(retryAfterMs / 1000))
    if (this.#sendsFields || !allowed) {
      const window =
        retryAfter > 0 ? retryAfter : Math.ceil(Math.max(1, remaining) * numbers.unitSeconds)
      const field = this.#sendsFields
        ? `${this.#limits[limitIndex]!.quotedName};r=${remaining};t=${window}`
        : ''
      exchange.slots[this.#slot] = { field, policyField, retryAfter } satisfies Taken
    }
    if (!allowed) return retryAfterMs < 0 ? numbers.impossible : numbers.refusal
  }

  #policyFieldNow(): string {
    if (!this.#sendsFields) return ''
    for (let index = 0; index < this.#limits.length; index++) {
      if (this.#numbers[index] !== this.#limits[index]!.numbers) return this.#policies()
    }
    return this.#policyField
  }

  #policies(): string {
    return this.#numbers.map(({ policyItem }) => policyItem).join(', ')
  }
}
