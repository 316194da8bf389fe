// What a passing answer of the authorization service says about who calls, and how a request shows it.
import type { Authentication, Consumer } from '../../proxy/pipeline/consumer.ts'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import { fieldLine } from '../../proxy/pipeline/reply.ts'
import { NoDecision } from './authorization-call.ts'

/** A pass, with what it says. */
export interface Grant {
  /** The value of each identity header, at its place; null where the answer has none. */
  readonly values: readonly (string | null)[]
  readonly consumer: Consumer | null
}

/** Names in the answer and in the request. */
export interface GrantSettings {
  readonly identityHeaders: readonly string[]
  readonly consumerFrom?: string | undefined
  readonly groupsFrom?: string | undefined
}

/** Reads grants and applies them. */
export class Grants {
  readonly #settings: GrantSettings
  readonly #authentication: Authentication

  constructor(settings: GrantSettings, stage: string) {
    this.#settings = settings
    this.#authentication = { stage, scheme: 'Bearer' }
  }

  /** @throws NoDecision when the answer names nobody although it should, or cannot be passed on. */
  read(headers: Headers): Grant {
    const { identityHeaders, consumerFrom, groupsFrom } = this.#settings
    const values = identityHeaders.map((name) => headers.get(name))
    for (const [index, value] of values.entries()) {
      if (value !== null) assertField(identityHeaders[index]!, value)
    }
    if (consumerFrom === undefined) return { values, consumer: null }
    const id = utf8(headers.get(consumerFrom) ?? '')
    if (id === '') throw new NoDecision(`a pass without ${consumerFrom}`)
    const groups = groupsFrom === undefined ? '' : utf8(headers.get(groupsFrom) ?? '')
    return { values, consumer: { id, groups: listOf(groups), claims: null } }
  }

  /** An identity header that the answer lacks is removed, whoever has set it. */
  apply(exchange: Exchange, { values, consumer }: Grant): void {
    const { identityHeaders } = this.#settings
    for (let index = 0; index < values.length; index++) {
      const value = values[index]!
      if (value === null) exchange.removeRequestHeader(identityHeaders[index]!)
      else exchange.setRequestHeader(identityHeaders[index]!, value)
    }
    if (consumer === null) return
    exchange.consumer = consumer
    exchange.authentication = this.#authentication
  }
}

function assertField(name: string, value: string): void {
  try {
    fieldLine(name, value)
  } catch {
    throw new NoDecision(`a value of ${name} that no header may carry`)
  }
}

/** Field values arrive as one character per byte. */
function utf8(value: string): string {
  return Buffer.from(value, 'latin1').toString('utf8').trim()
}

function listOf(text: string): readonly string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}
