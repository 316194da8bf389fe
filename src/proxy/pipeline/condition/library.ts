// The CEL library, loaded when the first condition is compiled: it takes 0.1 s and 20 MB per
// thread, which a gateway without conditions need not pay.
import { createRequire } from 'node:module'
import { LinearRegExp } from '../../../lib/linear-regexp.ts'

type Library = typeof import('@bufbuild/cel')

/** A node of the library's syntax tree. */
export type Expr = ReturnType<Library['parse']>['expr']
/** A call of a function or operator, as the tree has it. */
export type CallExpr = Extract<Expr['exprKind'], { case: 'callExpr' }>['value']
/** `exists` and its like, expanded. */
export type ComprehensionExpr = Extract<Expr['exprKind'], { case: 'comprehensionExpr' }>['value']
/** A parsed text. */
export type Parsed = ReturnType<Library['parse']>

/** Evaluates a planned expression with its named values: its result, or an Error. */
export type Evaluate = (values: Record<string, unknown>) => unknown

/** More digits than any 64-bit integer has; longer texts would cost more than their length. */
const INTEGER_LENGTH_MAX = 20
/** Patterns come from configurations only; past this many the cache starts again. */
const PATTERNS_MAX = 1_000

let library: Library | null = null
let environment: ReturnType<Library['celEnv']> | null = null
const patterns = new Map<string, LinearRegExp>()

function load(): Library {
  library ??= createRequire(import.meta.url)('@bufbuild/cel') as Library
  return library
}

/** The compiled pattern. @throws SyntaxError when it is not one of RE2. */
export function linearPattern(pattern: string): LinearRegExp {
  let compiled = patterns.get(pattern)
  if (compiled === undefined) {
    compiled = new LinearRegExp(pattern)
    if (patterns.size >= PATTERNS_MAX) patterns.clear()
    patterns.set(pattern, compiled)
  }
  return compiled
}

/** The syntax tree. @throws the library's error. */
export function parseExpression(text: string): Parsed {
  return load().parse(text)
}

/** Prepares a tree for evaluation. */
export function planExpression(expr: Expr): Evaluate {
  const { celEnv, celFunc, CelScalar, plan } = load()
  environment ??= celEnv({
    re2: { compile: linearPattern },
    funcs: [celFunc('int', [CelScalar.STRING], CelScalar.INT, parseInteger)],
  })
  return plan(environment, expr) as Evaluate
}

function parseInteger(text: string): bigint {
  if (text.length > INTEGER_LENGTH_MAX || !/^[+-]?[0-9]+$/.test(text)) {
    throw new Error('the text is not a whole number')
  }
  return BigInt(text)
}
