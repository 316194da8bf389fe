// What a request costs: the setting `cost` of policies that count units, and its reader.
import { z } from 'zod'
import { compileExpression, type Expression } from '../proxy/pipeline/condition.ts'
import type { Exchange } from '../proxy/pipeline/exchange.ts'
import type { PolicyEnvironment } from '../proxy/pipeline/policy.ts'
import { expressionSetting } from './limit-key.ts'

/** The setting `cost`. */
export function costSetting() {
  return z
    .union([z.int().min(0).max(1_000_000_000), expressionSetting('number')], {
      error: 'expected a whole number, or a CEL expression that gives one',
    })
    .default(1)
    .describe(
      'Units that a request takes: a number, or a CEL expression, rounded up. 1 where that gives none.',
    )
}

/** Reads costs as the setting says. */
export class CostReader {
  readonly #number: number
  readonly #expression: Expression<number> | null

  constructor(
    cost: z.output<ReturnType<typeof costSetting>>,
    { log, route, stage }: Pick<PolicyEnvironment, 'log' | 'route' | 'stage'>,
  ) {
    const onFailure = (reason: string): void =>
      log.warn(
        { route: route.id, policy: stage.id, reason },
        'the cost of a request could not be evaluated; it costs 1',
      )
    this.#number = typeof cost === 'number' ? cost : 1
    this.#expression =
      typeof cost === 'number' ? null : compileExpression(cost, 'number', { onFailure })
  }

  /** A whole number from 0 on. */
  read(exchange: Exchange): number {
    if (this.#expression === null) return this.#number
    const cost = this.#expression.read(exchange)
    // Also for what is not a number, and for less than none: no request earns units.
    if (cost === null || !(cost >= 0)) return 1
    return Math.min(Math.ceil(cost), Number.MAX_SAFE_INTEGER)
  }
}
