// Checks a condition's syntax tree and turns as much of it as possible into plain closures. What is
// left for the library sees those as named values, each read once.
//
// Linear in time whatever the request: matches and contains take constant patterns; exists and all
// cannot be nested, and what they do with each item costs no more than the item is long.
import { didYouMean } from '../../lib/closest.ts'
import { ConditionError } from './condition-error.ts'
import {
  type CallExpr,
  type ComprehensionExpr,
  type Expr,
  linearPattern,
  type Parsed,
} from './condition-library.ts'
import * as plain from './condition-plain.ts'
import {
  type ConditionMoment,
  isRoot,
  type Read,
  type Reference,
  resolveReference,
  unknownName,
  type ValueType,
} from './condition-variables.ts'

/** A value that the library gets by name. */
export interface Binding {
  readonly name: string
  readonly type: ValueType
  readonly read: Read
}

/** A part of the condition, checked. */
interface Operand {
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

/** Inside `exists` and its like: what their items are called and are. */
interface Scope {
  readonly item: string
  readonly type: ValueType
}

const TYPE_NAMES: Readonly<Record<ValueType, string>> = {
  bool: 'true or false',
  int: 'a number',
  double: 'a number',
  text: 'a text',
  null: 'null',
  list: 'a list',
  any: 'a value',
}
const ARITHMETIC = new Set(['_+_', '_-_', '_*_', '_/_', '_%_', '-_'])
const ORDER = new Set(['_<_', '_<=_', '_>_', '_>=_'])
const METHODS = ['startsWith', 'endsWith', 'contains', 'matches', 'size']
const MACROS = ['exists', 'all', 'exists_one', 'existsOne']
const FUNCTIONS = ['ip_in', 'has', 'size', 'int', 'double', 'string']
const CALLABLE = [...METHODS, ...MACROS, ...FUNCTIONS]

/** A compiled condition: either a plain test, or what remains for the library with its named values. */
export interface Compiled {
  readonly test: plain.Test | null
  readonly bindings: readonly Binding[]
}

/** Compiles a parsed condition; changes its tree. @throws ConditionError */
export function compileTree(source: string, parsed: Parsed, moment: ConditionMoment): Compiled {
  return new Compiler(source, parsed, moment).compile()
}

class Compiler {
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
    const test = this.#test(this.#root, 'a condition')
    return { test, bindings: this.#bindings }
  }

  /** A part that must be true or false; null when only the library can say. */
  #test(expr: Expr, where: string): plain.Test | null {
    const operand = this.#operand(expr)
    if (operand.type !== 'bool' && operand.type !== 'any') {
      this.#fail(`${where} must be true or false, and this is ${TYPE_NAMES[operand.type]}`, expr)
    }
    const { read } = operand
    if (read === null) return null
    return operand.type === 'bool' ? (read as plain.Test) : plain.equalsConstant(read, true)
  }

