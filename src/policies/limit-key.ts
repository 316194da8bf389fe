// By what requests are counted: the setting `by` of all policies that limit how much, and its reader.
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { networkOf } from '../lib/ip-prefix-tree.ts'
import { compileExpression, type Expression } from '../proxy/pipeline/condition.ts'
import type { Exchange } from '../proxy/pipeline/exchange.ts'
import type { PolicyEnvironment } from '../proxy/pipeline/policy.ts'

const SOURCE = /^(?:header:[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}|claim:[^\s]{1,256})$/
const SOURCE_EXPECTED =
  'expected ip, consumer, route, header:NAME, claim:NAME or { expression: ... }'

/** A CEL expression with a text or a number, checked. */
export function expressionSetting(kind: 'text' | 'number') {
  return z.string().superRefine((text, ctx) => {
    try {
      if (kind === 'text') compileExpression(text, kind)
      else compileExpression(text, kind)
    } catch (error) {
      ctx.addIssue({
        code: 'custom',
        message: `the expression is not valid: ${(error as Error).message}`,
      })
    }
  })
}

/** The setting `by`. */
export function limitKeySetting() {
  return z.union(
    [
      z.enum(['ip', 'consumer', 'route']),
      z.string().regex(SOURCE, SOURCE_EXPECTED),
      z.strictObject({
        expression: expressionSetting('text').describe('A CEL expression that gives a text.'),
      }),
    ],
    { error: SOURCE_EXPECTED },
  )
}

/** What `by` says of the requests that have nothing to be counted by. */
export const MISSING_KEY =
  'A request that has no such key is counted by its address instead, apart from all others.'

/** The setting `ipv6Prefix`. */
export function ipv6PrefixSetting() {
  return z
    .int()
    .min(16)
    .max(128)
    .default(64)
    .describe('IPv6 addresses that share this many leading bits count as one.')
}

/** By what requests are counted, as the settings have it. */
export type LimitKey = z.output<ReturnType<typeof limitKeySetting>>

/** Facts that must be known before such a key can be read. */
export function needsOfKey(by: LimitKey): readonly string[] {
  return by === 'consumer' || (typeof by === 'string' && by.startsWith('claim:'))
    ? ['consumer']
    : []
}

/** A short text out of all that tells one limit from another; equal parts give equal texts. */
export function keyPrefix(parts: unknown): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 12)
}

/** Reads the keys of one limit. */
export class LimitKeyReader {
  readonly #by: LimitKey
  readonly #source: 'ip' | 'consumer' | 'header' | 'claim' | 'expression' | 'route'
  readonly #name: string
  readonly #expression: Expression<string> | null
  readonly #ipv6Bits: number

  constructor(
    by: LimitKey,
    ipv6Bits: number,
    environment: Pick<PolicyEnvironment, 'log' | 'route' | 'stage'>,
  ) {
    this.#by = by
    this.#ipv6Bits = ipv6Bits
    const { log, route, stage } = environment
    const onFailure = (reason: string): void =>
      log.warn(
        { route: route.id, policy: stage.id, reason },
        'the key of a limit could not be evaluated; the request counts by its address',
      )
    this.#expression =
      typeof by === 'string' ? null : compileExpression(by.expression, 'text', { onFailure })
    const colon = typeof by === 'string' ? by.indexOf(':') : -1
    this.#name = colon < 0 || typeof by !== 'string' ? '' : by.slice(colon + 1)
    if (typeof by !== 'string') this.#source = 'expression'
    else if (by.startsWith('header:')) {
      this.#source = 'header'
      this.#name = this.#name.toLowerCase()
    } else if (by.startsWith('claim:')) this.#source = 'claim'
    else this.#source = by as 'ip' | 'consumer' | 'route'
    if (by === 'route') this.#name = route.id
  }

  /** Whether two consumers always have keys of their own. */
  get isConsumer(): boolean {
    return this.#by === 'consumer'
  }

  /** The key of the request after the prefix: `=` and its value, or `!` and the address for want of one. */
  read(exchange: Exchange, prefix: string): string {
    const value = this.#value(exchange)
    return value === null || value === ''
      ? `${prefix}!${networkOf(exchange.clientIp, this.#ipv6Bits)}`
      : `${prefix}=${value}`
  }

  #value(exchange: Exchange): string | null {
    switch (this.#source) {
      case 'ip':
        return networkOf(exchange.clientIp, this.#ipv6Bits)
      case 'consumer':
        return exchange.consumer === null ? null : exchange.consumer.id
      case 'route':
        return this.#name
      case 'header':
        return exchange.requestHeader(this.#name)
      case 'claim':
        return claimText(exchange, this.#name)
      default:
        return this.#expression!.read(exchange)
    }
  }
}

function claimText({ consumer }: Exchange, name: string): string | null {
  if (consumer === null || consumer.claims === null) return null
  if (!Object.hasOwn(consumer.claims, name)) return null
  const value = consumer.claims[name]
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : null
}
