// What a passing answer of the authorization service says about who calls, and how a request shows it.
import type { Authentication, Consumer, ConsumerDirectory } from '../../proxy/pipeline/consumer.ts'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import type { PolicyEnvironment } from '../../proxy/pipeline/policy.ts'
import { fieldLine, type Reply } from '../../proxy/pipeline/reply.ts'
import { joinedConsumer } from '../token-consumer.ts'
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
  /** Whether an answer may name consumers of the configuration. */
  readonly known: 'refuse' | 'accept'
}

/** Reads grants and applies them. */
export class Grants {
  readonly #settings: GrantSettings
  readonly #consumers: ConsumerDirectory
  readonly #authentication: Authentication
  readonly #foreign: Reply

  constructor(
    settings: GrantSettings,
    { stage, consumers, problem }: Pick<PolicyEnvironment, 'stage' | 'consumers' | 'problem'>,
  ) {
    this.#settings = settings
    this.#consumers = consumers
    this.#authentication = { stage: stage.id, scheme: 'Bearer' }
    this.#foreign = problem('forbidden', {
      detail: 'The caller bears the name of a consumer of the gateway.',
    })
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

  /** Lets the caller in. An identity header that the answer lacks is removed, whoever has set it. */
  apply(exchange: Exchange, { values, consumer }: Grant): Reply | undefined {
    const { identityHeaders, known } = this.#settings
    const named = consumer === null ? null : this.#consumers.byId(consumer.id)
    if (named !== null && known === 'refuse') return this.#foreign
    for (let index = 0; index < values.length; index++) {
      const value = values[index]!
      if (value === null) exchange.removeRequestHeader(identityHeaders[index]!)
      else exchange.setRequestHeader(identityHeaders[index]!, value)
    }
    if (consumer === null) return
    exchange.consumer = named === null ? consumer : joinedConsumer(named, consumer)
    exchange.authentication = this.#authentication
    return
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
