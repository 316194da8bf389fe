// A part of a condition, checked, and what the functions that check parts may ask of each other.
import type { Expr } from './library.ts'
import { isRoot, type Read, type Reference, type ValueType } from './variables.ts'

/** A part of the condition, checked. */
export interface Operand {
  readonly expr: Expr
  readonly type: ValueType
  /** Reads it without the library; null when only the library can. */
  readonly read: Read | null
  /** Its value when it is the same for every exchange; else undefined. */
  readonly constant: unknown
  /** The item of `exists` or `all`, or a part of it. */
  readonly isItem: boolean
  /** Depends on the item in whatever way. */
  readonly usesItem: boolean
}

/** The walk over a condition's tree, as the functions for single operators see it. */
export interface Analysis {
  /** Checks a part. */
  operand(expr: Expr): Operand
  /** Gives the library a name in place of what is read plainly. */
  bind(operand: Operand): void
  /** A part that the library evaluates, out of these. */
  forLibrary(expr: Expr, type: ValueType, operands: readonly Operand[]): Operand
  /** `whole.field` or `whole[index]` of something that is not a chain of names. */
  part(expr: Expr, whole: Operand, isTest: boolean): Operand
  /** What a chain of names stands for. @throws ConditionError */
  resolve(expr: Expr, chain: readonly (string | number)[]): Reference
  /** Whether a reference is there at all. @throws ConditionError when it always is */
  presence(expr: Expr, reference: Reference): Operand
  /** What reads a whole text may do so for the item alone. @throws ConditionError */
  checkItem(operand: Operand, name: string): void
  /** @throws ConditionError at that part's place */
  fail(problem: string, expr: Expr): never
}

/** How messages call the types. */
export const TYPE_NAMES: Readonly<Record<ValueType, string>> = {
  bool: 'true or false',
  int: 'a number',
  double: 'a number',
  text: 'a text',
  null: 'null',
  list: 'a list',
  any: 'a value',
}

/** A value that is written in the condition. */
export function constantOperand(expr: Expr, type: ValueType, constant: unknown): Operand {
  return { expr, type, read: () => constant, constant, isItem: false, usesItem: false }
}

/** A value that is read plainly. */
export function readOperand(expr: Expr, type: ValueType, read: Read): Operand {
  return { expr, type, read, constant: undefined, isItem: false, usesItem: false }
}

/** A value that only the library can find. */
export function libraryOperand(expr: Expr, type: ValueType, usesItem: boolean): Operand {
  return { expr, type, read: null, constant: undefined, isItem: false, usesItem }
}

/** The type that values of both types have, or null when no value has. */
export function commonType(a: ValueType, b: ValueType): ValueType | null {
  if (a === b) return a
  if (a === 'any' || b === 'any') return 'any'
  const isNumber = (type: ValueType) => type === 'int' || type === 'double'
  return isNumber(a) && isNumber(b) ? 'double' : null
}

/** The names in `request.headers['x-a']`, or null when it does not begin with a known name. */
export function chainOf(expr: Expr): (string | number)[] | null {
  const { exprKind } = expr
  if (exprKind.case === 'identExpr')
    return isRoot(exprKind.value.name) ? [exprKind.value.name] : null
  if (exprKind.case === 'selectExpr') {
    const chain = chainOf(exprKind.value.operand!)
    return chain === null ? null : [...chain, exprKind.value.field]
  }
  if (exprKind.case !== 'callExpr' || exprKind.value.function !== '_[_]') return null
  const key = exprKind.value.args[1]!.exprKind
  if (key.case !== 'constExpr') return null
  const { constantKind } = key.value
  const chain = chainOf(exprKind.value.args[0]!)
  if (chain === null) return null
  if (constantKind.case === 'stringValue') return [...chain, constantKind.value]
  return constantKind.case === 'int64Value' ? [...chain, Number(constantKind.value)] : null
}
