// Operators of conditions: what they may be applied to, and the plain closures they become.
import type { Expr } from './library.ts'
import {
  type Analysis,
  chainOf,
  commonType,
  type Operand,
  readOperand,
  TYPE_NAMES,
} from './operand.ts'
import * as plain from './plain-test.ts'
import type { ValueType } from './variables.ts'

/** && and ||. */
export function logic(
  analysis: Analysis,
  expr: Expr,
  name: string,
  args: readonly Expr[],
): Operand {
  const where = name === '_&&_' ? 'what && joins' : 'what || joins'
  const left = logicSide(analysis, args[0]!, where)
  const right = logicSide(analysis, args[1]!, where)
  if (left.read === null || right.read === null)
    return analysis.forLibrary(expr, 'bool', [left, right])
  const join = name === '_&&_' ? plain.and : plain.or
  return readOperand(expr, 'bool', join(left.read as plain.Test, right.read as plain.Test))
}

/** An operand of &&, || or !; a claim counts as true only when it is true. */
export function logicSide(analysis: Analysis, expr: Expr, where: string): Operand {
  const before = analysis.operand(expr)
  if (before.type === 'bool') return before
  if (before.type !== 'any') {
    analysis.fail(`${where} must be true or false, and this is ${TYPE_NAMES[before.type]}`, expr)
  }
  return before.read === null
    ? before
    : readOperand(expr, 'bool', plain.equalsConstant(before.read, true))
}

/** ! */
export function not(analysis: Analysis, expr: Expr, arg: Expr): Operand {
  const operand = logicSide(analysis, arg, 'what ! turns around')
  if (operand.read === null) return analysis.forLibrary(expr, 'bool', [operand])
  return readOperand(expr, 'bool', plain.not(operand.read as plain.Test))
}

/** `test ? yes : no`. */
export function conditional(analysis: Analysis, expr: Expr, args: readonly Expr[]): Operand {
  const test = logicSide(analysis, args[0]!, 'what stands before ?')
  const yes = analysis.operand(args[1]!)
  const no = analysis.operand(args[2]!)
  const type = commonType(yes.type, no.type)
  if (type === null) {
    analysis.fail(
      `one side of : is ${TYPE_NAMES[yes.type]}, the other ${TYPE_NAMES[no.type]}`,
      expr,
    )
  }
  if (type !== 'bool' && (test.usesItem || yes.usesItem || no.usesItem)) {
    analysis.fail('with the item, ? can only choose between true and false', expr)
  }
  if (test.read === null || yes.read === null || no.read === null) {
    return analysis.forLibrary(expr, type, [test, yes, no])
  }
  return readOperand(expr, type, plain.choose(test.read as plain.Test, yes.read, no.read))
}

/** == and !=. */
export function equality(
  analysis: Analysis,
  expr: Expr,
  name: string,
  args: readonly Expr[],
): Operand {
  const left = analysis.operand(args[0]!)
  const right = analysis.operand(args[1]!)
  checkComparable(analysis, left.type, right.type, expr)
  const isList = left.type === 'list' || right.type === 'list'
  const mayBeDeep = left.type === 'any' && right.type === 'any'
  if (left.read === null || right.read === null || isList || mayBeDeep) {
    return analysis.forLibrary(expr, 'bool', [left, right])
  }
  const test =
    right.constant !== undefined
      ? plain.equalsConstant(left.read, right.constant)
      : left.constant !== undefined
        ? plain.equalsConstant(right.read, left.constant)
        : plain.equal(left.read, right.read)
  return readOperand(expr, 'bool', name === '_==_' ? test : plain.not(test))
}

function checkComparable(analysis: Analysis, left: ValueType, right: ValueType, expr: Expr): void {
  if (commonType(left, right) !== null) return
  analysis.fail(`${TYPE_NAMES[left]} is never equal to ${TYPE_NAMES[right]}`, expr)
}

function typeOf(constant: unknown): ValueType {
  if (typeof constant === 'string') return 'text'
  if (typeof constant === 'number') return 'double'
  if (typeof constant === 'boolean') return 'bool'
  return constant === null ? 'null' : 'list'
}