  #operand(expr: Expr): Operand {
    const { exprKind } = expr
    const chain = chainOf(expr)
    if (chain !== null) return this.#reference(expr, chain)
    switch (exprKind.case) {
      case 'constExpr':
        return this.#constant(expr)
      case 'identExpr':
        return this.#item(expr, exprKind.value.name)
      case 'selectExpr':
        return this.#part(expr, this.#operand(exprKind.value.operand!), exprKind.value.testOnly)
      case 'callExpr':
        return this.#call(expr, exprKind.value)
      case 'listExpr':
        return this.#list(expr, exprKind.value.elements)
      case 'comprehensionExpr':
        return this.#comprehension(expr, exprKind.value)
      default:
        return this.#fail('maps and messages are not available in conditions', expr)
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
        if (!Number.isSafeInteger(value)) this.#fail('this number is too large', expr)
        return constantOperand(expr, 'int', value)
      }
      default:
        return this.#fail('only texts, numbers, true, false and null can be written here', expr)
    }
  }

  #item(expr: Expr, name: string): Operand {
    if (this.#scope?.item !== name) this.#fail(unknownName(name), expr)
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
    const reference = this.#resolve(expr, chain)
    const isTest = expr.exprKind.case === 'selectExpr' && expr.exprKind.value.testOnly
    if (isTest) return this.#presence(expr, reference)
    return readOperand(expr, reference.type, reference.read)
  }

  #presence(expr: Expr, reference: Reference): Operand {
    if (reference.isPresent === null) this.#fail('this is always there', expr)
    return readOperand(expr, 'bool', reference.isPresent)
  }

  #resolve(expr: Expr, chain: readonly (string | number)[]): Reference {
    const reference = resolveReference(chain, this.#moment)
    return typeof reference === 'string' ? this.#fail(reference, expr) : reference
  }

  /** `whole.field` or `whole[index]` of something that is not a chain of names. */
  #part(expr: Expr, whole: Operand, isTest: boolean): Operand {
    if (whole.type !== 'any') this.#fail(`${TYPE_NAMES[whole.type]} has no parts`, expr)
    this.#bind(whole)
    const { isItem, usesItem } = whole
    return { ...libraryOperand(expr, isTest ? 'bool' : 'any', usesItem), isItem: isItem && !isTest }
  }

  #list(expr: Expr, elements: readonly Expr[]): Operand {
    const operands = elements.map((element) => this.#operand(element))
    if (operands.every((operand) => operand.constant !== undefined)) {
      return constantOperand(
        expr,
        'list',
        operands.map((operand) => operand.constant),
      )
    }
    for (const operand of operands) {
      if (operand.usesItem) this.#fail('a list cannot be made of the item', operand.expr)
      this.#bind(operand)
    }
    return libraryOperand(expr, 'list', false)
  }

  #call(expr: Expr, call: CallExpr): Operand {
    const { function: name, args } = call
    if (name === '_&&_' || name === '_||_') return this.#logic(expr, name, args)
    if (name === '!_') return this.#not(expr, args[0]!)
    if (name === '_?_:_') return this.#conditional(expr, args)
    if (name === '_==_' || name === '_!=_') return this.#equality(expr, name, args)
    if (ORDER.has(name)) return this.#order(expr, name, args)
    if (name === '@in') return this.#membership(expr, args)
    if (name === '_[_]') return this.#index(expr, args)
    if (ARITHMETIC.has(name)) return this.#arithmetic(expr, name, args)
    return call.target === undefined
      ? this.#function(expr, name, args)
      : this.#method(expr, name, call.target, args)
  }

  #logic(expr: Expr, name: string, args: readonly Expr[]): Operand {
    const where = name === '_&&_' ? 'what && joins' : 'what || joins'
    const left = this.#logicSide(args[0]!, where)
    const right = this.#logicSide(args[1]!, where)
    if (left.read === null || right.read === null)
      return this.#forLibrary(expr, 'bool', [left, right])
    const join = name === '_&&_' ? plain.and : plain.or
    return readOperand(expr, 'bool', join(left.read as plain.Test, right.read as plain.Test))
  }

  /** An operand of &&, || or !; a claim counts as true only when it is true. */
  #logicSide(expr: Expr, where: string): Operand {
    const before = this.#operand(expr)
    if (before.type === 'bool') return before
    if (before.type !== 'any') {
      this.#fail(`${where} must be true or false, and this is ${TYPE_NAMES[before.type]}`, expr)
    }
    return before.read === null
      ? before
      : readOperand(expr, 'bool', plain.equalsConstant(before.read, true))
  }

  #not(expr: Expr, arg: Expr): Operand {
    const operand = this.#logicSide(arg, 'what ! turns around')
    if (operand.read === null) return this.#forLibrary(expr, 'bool', [operand])
    return readOperand(expr, 'bool', plain.not(operand.read as plain.Test))
  }

  #conditional(expr: Expr, args: readonly Expr[]): Operand {
    const test = this.#logicSide(args[0]!, 'what stands before ?')
    const yes = this.#operand(args[1]!)
    const no = this.#operand(args[2]!)
    const type = commonType(yes.type, no.type)
    if (type === null) {
      this.#fail(`one side of : is ${TYPE_NAMES[yes.type]}, the other ${TYPE_NAMES[no.type]}`, expr)
    }
    if (type !== 'bool' && (test.usesItem || yes.usesItem || no.usesItem)) {
      this.#fail('with the item, ? can only choose between true and false', expr)
    }
    if (test.read === null || yes.read === null || no.read === null) {
      return this.#forLibrary(expr, type, [test, yes, no])
    }
    return readOperand(expr, type, plain.choose(test.read as plain.Test, yes.read, no.read))
  }

  #equality(expr: Expr, name: string, args: readonly Expr[]): Operand {
    const left = this.#operand(args[0]!)
    const right = this.#operand(args[1]!)
    this.#checkComparable(left, right, expr)
    const isList = left.type === 'list' || right.type === 'list'
    const mayBeDeep = left.type === 'any' && right.type === 'any'
    if (left.read === null || right.read === null || isList || mayBeDeep) {
      return this.#forLibrary(expr, 'bool', [left, right])
    }
    const test =
      right.constant !== undefined
        ? plain.equalsConstant(left.read, right.constant)
        : left.constant !== undefined
          ? plain.equalsConstant(right.read, left.constant)
          : plain.equal(left.read, right.read)
    return readOperand(expr, 'bool', name === '_==_' ? test : plain.not(test))
  }

  #checkComparable(left: Operand, right: Operand, expr: Expr): void {
    if (commonType(left.type, right.type) !== null) return
    this.#fail(`${TYPE_NAMES[left.type]} is never equal to ${TYPE_NAMES[right.type]}`, expr)
  }

  #order(expr: Expr, name: string, args: readonly Expr[]): Operand {
    const left = this.#operand(args[0]!)
    const right = this.#operand(args[1]!)
    const type = commonType(left.type, right.type)
    if (type !== 'int' && type !== 'double' && type !== 'text' && type !== 'any') {
      const kinds = `${TYPE_NAMES[left.type]} and ${TYPE_NAMES[right.type]}`
      this.#fail(`only two numbers or two texts have an order, and these are ${kinds}`, expr)
    }
    if (left.read === null || right.read === null || left.type === 'any' || right.type === 'any') {
      return this.#forLibrary(expr, 'bool', [left, right])
    }
    return readOperand(expr, 'bool', plain.ordered(name.slice(1, -1), left.read, right.read))
  }

  #membership(expr: Expr, args: readonly Expr[]): Operand {
    const left = this.#operand(args[0]!)
    const chain = chainOf(args[1]!)
    const collection = chain?.length === 2 ? chain.join('.') : ''
    if (chain !== null && (collection === 'request.headers' || collection === 'request.params')) {
      if (typeof left.constant !== 'string') {
        this.#fail(`what is looked for in ${collection} must be a name in quotes`, args[0]!)
      }
      return this.#presence(expr, this.#resolve(expr, [...chain, left.constant]))
    }
    const right = this.#operand(args[1]!)
    if (right.type !== 'list' && right.type !== 'any') {
      const hint = right.type === 'text' ? '; a part of a text is found by contains' : ''
      this.#fail(
        `in needs a list on its right, and this is ${TYPE_NAMES[right.type]}${hint}`,
        args[1]!,
      )
    }
    if (Array.isArray(right.constant) && left.read !== null && left.type !== 'list') {
      return readOperand(expr, 'bool', plain.isOneOf(left.read, right.constant))
    }
    if (left.read !== null && right.read !== null && left.type !== 'list' && left.type !== 'any') {
      return readOperand(expr, 'bool', plain.isIn(left.read, right.read))
    }
    if (left.usesItem && right.constant === undefined && !right.isItem) {
      this.#fail('the item can only be looked for in a list of constants', args[1]!)
    }
    return this.#forLibrary(expr, 'bool', [left, right])
  }

  #index(expr: Expr, args: readonly Expr[]): Operand {
    const whole = this.#operand(args[0]!)
    const index = this.#operand(args[1]!)
    if (whole.type === 'list') return this.#forLibrary(expr, 'any', [whole, index])
    this.#bind(index)
    const part = this.#part(expr, whole, false)
    return {
      ...part,
      usesItem: part.usesItem || index.usesItem,
      isItem: part.isItem && !index.usesItem,
    }
  }

  #arithmetic(expr: Expr, name: string, args: readonly Expr[]): Operand {
    const operands = args.map((arg) => this.#operand(arg))
    let type: ValueType | null = operands[0]!.type
    for (const operand of operands) {
      const isText = operand.type === 'text' && name === '_+_'
      if (!isText && !['int', 'double', 'any'].includes(operand.type)) {
        this.#fail(
          `${name.replaceAll('_', '')} needs numbers, and this is ${TYPE_NAMES[operand.type]}`,
          operand.expr,
        )
      }
      if (operand.usesItem && (isText || operand.type === 'any') && name === '_+_') {
        this.#fail('texts of the item cannot be joined', operand.expr)
      }
      type = operand.type === type ? type : null
    }
    // 1 + 1.0 is an error in CEL, and so is a text and a number; a claim may turn out to be either.
    if (type === null && operands.every((operand) => operand.type !== 'any')) {
      this.#fail('both sides must be of one kind; int(...) and double(...) convert numbers', expr)
    }
    return this.#forLibrary(expr, type ?? 'any', operands)
  }

  #function(expr: Expr, name: string, args: readonly Expr[]): Operand {
    if (name === 'ip_in') return this.#ipIn(expr, args)
    if (METHODS.includes(name) && name !== 'size') {
      this.#fail(`${name} is written after its text, like request.path.${name}('...')`, expr)
    }
    if (!FUNCTIONS.includes(name)) this.#failUnknown(name, expr)
    if (args.length !== 1) this.#fail(`${name} takes one value in its brackets`, expr)
    if (name === 'has') {
      const chain = chainOf(args[0]!)
      if (chain === null) this.#fail('has takes a name, like has(request.headers.range)', expr)
      return this.#presence(expr, this.#resolve(expr, chain))
    }
    return this.#conversion(expr, name, this.#operand(args[0]!))
  }

  /** size, int, double and string, as functions; size also as a method. */
  #conversion(expr: Expr, name: string, operand: Operand): Operand {
    const allowed = name === 'size' ? ['text', 'list', 'any'] : ['text', 'int', 'double', 'any']
    if (!allowed.includes(operand.type)) {
      this.#fail(`${name} cannot be had of ${TYPE_NAMES[operand.type]}`, expr)
    }
    this.#checkItem(operand, name)
    const type = name === 'double' ? 'double' : name === 'string' ? 'text' : 'int'
    return this.#forLibrary(expr, type, [operand])
  }

  #method(expr: Expr, name: string, target: Expr, args: readonly Expr[]): Operand {
    if (MACROS.includes(name)) {
      this.#fail(`${name} takes a name and a condition, like list.${name}(x, x == 'a')`, expr)
    }
    if (!METHODS.includes(name)) this.#failUnknown(name, expr)
    const whole = this.#operand(target)
    if (name === 'size' && args.length === 0) return this.#conversion(expr, name, whole)
    if (args.length !== 1 || name === 'size')
      this.#fail(`${name} takes another number of values`, expr)
    if (whole.type !== 'text' && whole.type !== 'any') {
      this.#fail(`${name} needs a text, and this is ${TYPE_NAMES[whole.type]}`, target)
    }
    const arg = this.#operand(args[0]!)
    if (arg.type !== 'text' && arg.type !== 'any') {
      this.#fail(`${name} takes a text, and this is ${TYPE_NAMES[arg.type]}`, args[0]!)
    }
    if (name === 'contains' || name === 'matches') return this.#search(expr, name, whole, arg)
    if (whole.read === null || arg.read === null)
      return this.#forLibrary(expr, 'bool', [whole, arg])
    const make = name === 'startsWith' ? plain.startsWith : plain.endsWith
    return readOperand(expr, 'bool', make(whole.read, arg.read))
  }

  #search(expr: Expr, name: string, whole: Operand, arg: Operand): Operand {
    if (typeof arg.constant !== 'string') {
      this.#fail(`${name} takes a text in quotes, so that its cost is known`, arg.expr)
    }
    this.#checkItem(whole, name)
    if (name === 'contains') {
      if (whole.read === null) return this.#forLibrary(expr, 'bool', [whole, arg])
      return readOperand(expr, 'bool', plain.contains(whole.read, arg.constant))
    }
    try {
      const pattern = linearPattern(arg.constant)
      if (whole.read === null) return this.#forLibrary(expr, 'bool', [whole, arg])
      return readOperand(expr, 'bool', plain.matches(whole.read, pattern))
    } catch (error) {
      return this.#fail(`this is not a regular expression: ${(error as Error).message}`, arg.expr)
    }
  }

  #ipIn(expr: Expr, args: readonly Expr[]): Operand {
    if (args.length !== 2) {
      this.#fail("ip_in takes an address and a network, like ip_in(client.ip, '10.0.0.0/8')", expr)
    }
    const address = this.#operand(args[0]!)
    const { constant } = this.#operand(args[1]!)
    if (address.read === null || (address.type !== 'text' && address.type !== 'any')) {
      this.#fail('ip_in needs an address, like client.ip', args[0]!)
    }
    const networks: readonly unknown[] = Array.isArray(constant) ? constant : [constant]
    if (!networks.every((network) => typeof network === 'string')) {
      this.#fail("ip_in takes a network in quotes, like '10.0.0.0/8', or a list of them", args[1]!)
    }
    try {
      return readOperand(expr, 'bool', plain.isInNetworks(address.read, networks))
    } catch (error) {
      return this.#fail((error as Error).message, args[1]!)
    }
  }

  #comprehension(expr: Expr, value: ComprehensionExpr): Operand {
    const macro = this.#macros[String(expr.id)]?.exprKind
    const name = macro?.case === 'callExpr' ? macro.value.function : ''
    if (!MACROS.includes(name)) {
      this.#fail(`${name} is not available in conditions; use exists, all or exists_one`, expr)
    }
    if (this.#scope !== null) this.#fail(`${name} cannot stand inside another one`, expr)
    if (isRoot(value.iterVar)) this.#fail(`the item needs a name other than ${value.iterVar}`, expr)
    const list = this.#operand(value.iterRange!)
    if (list.type !== 'list' && list.type !== 'any') {
      this.#fail(`${name} needs a list, and this is ${TYPE_NAMES[list.type]}`, value.iterRange!)
    }
    this.#bind(list)
    const step = value.loopStep!.exprKind
    const isCount = name === 'exists_one' || name === 'existsOne'
    const body = step.case === 'callExpr' ? step.value.args[isCount ? 0 : 1]! : value.loopStep!
    // Only what the configuration or a token's groups hold is known to be texts.
    const isTexts = list.constant === undefined && list.type === 'list' && list.read !== null
    this.#scope = { item: value.iterVar, type: isTexts ? 'text' : 'any' }
    this.#bind(this.#logicSide(body, `what ${name} asks of each item`))
    this.#scope = null
    return libraryOperand(expr, 'bool', false)
  }

  /** Whatever reads a whole text may do so for the item alone, not for others once per item. */
  #checkItem(operand: Operand, name: string): void {
    if (operand.usesItem && !operand.isItem) {
      this.#fail(`${name} can only be asked of the item itself or a part of it`, operand.expr)
    }
  }

  #forLibrary(expr: Expr, type: ValueType, operands: readonly Operand[]): Operand {
    let usesItem = false
    for (const operand of operands) {
      this.#bind(operand)
      if (operand.usesItem) usesItem = true
    }
    return libraryOperand(expr, type, usesItem)
  }

  /** Gives the library a name in place of what is read plainly. */
  #bind(operand: Operand): void {
    if (operand.read === null || operand.constant !== undefined) return
    const name = `@${this.#bindings.length}`
    this.#bindings.push({ name, type: operand.type, read: operand.read })
    operand.expr.exprKind = { case: 'identExpr', value: { $typeName: 'cel.expr.Expr.Ident', name } }
  }

  #failUnknown(name: string, expr: Expr): never {
    if (name === 'map' || name === 'filter') {
      this.#fail(`${name} is not available in conditions; use exists, all or exists_one`, expr)
    }
    const hint = didYouMean(name, CALLABLE) || `; known are ${CALLABLE.join(', ')}`
    this.#fail(`unknown function "${name}"${hint}`, expr)
  }

  #fail(problem: string, expr: Expr): never {
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

function constantOperand(expr: Expr, type: ValueType, constant: unknown): Operand {
  return { expr, type, read: () => constant, constant, isItem: false, usesItem: false }
}

function readOperand(expr: Expr, type: ValueType, read: Read): Operand {
  return { expr, type, read, constant: undefined, isItem: false, usesItem: false }
}

function libraryOperand(expr: Expr, type: ValueType, usesItem: boolean): Operand {
  return { expr, type, read: null, constant: undefined, isItem: false, usesItem }
}

/** The type that values of both types have, or null when no value has. */
function commonType(a: ValueType, b: ValueType): ValueType | null {
  if (a === b) return a
  if (a === 'any' || b === 'any') return 'any'
  const isNumber = (type: ValueType) => type === 'int' || type === 'double'
  return isNumber(a) && isNumber(b) ? 'double' : null
}

/** The names in `request.headers['x-a']`, or null when it does not begin with a known name. */
function chainOf(expr: Expr): (string | number)[] | null {
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
