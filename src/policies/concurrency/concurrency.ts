// Limits how many requests are in flight at once, over all threads.
import { z } from 'zod'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import { definePolicy, type PolicyEnvironment } from '../../proxy/pipeline/policy.ts'
import type { Reply } from '../../proxy/pipeline/reply.ts'
import {
  ipv6PrefixSetting,
  keyPrefix,
  LimitKeyReader,
  limitKeySetting,
  MISSING_KEY,
  needsOfKey,
} from '../limit-key.ts'

/** Nobody knows when a place becomes free; it is rarely worth less than a second's wait. */
const RETRY_AFTER = '1'
const MAX = 1_000_000

const settings = z.strictObject({
  max: z.int().min(1).max(MAX).describe('How many requests may be in flight at once, per key.'),
  by: limitKeySetting()
    .default('ip')
    .describe(
      'What is counted by itself: each client address (`ip`), `consumer`, `route`, value of ' +
        '`header:NAME` or of `claim:NAME`, or result of `{ expression: <CEL> }`. ' +
        MISSING_KEY,
    ),
  ipv6Prefix: ipv6PrefixSetting(),
})

export const concurrency = definePolicy({
  name: 'concurrency',
  summary: 'Limits how many requests are in flight at once.',
  settings,
  needsWith: ({ by }) => needsOfKey(by),
  examples: [{ max: 10 }, { max: 4, by: 'consumer' }, { max: 200, by: 'route' }],
  create(written, environment) {
    const places = new Places(written, environment)
    return {
      onRequest: (exchange) => places.onRequest(exchange),
      onFinish: (exchange) => places.onFinish(exchange),
    }
  },
})

class Places {
  readonly #max: number
  readonly #keys: LimitKeyReader
  readonly #prefix: string
  readonly #store: PolicyEnvironment['store']
  /** Holds the key of the place an exchange has. */
  readonly #slot: number
  readonly #refusal: Reply

  constructor({ max, by, ipv6Prefix }: z.output<typeof settings>, environment: PolicyEnvironment) {
    const { stage, store } = environment
    this.#max = max
    this.#store = store
    this.#slot = environment.slot()
    this.#keys = new LimitKeyReader(by, ipv6Prefix, environment)
    // Without `max`: those in flight still count when a reload changes it.
    this.#prefix = keyPrefix([stage.id, by])
    this.#refusal = environment.problem('concurrency_exceeded', {
      detail: `At most ${max} requests may be in flight at once.`,
      headers: { 'Retry-After': RETRY_AFTER },
    })
  }

  onRequest(exchange: Exchange): void | Reply | Promise<void | Reply> {
    const key = this.#keys.read(exchange, this.#prefix)
    const outcome = this.#store.enter(key, this.#max)
    if (typeof outcome === 'boolean') return this.#decide(exchange, key, outcome)
    exchange.slots[this.#slot] = WAITING
    return outcome.then((entered) => this.#decide(exchange, key, entered))
  }

  onFinish(exchange: Exchange): void {
    const key = exchange.slots[this.#slot]
    if (typeof key === 'string') this.#store.leave(key)
    exchange.slots[this.#slot] = ENDED
  }

  #decide(exchange: Exchange, key: string, entered: boolean): void | Reply {
    if (!entered) return this.#refusal
    if (exchange.slots[this.#slot] === ENDED) this.#store.leave(key)
    else exchange.slots[this.#slot] = key
  }
}

/** The exchange waits for its place; or it has ended, with or without one. */
const WAITING = Symbol('waiting')
const ENDED = Symbol('ended')