/** <, <=, > and >=. */
export function order(
  analysis: Analysis,
  expr: Expr,
  name: string,
  args: readonly Expr[],
): Operand {
  const left = analysis.operand(args[0]!)
  const right = analysis.operand(args[1]!)
  const type = commonType(left.type, right.type)
  if (type !== 'int' && type !== 'double' && type !== 'text' && type !== 'any') {
    const kinds = `${TYPE_NAMES[left.type]} and ${TYPE_NAMES[right.type]}`
    analysis.fail(`only two numbers or two texts have an order, and these are ${kinds}`, expr)
  }
  if (left.read === null || right.read === null || left.type === 'any' || right.type === 'any') {
    return analysis.forLibrary(expr, 'bool', [left, right])
  }
  return readOperand(expr, 'bool', plain.ordered(name.slice(1, -1), left.read, right.read))
}

/** `in`. */
export function membership(analysis: Analysis, expr: Expr, args: readonly Expr[]): Operand {
  const left = analysis.operand(args[0]!)
  const chain = chainOf(args[1]!)
  const collection = chain?.length === 2 ? chain.join('.') : ''
  if (chain !== null && (collection === 'request.headers' || collection === 'request.params')) {
    if (typeof left.constant !== 'string') {
      analysis.fail(`what is looked for in ${collection} must be a name in quotes`, args[0]!)
    }
    return analysis.presence(expr, analysis.resolve(expr, [...chain, left.constant]))
  }
  const right = analysis.operand(args[1]!)
  if (right.type !== 'list' && right.type !== 'any') {
    const hint = right.type === 'text' ? '; a part of a text is found by contains' : ''
    analysis.fail(
      `in needs a list on its right, and this is ${TYPE_NAMES[right.type]}${hint}`,
      args[1]!,
    )
  }
  if (Array.isArray(right.constant) && left.read !== null && left.type !== 'list') {
    for (const item of right.constant) checkComparable(analysis, left.type, typeOf(item), expr)
    return readOperand(expr, 'bool', plain.isOneOf(left.read, right.constant))
  }
  if (left.read !== null && right.read !== null && left.type !== 'list' && left.type !== 'any') {
    return readOperand(expr, 'bool', plain.isIn(left.read, right.read))
  }
  if (left.usesItem && right.constant === undefined && !right.isItem) {
    analysis.fail('the item can only be looked for in a list of constants', args[1]!)
  }
  return analysis.forLibrary(expr, 'bool', [left, right])
}

/** `list[index]` of something that is not a chain of names. */
export function index(analysis: Analysis, expr: Expr, args: readonly Expr[]): Operand {
  const whole = analysis.operand(args[0]!)
  const index = analysis.operand(args[1]!)
  if (whole.type === 'list') return analysis.forLibrary(expr, 'any', [whole, index])
  analysis.bind(index)
  const part = analysis.part(expr, whole, false)
  return {
    ...part,
    usesItem: part.usesItem || index.usesItem,
    isItem: part.isItem && !index.usesItem,
  }
}

/** +, -, *, / and %. */
export function arithmetic(
  analysis: Analysis,
  expr: Expr,
  name: string,
  args: readonly Expr[],
): Operand {
  const operands = args.map((arg) => analysis.operand(arg))
  let type: ValueType | null = operands[0]!.type
  for (const operand of operands) {
    const isText = operand.type === 'text' && name === '_+_'
    if (!isText && !['int', 'double', 'any'].includes(operand.type)) {
      analysis.fail(
        `${name.replaceAll('_', '')} needs numbers, and this is ${TYPE_NAMES[operand.type]}`,
        operand.expr,
      )
    }
    if (operand.usesItem && (isText || operand.type === 'any') && name === '_+_') {
      analysis.fail('texts of the item cannot be joined', operand.expr)
    }
    type = operand.type === type ? type : null
  }
  // 1 + 1.0 is an error in CEL, and so is a text and a number; a claim may turn out to be either.
  if (type === null && operands.every((operand) => operand.type !== 'any')) {
    analysis.fail('both sides must be of one kind; int(...) and double(...) convert numbers', expr)
  }
  return analysis.forLibrary(expr, type ?? 'any', operands)
}
