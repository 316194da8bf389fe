// Functions of conditions: what they take, and the plain closures they become.
import { didYouMean } from '../../../lib/closest.ts'
import { type Expr, linearPattern } from './library.ts'
import { type Analysis, chainOf, type Operand, readOperand, TYPE_NAMES } from './operand.ts'
import * as plain from './plain-test.ts'

const METHODS = ['startsWith', 'endsWith', 'contains', 'matches', 'size']
const FUNCTIONS = ['ip_in', 'has', 'size', 'int', 'double', 'string']

/** Tests of the items of a list. */
export const MACROS: readonly string[] = ['exists', 'all', 'exists_one', 'existsOne']
const CALLABLE = [...METHODS, ...MACROS, ...FUNCTIONS]

/** size(...), ip_in(...) and the like. */
export function functionCall(
  analysis: Analysis,
  expr: Expr,
  name: string,
  args: readonly Expr[],
): Operand {
  if (name === 'ip_in') return ipIn(analysis, expr, args)
  if (METHODS.includes(name) && name !== 'size') {
    analysis.fail(`${name} is written after its text, like request.path.${name}('...')`, expr)
  }
  if (!FUNCTIONS.includes(name)) failUnknown(analysis, name, expr)
  if (args.length !== 1) analysis.fail(`${name} takes one value in its brackets`, expr)
  if (name === 'has') {
    const chain = chainOf(args[0]!)
    if (chain === null) analysis.fail('has takes a name, like has(request.headers.range)', expr)
    return analysis.presence(expr, analysis.resolve(expr, chain))
  }
  return conversion(analysis, expr, name, analysis.operand(args[0]!))
}

/** size, int, double and string, as functions; size also as a method. */
function conversion(analysis: Analysis, expr: Expr, name: string, operand: Operand): Operand {
  const allowed = name === 'size' ? ['text', 'list', 'any'] : ['text', 'int', 'double', 'any']
  if (!allowed.includes(operand.type)) {
    analysis.fail(`${name} cannot be had of ${TYPE_NAMES[operand.type]}`, expr)
  }
  analysis.checkItem(operand, name)
  const type = name === 'double' ? 'double' : name === 'string' ? 'text' : 'int'
  return analysis.forLibrary(expr, type, [operand])
}

/** `text.startsWith('...')` and the like. */
export function methodCall(
  analysis: Analysis,
  expr: Expr,
  name: string,
  target: Expr,
  args: readonly Expr[],
): Operand {
  if (MACROS.includes(name)) {
    analysis.fail(`${name} takes a name and a condition, like list.${name}(x, x == 'a')`, expr)
  }
  if (!METHODS.includes(name)) failUnknown(analysis, name, expr)
  const whole = analysis.operand(target)
  if (name === 'size' && args.length === 0) return conversion(analysis, expr, name, whole)
  if (args.length !== 1 || name === 'size')
    analysis.fail(`${name} takes another number of values`, expr)
  if (whole.type !== 'text' && whole.type !== 'any') {
    analysis.fail(`${name} needs a text, and this is ${TYPE_NAMES[whole.type]}`, target)
  }
  const arg = analysis.operand(args[0]!)
  if (arg.type !== 'text' && arg.type !== 'any') {
    analysis.fail(`${name} takes a text, and this is ${TYPE_NAMES[arg.type]}`, args[0]!)
  }
  if (name === 'contains' || name === 'matches') return search(analysis, expr, name, whole, arg)
  if (whole.read === null || arg.read === null)
    return analysis.forLibrary(expr, 'bool', [whole, arg])
  const make = name === 'startsWith' ? plain.startsWith : plain.endsWith
  return readOperand(expr, 'bool', make(whole.read, arg.read))
}

function search(
  analysis: Analysis,
  expr: Expr,
  name: string,
  whole: Operand,
  arg: Operand,
): Operand {
  if (typeof arg.constant !== 'string') {
    analysis.fail(`${name} takes a text in quotes, so that its cost is known`, arg.expr)
  }
  analysis.checkItem(whole, name)
  if (name === 'contains') {
    if (whole.read === null) return analysis.forLibrary(expr, 'bool', [whole, arg])
    return readOperand(expr, 'bool', plain.contains(whole.read, arg.constant))
  }
  try {
    const pattern = linearPattern(arg.constant)
    if (whole.read === null) return analysis.forLibrary(expr, 'bool', [whole, arg])
    return readOperand(expr, 'bool', plain.matches(whole.read, pattern))
  } catch (error) {
    return analysis.fail(`this is not a regular expression: ${(error as Error).message}`, arg.expr)
  }
}

function ipIn(analysis: Analysis, expr: Expr, args: readonly Expr[]): Operand {
  if (args.length !== 2) {
    analysis.fail("ip_in takes an address and a network, like ip_in(client.ip, '10.0.0.0/8')", expr)
  }
  const address = analysis.operand(args[0]!)
  const { constant } = analysis.operand(args[1]!)
  if (address.read === null || (address.type !== 'text' && address.type !== 'any')) {
    analysis.fail('ip_in needs an address, like client.ip', args[0]!)
  }
  const networks: readonly unknown[] = Array.isArray(constant) ? constant : [constant]
  if (!networks.every((network) => typeof network === 'string')) {
    analysis.fail("ip_in takes a network in quotes, like '10.0.0.0/8', or a list of them", args[1]!)
  }
  try {
    return readOperand(expr, 'bool', plain.isInNetworks(address.read, networks))
  } catch (error) {
    return analysis.fail((error as Error).message, args[1]!)
  }
}

function failUnknown(analysis: Analysis, name: string, expr: Expr): never {
  if (name === 'map' || name === 'filter') {
    analysis.fail(`${name} is not available in conditions; use exists, all or exists_one`, expr)
  }
  const hint = didYouMean(name, CALLABLE) || `; known are ${CALLABLE.join(', ')}`
  analysis.fail(`unknown function "${name}"${hint}`, expr)
}
