// Which consumer of the configuration the holder of a token is. A token makes nobody one of them by
// the name that it bears: only by what stands there as its credential, under an issuer that was checked.
import type { Consumer, ConsumerDirectory, KnownConsumer } from '../proxy/pipeline/consumer.ts'
import type { CredentialUse } from '../proxy/pipeline/policy.ts'
import type { ConsumerSettings } from './claims.ts'

/** Why a token that is good in itself lets nobody in. */
export type ConsumerRefusal = 'unknown_consumer' | 'foreign_consumer'

/** Each reason as clients are told it. */
export const CONSUMER_REFUSALS: Readonly<Record<ConsumerRefusal, string>> = {
  unknown_consumer: 'The token belongs to no consumer of the gateway.',
  foreign_consumer:
    'The token bears the name of a consumer of the gateway that it does not belong to.',
}

/** What is known of the tokens of one policy. */
export interface TokenTrust {
  /** Whether the issuer of every token is one that the settings name. */
  readonly isIssuerChecked: boolean
  /** Whether the client says who calls; false where every token is issued to the same one. */
  readonly hasClients: boolean
}

/** What `credentials` of a policy with tokens of these issuers says. */
export function tokenCredentials(
  { known }: ConsumerSettings,
  issuers: readonly string[],
): readonly CredentialUse[] {
  return [{ kind: 'tokens', issuers, isNeeded: known === 'required' }]
}

/** Finds the consumers of the configuration by their tokens. */
export class TokenConsumers {
  readonly #directory: ConsumerDirectory
  readonly #trust: TokenTrust
  readonly #isRequired: boolean

  constructor({ known }: ConsumerSettings, trust: TokenTrust, directory: ConsumerDirectory) {
    this.#directory = directory
    this.#trust = trust
    this.#isRequired = known === 'required'
  }

  /** Who calls with a token of which the claims say that it is `consumer`; or why nobody does. */
  resolve(consumer: Consumer): Consumer | ConsumerRefusal {
    const known = this.#find(consumer)
    if (known !== null) return joinedConsumer(known, consumer)
    // Its limits, its groups and what `require` asks for by its name are not this token's.
    if (this.#directory.byId(consumer.id) !== null) return 'foreign_consumer'
    return this.#isRequired ? 'unknown_consumer' : consumer
  }

  #find({ claims }: Consumer): KnownConsumer | null {
    const { isIssuerChecked, hasClients } = this.#trust
    if (!isIssuerChecked || claims === null) return null
    const issuer = textOf(claims.iss)
    if (issuer === null) return null
    const client = hasClients ? (textOf(claims.client_id) ?? textOf(claims.azp)) : null
    return this.#directory.byToken(issuer, textOf(claims.sub), client)
  }
}

/** A consumer of the configuration with what its credential says: the claims, and the groups of both. */
export function joinedConsumer(known: KnownConsumer, { groups, claims }: Consumer): KnownConsumer {
  const { id, metadata, limits } = known
  return { id, groups: union(known.groups, groups), claims, metadata, limits }
}

function union(some: readonly string[], more: readonly string[]): readonly string[] {
  if (more.length === 0) return some
  return some.length === 0 ? more : [...new Set([...some, ...more])]
}

function textOf(claim: unknown): string | null {
  return typeof claim === 'string' && claim !== '' ? claim : null
}
