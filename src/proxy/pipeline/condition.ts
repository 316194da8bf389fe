// Conditions (`when`): expressions in CEL, compiled once. Most become plain predicates; the rest is
// evaluated by the CEL library. Both are linear in the size of the request.
import { type Binding, compileTree, compileValueTree } from './condition/compiler.ts'
import { type Evaluate, planExpression } from './condition/library.ts'
import { parseCondition } from './condition/syntax.ts'
import type { ConditionMoment, Read } from './condition/variables.ts'
import type { Exchange } from './exchange.ts'

/** A compiled condition. */
export interface Condition {
  /** The text as it was written. */
  readonly source: string
  /** How often it could not be evaluated since it was compiled, and counted as true. */
  readonly failures: number
  /**
   * Whether the condition holds. Never throws: what cannot be evaluated (a claim that is a text
   * where a number is needed) counts as true, so that a policy which guards something runs.
   */
  test(exchange: Exchange): boolean
}

/** What a caller may say about a condition. */
export interface ConditionOptions {
  /** When it is decided; `response.status` is known only to `response`. Default: `request`. */
  readonly moment?: ConditionMoment
  /** Told about the first evaluation that fails, and no further one. */
  readonly onFailure?: (reason: string) => void
  /** Called for every evaluation that fails. */
  readonly countFailure?: () => void
}

/**
 * Compiles a condition.
 * @throws ConditionError with what is wrong, where, and what was probably meant
 */
export function compileCondition(source: string, options: ConditionOptions = {}): Condition {
  const parsed = parseCondition(source)
  const { test, bindings } = compileTree(source, parsed, options.moment ?? 'request')
  if (test !== null) return { source, failures: 0, test }
  return new LibraryCondition(source, planExpression(parsed.expr), bindings, options)
}

/** A compiled expression whose result is a text or a number. */
export interface Expression<Value> {
  /** The text as it was written. */
  readonly source: string
  /** How often it could not be evaluated since it was compiled. */
  readonly failures: number
  /** Its value; null when it has none of this kind. Never throws. */
  read(exchange: Exchange): Value | null
}

/** What a caller may say about an expression. */
export type ExpressionOptions = Pick<ConditionOptions, 'onFailure' | 'countFailure'>

/**
 * Compiles an expression whose result is a text or a number; a number where a text is wanted becomes
 * one. What a condition may use, an expression may, but for the response.
 * @throws ConditionError with what is wrong, where, and what was probably meant
 */
export function compileExpression(
  source: string,
  kind: 'text',
  options?: ExpressionOptions,
): Expression<string>
export function compileExpression(
  source: string,
  kind: 'number',
  options?: ExpressionOptions,
): Expression<number>
export function compileExpression(
  source: string,
  kind: 'text' | 'number',
  options: ExpressionOptions = {},
): Expression<string | number> {
  const parsed = parseCondition(source)
  const { read, bindings } = compileValueTree(source, parsed, kind)
  const values = read ?? libraryRead(planExpression(parsed.expr), bindings)
  return new ValueExpression(source, values, kind === 'text', options)
}

class ValueExpression implements Expression<string | number> {
  readonly source: string
  failures = 0
  readonly #read: Read
  readonly #isText: boolean
  readonly #options: ExpressionOptions

  constructor(source: string, read: Read, isText: boolean, options: ExpressionOptions) {
    this.source = source
    this.#read = read
    this.#isText = isText
    this.#options = options
  }

  read(exchange: Exchange): string | number | null {
    let reason: unknown = null
    try {
      const value = this.#read(exchange)
      if (this.#isText) {
        if (typeof value === 'string') return value
        if (typeof value === 'number' || typeof value === 'bigint') return String(value)
      } else if (typeof value === 'number' || typeof value === 'bigint') {
        return Number(value)
      }
      if (value === null) return null
      reason = value
    } catch (error) {
      reason = error
    }
    const { onFailure, countFailure } = this.#options
    this.failures++
    countFailure?.()
    if (this.failures === 1) {
      const wanted = `it is no ${this.#isText ? 'text' : 'number'}`
      onFailure?.(reason instanceof Error ? reason.message : wanted)
    }
    return null
  }
}

/** Reads the value of an expression that only the library can evaluate; throws or gives an Error. */
function libraryRead(evaluate: Evaluate, bindings: readonly Binding[]): Read {
  const names = bindings.map((binding) => binding.name)
  const reads = bindings.map(bindingRead)
  return (exchange) => {
    const values: Record<string, unknown> = {}
    for (let index = 0; index < names.length; index++) {
      values[names[index]!] = reads[index]!(exchange)
    }
    return evaluate(values)
  }
}

class LibraryCondition implements Condition {
  readonly source: string
  failures = 0
  readonly #read: Read
  readonly #options: ConditionOptions

  constructor(
    source: string,
    evaluate: Evaluate,
    bindings: readonly Binding[],
    options: ConditionOptions,
  ) {
    this.source = source
    this.#read = libraryRead(evaluate, bindings)
    this.#options = options
  }

  test(exchange: Exchange): boolean {
    try {
      const result = this.#read(exchange)
      return typeof result === 'boolean' ? result : this.#fail(result)
    } catch (error) {
      return this.#fail(error)
    }
  }

  #fail(reason: unknown): true {
    const { onFailure, countFailure } = this.#options
    this.failures++
    countFailure?.()
    if (this.failures === 1) {
      onFailure?.(reason instanceof Error ? reason.message : 'it is neither true nor false')
    }
    return true
  }
}

function bindingRead({ type, read }: Binding): Read {
  if (type === 'int') return (exchange) => BigInt(read(exchange) as number)
  return type === 'any' ? (exchange) => fromJson(read(exchange), 0) : read
}

/** Deeper JSON than anybody writes; a claim that is deeper counts as not evaluable. */
const JSON_DEPTH_MAX = 32

/** A value of JSON as the library takes it: objects as maps. */
function fromJson(value: unknown, depth: number): unknown {
  // CEL does not add 1 to 1.0, and nobody writes 1.0 for a level.
  if (Number.isSafeInteger(value)) return BigInt(value as number)
  if (typeof value !== 'object' || value === null) return value ?? null
  if (depth === JSON_DEPTH_MAX) throw new Error('the value is nested too deep')
  if (Array.isArray(value)) return value.map((item) => fromJson(item, depth + 1))
  const map = new Map<string, unknown>()
  for (const [key, item] of Object.entries(value)) map.set(key, fromJson(item, depth + 1))
  return map
}
