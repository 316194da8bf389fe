// The consumers of a document, ready to be looked up: every question is one look into a map.
import type {
  ConsumerDirectory,
  KeyEntry,
  KnownConsumer,
  PasswordEntry,
  SignatureKeyEntry,
} from '../proxy/pipeline/consumer.ts'
import { NO_CONSUMERS } from '../proxy/pipeline/inert-environment.ts'
import { Importance } from '../proxy/upstream/concurrency/importance.ts'
import type { ConsumerDocument, Document } from './schema.ts'

/** Compiles the consumers of a document. */
export function compileConsumers({ consumers }: Document): ConsumerDirectory {
  return consumers.length === 0 ? NO_CONSUMERS : new CompiledConsumers(consumers)
}

/** How much requests of a consumer matter, by its id; null when no consumer says so. */
export function consumerImportance({ consumers }: Document): ReadonlyMap<string, number> | null {
  const levels = new Map<string, number>()
  for (const { id, importance } of consumers) {
    if (importance !== null) levels.set(id, Importance[importance])
  }
  return levels.size === 0 ? null : levels
}

/** Whose tokens of one issuer are, by subject and by client. */
interface TokensOfIssuer {
  readonly subjects: Map<string, KnownConsumer>
  readonly clients: Map<string, KnownConsumer>
}

class CompiledConsumers implements ConsumerDirectory {
  readonly #ids = new Map<string, KnownConsumer>()
  readonly #keys = new Map<string, KeyEntry>()
  readonly #passwords = new Map<string, PasswordEntry>()
  readonly #signatureKeys = new Map<string, SignatureKeyEntry>()
  readonly #issuers = new Map<string, TokensOfIssuer>()
  readonly #decoys: string[] = []

  constructor(documents: readonly ConsumerDocument[]) {
    for (const document of documents) this.#add(document)
  }

  byId(id: string): KnownConsumer | null {
    return this.#ids.get(id) ?? null
  }

  byKeyHash(hash: string): KeyEntry | null {
    return this.#keys.get(hash) ?? null
  }

  byUsername(name: string): PasswordEntry | null {
    return this.#passwords.get(name) ?? null
  }

  byToken(issuer: string, subject: string | null, client: string | null): KnownConsumer | null {
    const tokens = this.#issuers.get(issuer)
    if (tokens === undefined) return null
    const bySubject = subject === null ? undefined : tokens.subjects.get(subject)
    if (bySubject !== undefined) return bySubject
    return client === null ? null : (tokens.clients.get(client) ?? null)
  }

  bySignatureKey(keyId: string): SignatureKeyEntry | null {
    return this.#signatureKeys.get(keyId) ?? null
  }

  decoyHash(name: string): string | null {
    if (this.#decoys.length === 0) return null
    let sum = 0
    for (let index = 0; index < name.length; index++) {
      sum = (Math.imul(sum, 31) + name.charCodeAt(index)) >>> 0
    }
    return this.#decoys[sum % this.#decoys.length]!
  }

  #add(document: ConsumerDocument): void {
    const { id, groups, metadata, keys, passwords, signatureKeys, tokens, limits } = document
    const consumer: KnownConsumer = Object.freeze({
      id,
      groups: Object.freeze([...groups]),
      claims: null,
      metadata: withoutPrototype(metadata),
      limits: withoutPrototype(limits),
    })
    this.#ids.set(id, consumer)
    for (const { hash, label, expiresAtMs } of keys) {
      this.#keys.set(hash, {
        consumer,
        hash,
        label,
        expiresAtMs: expiresAtMs ?? Number.POSITIVE_INFINITY,
      })
    }
    for (const { username, hash } of passwords) {
      this.#passwords.set(username, { consumer, hash })
      this.#decoys.push(hash)
    }
    for (const { keyId, algorithm, key } of signatureKeys) {
      this.#signatureKeys.set(keyId, { consumer, algorithm, key })
    }
    for (const { issuer, subject, client } of tokens) {
      const found = this.#issuers.get(issuer) ?? { subjects: new Map(), clients: new Map() }
      this.#issuers.set(issuer, found)
      if (subject !== null) found.subjects.set(subject, consumer)
      if (client !== null) found.clients.set(client, consumer)
    }
  }
}

/** So that a look-up by `constructor` finds nothing. */
function withoutPrototype<T>(record: Readonly<Record<string, T>>): Readonly<Record<string, T>> {
  return Object.freeze(Object.assign(Object.create(null) as Record<string, T>, record))
}
