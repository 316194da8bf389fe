// Checks a condition's syntax tree and turns as much of it as possible into plain closures. What is
// left for the library sees those as named values, each read once.
//
// Linear in time whatever the request: matches and contains take constant patterns; exists and all
// cannot be nested, and what they do with each item costs no more than the item is long.
import { ConditionError } from './condition-error.ts'
import { functionCall, MACROS, methodCall } from './functions.ts'
import type { CallExpr, ComprehensionExpr, Expr, Parsed } from './library.ts'
import {
  type Analysis,
  chainOf,
  constantOperand,
  libraryOperand,
  type Operand,
  readOperand,
  TYPE_NAMES,
} from './operand.ts'
import {
  arithmetic,
  conditional,
  equality,
  index,
  logic,
  logicSide,
  membership,
  not,
  order,
} from './operators.ts'
import type { Test } from './plain-test.ts'
import {
  type ConditionMoment,
  isRoot,
  type Read,
  type Reference,
  resolveReference,
  unknownName,
  type ValueType,
} from './variables.ts'

/** A value that the library gets by name. */
export interface Binding {
  readonly name: string
  readonly type: ValueType
  readonly read: Read
}

/** Inside `exists` and its like: what their items are called and are. */
interface Scope {
  readonly item: string
  readonly type: ValueType
}

const ARITHMETIC = new Set(['_+_', '_-_', '_*_', '_/_', '_%_', '-_'])
const ORDER = new Set(['_<_', '_<=_', '_>_', '_>=_'])

/** A compiled condition: either a plain test, or what remains for the library with its named values. */
export interface Compiled {
  readonly test: Test | null
  readonly bindings: readonly Binding[]
}

/** Compiles a parsed condition; changes its tree. @throws ConditionError */
export function compileTree(source: string, parsed: Parsed, moment: ConditionMoment): Compiled {
  return new Compiler(source, parsed, moment).compile()
}

/** A compiled expression, like a compiled condition. */
export interface CompiledValue {
  readonly read: Read | null
  readonly bindings: readonly Binding[]
}

/** Compiles a parsed expression with a text or a number; changes its tree. @throws ConditionError */
export function compileValueTree(
  source: string,
  parsed: Parsed,
  kind: 'text' | 'number',
): CompiledValue {
  return new Compiler(source, parsed, 'request').compileValue(kind)
}

class Compiler implements Analysis {
  readonly #source: string
  readonly #root: Expr
  readonly #positions: Readonly<Record<string, number>>
  readonly #macros: Readonly<Record<string, Expr>>
  readonly #moment: ConditionMoment
  readonly #bindings: Binding[] = []
  #scope: Scope | null = null

  constructor(source: string, parsed: Parsed, moment: ConditionMoment) {
    this.#source = source
    this.#root = parsed.expr
    this.#positions = parsed.sourceInfo?.positions ?? {}
    this.#macros = parsed.sourceInfo?.macroCalls ?? {}
    this.#moment = moment
  }

