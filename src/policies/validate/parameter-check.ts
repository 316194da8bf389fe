// Holds the parameters of a request against their schemas.
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import type { PolicyEnvironment } from '../../proxy/pipeline/policy.ts'
import type { Reply } from '../../proxy/pipeline/reply.ts'
import { ParameterReader } from './parameters.ts'
import type { CompiledSchema, Finding, WrittenSchema } from './schemas.ts'

interface Check {
  readonly written: WrittenSchema
  readonly schema: CompiledSchema
}

interface Part {
  readonly schema: CompiledSchema
  readonly reader: ParameterReader
}

/** The parameters of one route. */
export class ParameterCheck {
  readonly #path: Part | null
  readonly #query: Part | null
  readonly #headers: Part | null
  readonly #membersMax: number
  readonly #environment: PolicyEnvironment

  constructor(
    path: Check | null,
    query: Check | null,
    headers: Check | null,
    membersMax: number,
    environment: PolicyEnvironment,
  ) {
    this.#path = partOf(path)
    this.#query = partOf(query)
    this.#headers = partOf(headers)
    this.#membersMax = membersMax
    this.#environment = environment
  }

  /** A refusal, or nothing. */
  verdict(exchange: Exchange): Reply | undefined {
    const findings =
      this.#pathFindings(exchange) ??
      this.#queryFindings(exchange) ??
      this.#headerFindings(exchange)
    if (findings === null) return undefined
    return this.#environment.problem('validation_failed', { extensions: { errors: findings } })
  }

  #pathFindings(exchange: Exchange): Finding[] | null {
    const part = this.#path
    return part === null ? null : part.schema.findings(part.reader.path(exchange), 'path', 0)
  }

  #queryFindings(exchange: Exchange): Finding[] | null {
    const part = this.#query
    if (part === null) return null
    const parameters = part.reader.query(exchange.query, this.#membersMax)
    if (typeof parameters === 'string') return [{ path: 'query', message: parameters }]
    return part.schema.findings(parameters, 'query', 0)
  }

  #headerFindings(exchange: Exchange): Finding[] | null {
    const part = this.#headers
    return part === null ? null : part.schema.findings(part.reader.headers(exchange), 'headers', 0)
  }
}

function partOf(check: Check | null): Part | null {
  if (check === null) return null
  return { schema: check.schema, reader: new ParameterReader(check.written) }
}
