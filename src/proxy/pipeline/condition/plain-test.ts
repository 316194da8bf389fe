// Conditions without the library: closures, made when the condition is compiled, that read the
// exchange and compare. None of them can fail: what is of another kind is simply not equal.
import { IpPrefixTree } from '../../../lib/ip-prefix-tree.ts'
import type { LinearRegExp } from '../../../lib/linear-regexp.ts'
import type { Exchange } from '../exchange.ts'

/** A decision about an exchange. */
export type Test = (exchange: Exchange) => boolean
type Read = (exchange: Exchange) => unknown

/** Whether both read the same text, number, boolean or null. */
export function equal(left: Read, right: Read): Test {
  return (exchange) => left(exchange) === right(exchange)
}

/** Whether a value is this one. */
export function equalsConstant(read: Read, constant: unknown): Test {
  return (exchange) => read(exchange) === constant
}

/** Two texts, or two numbers, by an operator of order. */
export function ordered(operator: string, left: Read, right: Read): Test {
  const l = left as (exchange: Exchange) => string
  const r = right as (exchange: Exchange) => string
  if (operator === '<') return (exchange) => l(exchange) < r(exchange)
  if (operator === '<=') return (exchange) => l(exchange) <= r(exchange)
  if (operator === '>') return (exchange) => l(exchange) > r(exchange)
  return (exchange) => l(exchange) >= r(exchange)
}

/** Whether the text begins with a prefix. */
export function startsWith(read: Read, prefix: Read): Test {
  return (exchange) => {
    const text = read(exchange)
    const start = prefix(exchange)
    return typeof text === 'string' && typeof start === 'string' && text.startsWith(start)
  }
}

/** Whether the text ends with a suffix. */
export function endsWith(read: Read, suffix: Read): Test {
  return (exchange) => {
    const text = read(exchange)
    const end = suffix(exchange)
    return typeof text === 'string' && typeof end === 'string' && text.endsWith(end)
  }
}

/** Whether the text holds a part. The part is constant, so that the time is linear in the text. */
export function contains(read: Read, part: string): Test {
  return (exchange) => {
    const text = read(exchange)
    return typeof text === 'string' && text.includes(part)
  }
}

/** Whether the text holds a match. */
export function matches(read: Read, pattern: LinearRegExp): Test {
  return (exchange) => {
    const text = read(exchange)
    return typeof text === 'string' && pattern.test(text)
  }
}

/** Whether the value is one of these. */
export function isOneOf(read: Read, constants: readonly unknown[]): Test {
  const set = new Set(constants)
  return (exchange) => set.has(read(exchange))
}

/** Whether a list holds the value, or an object has such a key. */
export function isIn(read: Read, collection: Read): Test {
  return (exchange) => {
    const value = read(exchange)
    const list = collection(exchange)
    if (Array.isArray(list)) return list.includes(value)
    return typeof list === 'object' && list !== null && Object.hasOwn(list, String(value))
  }
}

/**
 * Whether the text is an address in one of the networks.
 * @throws TypeError when one of them is no network
 */
export function isInNetworks(read: Read, networks: readonly string[]): Test {
  const tree = new IpPrefixTree<true>()
  for (const network of networks) tree.insert(network, true)
  return (exchange) => {
    const address = read(exchange)
    return typeof address === 'string' && tree.lookup(address) !== null
  }
}

/** Both; the right one is not read when the left one decides. */
export function and(left: Test, right: Test): Test {
  return (exchange) => left(exchange) && right(exchange)
}

/** Either; the right one is not read when the left one decides. */
export function or(left: Test, right: Test): Test {
  return (exchange) => left(exchange) || right(exchange)
}

/** The opposite. */
export function not(test: Test): Test {
  return (exchange) => !test(exchange)
}

/** One of two values. */
export function choose(test: Test, yes: Read, no: Read): Read {
  return (exchange) => (test(exchange) ? yes(exchange) : no(exchange))
}
