// Holds the body of a request against its schema.
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import type { PolicyEnvironment } from '../../proxy/pipeline/policy.ts'
import type { Reply } from '../../proxy/pipeline/reply.ts'
import { isJson, parseMediaType } from '../media-type.ts'
import type { CompiledSchema, Finding } from './schemas.ts'
import { type JsonBounds, readJson } from './strict-json.ts'

/** The bodies of one route. */
export class BodyCheck {
  readonly #schema: CompiledSchema
  readonly #bounds: JsonBounds
  readonly #environment: PolicyEnvironment
  /** Whether the body of an exchange has been seen. */
  readonly #slot: number
  readonly #missing: Reply
  readonly #notJson: Reply
  readonly #encoded: Reply

  constructor(schema: CompiledSchema, bounds: JsonBounds, environment: PolicyEnvironment) {
    this.#schema = schema
    this.#bounds = bounds
    this.#environment = environment
    this.#slot = environment.slot()
    this.#missing = this.#refusal([{ path: 'body', message: 'must be there' }])
    this.#notJson = environment.problem('unsupported_media_type', {
      detail: 'The request body must be JSON in UTF-8, and its Content-Type must say so.',
      headers: { Accept: 'application/json' },
    })
    this.#encoded = environment.problem('unsupported_media_type', {
      detail: 'The request body may not be compressed.',
      headers: { 'Accept-Encoding': 'identity' },
    })
  }

  /** A refusal by what the head says of the body, or nothing. */
  head(exchange: Exchange): Reply | undefined {
    if (!exchange.requestHasBody) return mayBeEmpty(exchange.method) ? undefined : this.#missing
    if (exchange.requestHeader('content-encoding') !== null) return this.#encoded
    const written = exchange.requestHeader('content-type')
    const type = written === null ? null : parseMediaType(written)
    if (type === null || !isJson(type)) return this.#notJson
    if (type.charset !== null && type.charset !== 'utf-8') return this.#notJson
    return undefined
  }

  /** The whole body, or a refusal; null marks its end. */
  body(exchange: Exchange, whole: Buffer | null): Buffer | Reply | null {
    const wasSeen = exchange.slots[this.#slot] !== null
    if (whole === null) return wasSeen ? null : this.#missing
    if (wasSeen) throw new Error('a policy before this one hands the body on in pieces')
    exchange.slots[this.#slot] = true
    const text = readJson(whole, this.#bounds)
    if (typeof text === 'string') return this.#refusal([{ path: 'body', message: text }])
    const findings = this.#schema.findings(text.value, 'body', text.members)
    return findings === null ? whole : this.#refusal(findings)
  }

  #refusal(errors: readonly Finding[]): Reply {
    return this.#environment.problem('validation_failed', { extensions: { errors } })
  }
}

/** Requests whose method gives a body no meaning, or where most have none. */
function mayBeEmpty(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'DELETE' || method === 'OPTIONS'
}
