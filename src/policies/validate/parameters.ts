// Parameters of a path, a query or header fields as data that a schema can be held against: texts,
// and numbers or truth values where the schema asks for those.
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import type { WrittenSchema } from './schemas.ts'

/** Parameters by name, without a prototype. */
export type Parameters = Record<string, unknown>

/** What a parameter may be. */
interface Kind {
  readonly isNumber: boolean
  readonly isBoolean: boolean
  /** What its items may be; null when it is no list. */
  readonly items: Kind | null
}

const TEXT: Kind = { isNumber: false, isBoolean: false, items: null }
const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/

/** Reads parameters as the properties of one schema say. */
export class ParameterReader {
  readonly #kinds = new Map<string, Kind>()

  constructor({ properties, required }: WrittenSchema) {
    if (Array.isArray(required)) for (const name of required) this.#kinds.set(String(name), TEXT)
    if (!isObject(properties)) return
    for (const [name, schema] of Object.entries(properties)) this.#kinds.set(name, kindOf(schema))
  }

  /** Those of the matched path. */
  path(exchange: Exchange): Parameters {
    const found: Parameters = Object.create(null)
    const { params } = exchange
    for (const name in params) found[name] = this.#value(name, [params[name]!])
    return found
  }

  /** The fields that the schema names or requires; others are none of its business. */
  headers(exchange: Exchange): Parameters {
    const found: Parameters = Object.create(null)
    for (const name of this.#kinds.keys()) {
      const value = exchange.requestHeader(name)
      if (value !== null) found[name] = this.#value(name, [value])
    }
    return found
  }

  /** Those of the query; what is wrong with it comes back as a sentence. */
  query(query: string, membersMax: number): Parameters | string {
    const values = new Map<string, string[]>()
    let count = 0
    for (let start = 0; start < query.length; ) {
      let end = query.indexOf('&', start)
      if (end === -1) end = query.length
      if (end > start) {
        if (++count > membersMax) return `holds more than ${membersMax} parameters`
        let equals = query.indexOf('=', start)
        if (equals === -1 || equals > end) equals = end
        const name = decoded(query.slice(start, equals))
        const value = decoded(query.slice(Math.min(equals + 1, end), end))
        if (name === null || value === null) return 'is not percent-encoded UTF-8'
        const known = values.get(name)
        if (known === undefined) values.set(name, [value])
        else known.push(value)
      }
      start = end + 1
    }
    const found: Parameters = Object.create(null)
    for (const [name, all] of values) found[name] = this.#value(name, all)
    return found
  }

  /** Several values of what is no list stay several, so that no schema for one takes them. */
  #value(name: string, values: readonly string[]): unknown {
    const kind = this.#kinds.get(name) ?? TEXT
    const { items } = kind
    if (items !== null) return values.map((value) => scalar(value, items))
    return values.length === 1 ? scalar(values[0]!, kind) : values
  }
}

function kindOf(schema: unknown): Kind {
  if (!isObject(schema)) return TEXT
  const types: unknown[] = Array.isArray(schema.type) ? schema.type : [schema.type]
  return {
    isNumber: types.includes('number') || types.includes('integer'),
    isBoolean: types.includes('boolean'),
    items: types.includes('array') ? kindOf(schema.items) : null,
  }
}

function scalar(text: string, { isNumber, isBoolean }: Kind): unknown {
  if (isNumber && NUMBER.test(text)) return Number(text)
  if (isBoolean && (text === 'true' || text === 'false')) return text === 'true'
  return text
}

function decoded(text: string): string | null {
  if (!text.includes('%') && !text.includes('+')) return text
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return null
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