  compile(): Compiled {
    const { read } = logicSide(this, this.#root, 'a condition')
    return { test: read as Test | null, bindings: this.#bindings }
  }

  compileValue(kind: 'text' | 'number'): CompiledValue {
    const { type, read } = this.operand(this.#root)
    const isRight = kind === 'text' ? type === 'text' : type === 'int' || type === 'double'
    if (!isRight && type !== 'any') {
      this.fail(`a ${kind} is needed here, and this is ${TYPE_NAMES[type]}`, this.#root)
    }
    return { read, bindings: this.#bindings }
  }

  operand(expr: Expr): Operand {
    const { exprKind } = expr
    const chain = chainOf(expr)
    if (chain !== null) return this.#reference(expr, chain)
    switch (exprKind.case) {
      case 'constExpr':
        return this.#constant(expr)
      case 'identExpr':
        return this.#item(expr, exprKind.value.name)
      case 'selectExpr':
        return this.part(expr, this.operand(exprKind.value.operand!), exprKind.value.testOnly)
      case 'callExpr':
        return this.#call(expr, exprKind.value)
      case 'listExpr':
        return this.#list(expr, exprKind.value.elements)
      case 'comprehensionExpr':
        return this.#comprehension(expr, exprKind.value)
      default:
        return this.fail('maps and messages are not available in conditions', expr)
    }
  }

  #constant(expr: Expr): Operand {
    const { exprKind } = expr
    const constant =
      exprKind.case === 'constExpr' ? exprKind.value.constantKind : { case: undefined }
    switch (constant.case) {
      case 'boolValue':
        return constantOperand(expr, 'bool', constant.value)
      case 'stringValue':
        return constantOperand(expr, 'text', constant.value)
      case 'doubleValue':
        return constantOperand(expr, 'double', constant.value)
      case 'nullValue':
        return constantOperand(expr, 'null', null)
      case 'int64Value': {
        const value = Number(constant.value)
        if (!Number.isSafeInteger(value)) this.fail('this number is too large', expr)
        return constantOperand(expr, 'int', value)
      }
      default:
        return this.fail('only texts, numbers, true, false and null can be written here', expr)
    }
  }

  #item(expr: Expr, name: string): Operand {
    if (this.#scope?.item !== name) this.fail(unknownName(name), expr)
    return {
      expr,
      type: this.#scope.type,
      read: null,
      constant: undefined,
      isItem: true,
      usesItem: true,
    }
  }

  #reference(expr: Expr, chain: readonly (string | number)[]): Operand {
    const reference = this.resolve(expr, chain)
    const isTest = expr.exprKind.case === 'selectExpr' && expr.exprKind.value.testOnly
    if (isTest) return this.presence(expr, reference)
    return readOperand(expr, reference.type, reference.read)
  }

  presence(expr: Expr, reference: Reference): Operand {
    if (reference.isPresent === null) this.fail('this is always there', expr)
    return readOperand(expr, 'bool', reference.isPresent)
  }

  resolve(expr: Expr, chain: readonly (string | number)[]): Reference {
    const reference = resolveReference(chain, this.#moment)
    return typeof reference === 'string' ? this.fail(reference, expr) : reference
  }

  /** `whole.field` or `whole[index]` of something that is not a chain of names. */
  part(expr: Expr, whole: Operand, isTest: boolean): Operand {
    if (whole.type !== 'any') this.fail(`${TYPE_NAMES[whole.type]} has no parts`, expr)
    this.bind(whole)
    const { isItem, usesItem } = whole
    return { ...libraryOperand(expr, isTest ? 'bool' : 'any', usesItem), isItem: isItem && !isTest }
  }

  #list(expr: Expr, elements: readonly Expr[]): Operand {
    const operands = elements.map((element) => this.operand(element))
    if (operands.every((operand) => operand.constant !== undefined)) {
      return constantOperand(
        expr,
        'list',
        operands.map((operand) => operand.constant),
      )
    }
    for (const operand of operands) {
      if (operand.usesItem) this.fail('a list cannot be made of the item', operand.expr)
      this.bind(operand)
    }
    return libraryOperand(expr, 'list', false)
  }

  #call(expr: Expr, call: CallExpr): Operand {
    const { function: name, args } = call
    if (name === '_&&_' || name === '_||_') return logic(this, expr, name, args)
    if (name === '!_') return not(this, expr, args[0]!)
    if (name === '_?_:_') return conditional(this, expr, args)
    if (name === '_==_' || name === '_!=_') return equality(this, expr, name, args)
    if (ORDER.has(name)) return order(this, expr, name, args)
    if (name === '@in') return membership(this, expr, args)
    if (name === '_[_]') return index(this, expr, args)
    if (ARITHMETIC.has(name)) return arithmetic(this, expr, name, args)
    return call.target === undefined
      ? functionCall(this, expr, name, args)
      : methodCall(this, expr, name, call.target, args)
  }

  #comprehension(expr: Expr, value: ComprehensionExpr): Operand {
    const macro = this.#macros[String(expr.id)]?.exprKind
    const name = macro?.case === 'callExpr' ? macro.value.function : ''
    if (!MACROS.includes(name)) {
      this.fail(`${name} is not available in conditions; use exists, all or exists_one`, expr)
    }
    if (this.#scope !== null) this.fail(`${name} cannot stand inside another one`, expr)
    if (isRoot(value.iterVar)) this.fail(`the item needs a name other than ${value.iterVar}`, expr)
    const list = this.operand(value.iterRange!)
    if (list.type !== 'list' && list.type !== 'any') {
      this.fail(`${name} needs a list, and this is ${TYPE_NAMES[list.type]}`, value.iterRange!)
    }
    this.bind(list)
    const step = value.loopStep!.exprKind
    const isCount = name === 'exists_one' || name === 'existsOne'
    const body = step.case === 'callExpr' ? step.value.args[isCount ? 0 : 1]! : value.loopStep!
    // Only what the configuration or a token's groups hold is known to be texts.
    const isTexts = list.constant === undefined && list.type === 'list' && list.read !== null
    this.#scope = { item: value.iterVar, type: isTexts ? 'text' : 'any' }
    this.bind(logicSide(this, body, `what ${name} asks of each item`))
    this.#scope = null
    return libraryOperand(expr, 'bool', false)
  }

  /** Whatever reads a whole text may do so for the item alone, not for others once per item. */
  checkItem(operand: Operand, name: string): void {
    if (operand.usesItem && !operand.isItem) {
      this.fail(`${name} can only be asked of the item itself or a part of it`, operand.expr)
    }
  }

  forLibrary(expr: Expr, type: ValueType, operands: readonly Operand[]): Operand {
    let usesItem = false
    for (const operand of operands) {
      this.bind(operand)
      if (operand.usesItem) usesItem = true
    }
    return libraryOperand(expr, type, usesItem)
  }

  /** Gives the library a name in place of what is read plainly. */
  bind(operand: Operand): void {
    if (operand.read === null || operand.constant !== undefined) return
    const name = `@${this.#bindings.length}`
    this.#bindings.push({ name, type: operand.type, read: operand.read })
    operand.expr.exprKind = { case: 'identExpr', value: { $typeName: 'cel.expr.Expr.Ident', name } }
  }

  fail(problem: string, expr: Expr): never {
    throw new ConditionError(problem, this.#source, this.#startOf(expr))
  }

  #startOf(expr: Expr): number {
    const { exprKind } = expr
    const own = this.#positions[String(expr.id)] ?? 0
    let first: Expr | undefined
    if (exprKind.case === 'selectExpr') first = exprKind.value.operand
    else if (exprKind.case === 'callExpr') first = exprKind.value.target ?? exprKind.value.args[0]
    else if (exprKind.case === 'comprehensionExpr') first = exprKind.value.iterRange
    return first === undefined ? own : Math.min(own, this.#startOf(first))
  }
}
