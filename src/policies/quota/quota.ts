// Limits how much may be used in each hour, day or month of the calendar, over all threads and restarts.
import { z } from 'zod'
import type { Clock } from '../../lib/clock.ts'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import { definePolicy, type PolicyEnvironment } from '../../proxy/pipeline/policy.ts'
import type { Reply } from '../../proxy/pipeline/reply.ts'
import type { SpendResult } from '../../state/store.ts'
import { CostReader, costSetting } from '../limit-cost.ts'
import {
  ipv6PrefixSetting,
  keyPrefix,
  LimitKeyReader,
  limitKeySetting,
  MISSING_KEY,
  needsOfKey,
} from '../limit-key.ts'
import { Calendar, isTimeZone } from './calendar.ts'

const UNITS_MAX = 1_000_000_000_000

const settings = z.strictObject({
  limit: z.int().min(1).max(UNITS_MAX).describe('How many units (requests, if each costs 1).'),
  per: z.enum(['hour', 'day', 'month']).describe('The period of the calendar that they are for.'),
  timezone: z
    .string()
    .refine(isTimeZone, 'this is not a time zone; expected an IANA name like Europe/Berlin')
    .default('UTC')
    .describe('Where periods begin and end: an IANA name like `Europe/Berlin`.'),
  by: limitKeySetting()
    .default('consumer')
    .describe(
      'What is counted by itself: each `consumer`, client address (`ip`), `route`, value of ' +
        '`header:NAME` or of `claim:NAME`, or result of `{ expression: <CEL> }`. ' +
        MISSING_KEY,
    ),
  ipv6Prefix: ipv6PrefixSetting(),
  cost: costSetting(),
  headers: z
    .boolean()
    .default(true)
    .describe('Whether responses carry `RateLimit` and `RateLimit-Policy`.'),
})

export const quota = definePolicy({
  name: 'quota',
  summary: 'Limits how much may be used per hour, day or month.',
  settings,
  needsWith: ({ by }) => needsOfKey(by),
  examples: [
    { limit: 10_000, per: 'month' },
    { limit: 500, per: 'day', timezone: 'Europe/Berlin', by: 'ip' },
  ],
  create(written, environment) {
    const counter = new QuotaCounter(written, environment)
    return {
      onRequest: (exchange) => counter.onRequest(exchange),
      onResponse: (exchange) => counter.onResponse(exchange),
    }
  },
})

/** What is remembered of an exchange until its response. */
interface Spent {
  readonly limit: number
  readonly remaining: number
  readonly leftSeconds: number
  readonly periodSeconds: number
}

class QuotaCounter {
  readonly #environment: PolicyEnvironment
  readonly #clock: Clock
  readonly #limit: number
  readonly #calendar: Calendar
  readonly #keys: LimitKeyReader
  readonly #prefix: string
  /** `#prefix` and the beginning of the present period. */
  #periodPrefix = ''
  readonly #takesOwn: boolean
  readonly #cost: CostReader
  readonly #sendsFields: boolean
  readonly #slot: number
  readonly #name: string
  readonly #refusal: Reply

  constructor(written: z.output<typeof settings>, environment: PolicyEnvironment) {
    const { limit, per, timezone, by, ipv6Prefix, cost, headers } = written
    const { stage } = environment
    this.#environment = environment
    this.#clock = environment.clock
    this.#slot = environment.slot()
    this.#limit = limit
    this.#calendar = new Calendar(per, timezone)
    this.#keys = new LimitKeyReader(by, ipv6Prefix, environment)
    // Without the limit: what was used this month still counts when it is raised.
    this.#prefix = keyPrefix([stage.id, per, timezone, by])
    this.#takesOwn = by === 'consumer'
    this.#sendsFields = headers
    this.#name = `"${stage.id.replaceAll(/["\\]/g, '\\$&')}"`
    this.#refusal = environment.problem('quota_exceeded', {
      detail: `The quota "${stage.id}" of this ${per} is used up, or does not last for this request.`,
      extensions: { 'violated-policies': [stage.id] },
    })
    this.#cost = new CostReader(cost, environment)
  }

  onRequest(exchange: Exchange): void | Reply | Promise<void | Reply> {
    const wallMs = this.#clock.wallTime()
    const calendar = this.#calendar
    if (calendar.moveTo(wallMs)) this.#periodPrefix = `${this.#prefix}${calendar.startMs}`
    const key = this.#keys.read(exchange, this.#periodPrefix)
    const limit = this.#limitFor(exchange)
    const leftMs = calendar.endMs - wallMs
    const periodMs = calendar.endMs - calendar.startMs
    const outcome = this.#environment.store.spend(key, this.#cost.read(exchange), limit, leftMs)
    if (!(outcome instanceof Promise)) {
      return this.#decide(exchange, outcome, limit, leftMs, periodMs)
    }
    return outcome.then((result) => this.#decide(exchange, result, limit, leftMs, periodMs))
  }

  onResponse(exchange: Exchange): void {
    const spent = exchange.slots[this.#slot] as Spent | null
    if (spent === null) return
    const { limit, remaining, leftSeconds, periodSeconds } = spent
    const isRefused =
      exchange.errorCode === 'quota_exceeded' && exchange.localReply === this.#refusal
    if (this.#sendsFields) {
      // Not a shorter time than the rest lasts at the rate of the whole period: nobody shall hurry
      // because a month is about to end.
      const lasts = Math.ceil((remaining / limit) * periodSeconds)
      const window = isRefused ? leftSeconds : Math.max(leftSeconds, lasts)
      exchange.addResponseHeader('RateLimit-Policy', `${this.#name};q=${limit};w=${periodSeconds}`)
      exchange.addResponseHeader('RateLimit', `${this.#name};r=${remaining};t=${window}`)
    }
    if (isRefused) exchange.setResponseHeader('Retry-After', String(leftSeconds))
  }

  #decide(
    exchange: Exchange,
    { allowed, used }: SpendResult,
    limit: number,
    leftMs: number,
    periodMs: number,
  ): void | Reply {
    exchange.slots[this.#slot] = {
      limit,
      remaining: Math.max(0, limit - used),
      leftSeconds: Math.max(1, Math.ceil(leftMs / 1000)),
      periodSeconds: Math.round(periodMs / 1000),
    } satisfies Spent
    if (!allowed) return this.#refusal
  }

  #limitFor({ consumer }: Exchange): number {
    if (!this.#takesOwn || consumer === null) return this.#limit
    const { consumers, stage } = this.#environment
    return consumers.byId(consumer.id)?.limits[stage.id]?.limit ?? this.#limit
  }
}
