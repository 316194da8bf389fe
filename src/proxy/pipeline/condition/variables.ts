// The names a condition may use, and how each is read. Everything absent has a value of its own kind
// ('' for text, null in claims), so that a comparison with it is false instead of an error.
import { didYouMean } from '../../../lib/closest.ts'
import type { Exchange } from '../exchange.ts'

/** The kinds of value a condition knows; `any` is known only when it is read. */
export type ValueType = 'bool' | 'int' | 'double' | 'text' | 'null' | 'list' | 'any'

/** Reads a value: boolean, number, string, null, or what JSON can hold. */
export type Read = (exchange: Exchange) => unknown

/** When a condition is decided: before anything was forwarded, or when the response head is known. */
export type ConditionMoment = 'request' | 'response'

/** What a chain of names like `request.headers['x-a']` stands for. */
export interface Reference {
  readonly type: ValueType
  readonly read: Read
  /** Whether it is there at all, for `has(...)`; null when it always is. */
  readonly isPresent: ((exchange: Exchange) => boolean) | null
}

interface Field {
  readonly type: ValueType
  readonly read: Read
}

const FIELDS: Readonly<Record<string, Readonly<Record<string, Field>>>> = {
  request: {
    method: { type: 'text', read: (exchange) => exchange.method },
    path: { type: 'text', read: (exchange) => exchange.path },
    query: { type: 'text', read: (exchange) => exchange.query },
    host: { type: 'text', read: (exchange) => exchange.host },
    scheme: { type: 'text', read: (exchange) => exchange.scheme },
  },
  client: { ip: { type: 'text', read: (exchange) => exchange.clientIp } },
  response: { status: { type: 'int', read: (exchange) => exchange.status } },
  consumer: {
    id: { type: 'text', read: (exchange) => exchange.consumer?.id ?? '' },
    groups: { type: 'list', read: (exchange) => exchange.consumer?.groups ?? NO_GROUPS },
  },
}
const NO_GROUPS: readonly string[] = []

/** Fields that are looked up by a further name. */
const COLLECTIONS: Readonly<Record<string, readonly string[]>> = {
  request: ['headers', 'params'],
  consumer: ['claims'],
}

const hasConsumer = (exchange: Exchange) => exchange.consumer !== null

/** Whether a name may begin a chain. */
export function isRoot(name: string): boolean {
  return Object.hasOwn(FIELDS, name)
}

/** The message for a name that means nothing. */
export function unknownName(name: string): string {
  return `unknown name "${name}"${didYouMean(name, Object.keys(FIELDS)) || `; known are ${Object.keys(FIELDS).join(', ')}`}`
}

/**
 * What a chain of names stands for, or the problem with it as a string. `chain` begins with a root.
 */
export function resolveReference(
  chain: readonly (string | number)[],
  moment: ConditionMoment,
): Reference | string {
  const [root, field, ...rest] = chain as [string, string | number | undefined, ...string[]]
  const known = [...Object.keys(FIELDS[root]!), ...(COLLECTIONS[root] ?? [])]
  if (field === undefined) {
    return `"${root}" is not a value; name a part of it, like ${root}.${known[0]}`
  }
  if (root === 'response' && moment === 'request') {
    return 'the response is not known yet when this is decided'
  }
  if (typeof field === 'string' && COLLECTIONS[root]?.includes(field)) {
    return resolveMember(`${root}.${field}`, rest)
  }
  const found = Object.hasOwn(FIELDS[root]!, field) ? FIELDS[root]![field] : undefined
  if (found === undefined) {
    const hint = didYouMean(String(field), known) || `; known are ${known.join(', ')}`
    return `"${root}" has no part "${field}"${hint}`
  }
  const place = rest[0]
  if (found.type === 'list' && typeof place === 'number' && rest.length === 1) return groupAt(place)
  if (rest.length > 0) return `"${root}.${field}" has no part "${place}"`
  return { ...found, isPresent: root === 'consumer' ? hasConsumer : null }
}

function resolveMember(collection: string, rest: readonly (string | number)[]): Reference | string {
  if (collection === 'consumer.claims') return claim(rest)
  const name = rest[0]
  if (typeof name !== 'string') {
    return `"${collection}" is not a value; name one of them, like ${collection}['name']`
  }
  if (rest.length > 1) return `"${collection}['${name}']" is a text and has no parts`
  return collection === 'request.headers' ? header(name) : parameter(name)
}

function header(name: string): Reference {
  const lowerName = name.toLowerCase()
  return {
    type: 'text',
    read: (exchange) => exchange.requestHeader(lowerName) ?? '',
    isPresent: (exchange) => exchange.requestHeader(lowerName) !== null,
  }
}

function parameter(name: string): Reference {
  const isPresent = (exchange: Exchange) =>
    exchange.params !== null && Object.hasOwn(exchange.params, name)
  return {
    type: 'text',
    read: (exchange) => (isPresent(exchange) ? exchange.params![name] : ''),
    isPresent,
  }
}

function groupAt(place: number): Reference {
  return {
    type: 'text',
    read: (exchange) => exchange.consumer?.groups[place] ?? '',
    isPresent: (exchange) => exchange.consumer?.groups[place] !== undefined,
  }
}

/** A claim at any depth. Whatever is absent on the way makes it null. */
function claim(path: readonly (string | number)[]): Reference {
  const read = (exchange: Exchange): unknown => {
    let value: unknown = exchange.consumer === null ? null : exchange.consumer.claims
    for (let index = 0; index < path.length; index++) value = member(value, path[index]!)
    return value ?? null
  }
  return { type: 'any', read, isPresent: (exchange) => read(exchange) !== null }
}

function member(value: unknown, key: string | number): unknown {
  if (typeof value !== 'object' || value === null) return null
  if (Array.isArray(value) ? typeof key !== 'number' : typeof key !== 'string') return null
  return Object.hasOwn(value, key) ? (value as Record<string | number, unknown>)[key] : null
}
