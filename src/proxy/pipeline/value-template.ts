// Header values with parts from the exchange: `${client.ip}`, `${request.headers.x-tenant}`.
// Compiled once; what a client sends can never end the field line or begin another.
import { didYouMean } from '../../lib/closest.ts'
import type { Exchange } from './exchange.ts'

type Read = (exchange: Exchange) => string | null

/** A compiled value. */
export interface ValueTemplate {
  /** The text as it was written. */
  readonly source: string
  /** The value when no part of it depends on the exchange, else null. */
  readonly constant: string | null
  /**
   * The value for one exchange, ready for a header field. '' means that there is none: a part is
   * absent, or holds a byte that no field may carry (RFC 9110 5.5).
   */
  render(exchange: Exchange): string
}

/** Values that arrive as bytes of the request, and go on as they are. */
const PLAIN: Readonly<Record<string, Read>> = {
  'client.ip': (exchange) => exchange.clientIp,
  'request.id': (exchange) => exchange.requestId,
  'request.method': (exchange) => exchange.method,
  'request.scheme': (exchange) => exchange.scheme,
  'request.host': (exchange) => exchange.host,
  'request.path': (exchange) => exchange.path,
  'request.query': (exchange) => exchange.query,
  'route.id': (exchange) => utf8(exchange.route === null ? null : exchange.route.id),
  service: (exchange) => utf8(exchange.service),
  'consumer.id': (exchange) => utf8(exchange.consumer === null ? null : exchange.consumer.id),
}

const HEADER_PREFIX = 'request.headers.'
const PARAMETER_PREFIX = 'params.'
const KNOWN = [...Object.keys(PLAIN), `${HEADER_PREFIX}NAME`, `${PARAMETER_PREFIX}NAME`]
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const PARAMETER_NAME = /^[A-Za-z_][A-Za-z0-9_-]*$/
const CONSTANT = /^[\t\x20-\x7e]*$/

/**
 * Compiles a header value.
 * @throws Error that names the part which is unknown or malformed.
 */
export function compileValueTemplate(source: string): ValueTemplate {
  const literals: string[] = []
  const reads: Read[] = []
  let position = 0
  while (true) {
    const start = source.indexOf('${', position)
    literals.push(literal(source.slice(position, start < 0 ? source.length : start)))
    if (start < 0) break
    const end = source.indexOf('}', start)
    if (end < 0) throw new Error(`the "\${" at character ${start + 1} has no closing "}"`)
    reads.push(variable(source.slice(start + 2, end)))
    position = end + 1
  }
  return reads.length === 0 ? new ConstantValue(source) : new ExchangeValue(source, literals, reads)
}

class ConstantValue implements ValueTemplate {
  readonly source: string
  readonly constant: string
  constructor(source: string) {
    this.source = source
    this.constant = source.trim()
  }
  render(): string {
    return this.constant
  }
}

class ExchangeValue implements ValueTemplate {
  readonly source: string
  readonly constant = null
  /** One more than there are reads: what stands before, between and after them. */
  readonly #literals: readonly string[]
  readonly #reads: readonly Read[]

  constructor(source: string, literals: readonly string[], reads: readonly Read[]) {
    this.source = source
    this.#literals = literals
    this.#reads = reads
  }

  render(exchange: Exchange): string {
    let value = this.#literals[0]!
    for (let index = 0; index < this.#reads.length; index++) {
      const part = this.#reads[index]!(exchange)
      if (part === null || !isFieldValue(part)) return ''
      value += part + this.#literals[index + 1]!
    }
    return value
  }
}

function literal(text: string): string {
  if (CONSTANT.test(text)) return text
  throw new Error(`"${text}" holds a character that is not ASCII, or a control character`)
}

function variable(name: string): Read {
  const plain = Object.hasOwn(PLAIN, name) ? PLAIN[name] : undefined
  if (plain !== undefined) return plain
  if (name.startsWith(HEADER_PREFIX)) {
    const field = name.slice(HEADER_PREFIX.length)
    if (!FIELD_NAME.test(field)) throw new Error(`"${field}" in "\${${name}}" is not a header name`)
    const lowerName = field.toLowerCase()
    return (exchange) => exchange.requestHeader(lowerName)
  }
  if (name.startsWith(PARAMETER_PREFIX)) {
    const parameter = name.slice(PARAMETER_PREFIX.length)
    if (!PARAMETER_NAME.test(parameter)) {
      throw new Error(`"${parameter}" in "\${${name}}" is not the name of a path parameter`)
    }
    return (exchange) => pathParameter(exchange, parameter)
  }
  const hint = didYouMean(name, KNOWN) || `; known are ${KNOWN.join(', ')}`
  throw new Error(`"\${${name}}" is not known${hint}`)
}

function pathParameter(exchange: Exchange, name: string): string | null {
  const { params } = exchange
  return params === null || !Object.hasOwn(params, name) ? null : utf8(params[name]!)
}

/** The text as one character per byte of its UTF-8 form, which is how field values are written. */
function utf8(text: string | null): string | null {
  if (text === null) return null
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) > 0x7f) return Buffer.from(text, 'utf8').toString('latin1')
  }
  return text
}

/** RFC 9110 5.5: visible ASCII, obs-text, space and tab. */
function isFieldValue(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if ((code < 0x20 && code !== 0x09) || code === 0x7f || code > 0xff) return false
  }
  return true
}
