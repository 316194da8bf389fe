// The keys that signatures may be made with: those of the settings, then those of the consumers.
import type { KnownConsumer, SignatureKeyEntry } from '../../proxy/pipeline/consumer.ts'
import type { PolicyEnvironment } from '../../proxy/pipeline/policy.ts'
import type { SignatureSettings } from './settings.ts'
import { ALGORITHMS, type Algorithm, VerificationKey } from './verification-key.ts'

/** A key, with whose it is. */
export interface OwnedKey {
  readonly key: VerificationKey
  readonly consumer: KnownConsumer
}

/** The keys of one stage. */
export class KeyRing {
  readonly #environment: PolicyEnvironment
  readonly #inline = new Map<string, OwnedKey>()
  /** What became of each entry of a consumer; null for one that cannot be used. */
  readonly #ofConsumers = new WeakMap<SignatureKeyEntry, OwnedKey | null>()

  /** @throws Error naming the key of the settings that cannot be used. */
  constructor(keys: SignatureSettings['keys'], environment: PolicyEnvironment) {
    this.#environment = environment
    for (const { id, algorithm, key, consumer } of keys) {
      if (this.#inline.has(id)) throw new Error(`the key "${id}" is there twice`)
      const { consumers } = environment
      const owner = consumers.byId(consumer ?? id) ?? (consumer === undefined ? ownerOf(id) : null)
      if (owner === null) throw new Error(`there is no consumer "${consumer}"`)
      try {
        this.#inline.set(id, { key: new VerificationKey(algorithm, key), consumer: owner })
      } catch (error) {
        throw new Error(`the key "${id}" cannot be used: ${(error as Error).message}`)
      }
    }
  }

  /** The key of this id, or null. */
  find(id: string): OwnedKey | null {
    const inline = this.#inline.get(id)
    if (inline !== undefined) return inline
    const entry = this.#environment.consumers.bySignatureKey(id)
    if (entry === null) return null
    let found = this.#ofConsumers.get(entry)
    if (found === undefined) {
      found = this.#imported(id, entry)
      this.#ofConsumers.set(entry, found)
    }
    return found
  }

  #imported(id: string, { algorithm, key, consumer }: SignatureKeyEntry): OwnedKey | null {
    const { log, route } = this.#environment
    try {
      if (!isAlgorithm(algorithm)) throw new Error('its algorithm is not known')
      return { key: new VerificationKey(algorithm, key), consumer }
    } catch (error) {
      const fields = { route: route.id, consumer: consumer.id, keyId: id }
      log.error({ ...fields, reason: (error as Error).message }, 'a signature key cannot be used')
      return null
    }
  }
}

function isAlgorithm(name: string): name is Algorithm {
  return (ALGORITHMS as readonly string[]).includes(name)
}

/** Whoever holds a key that belongs to no consumer. */
function ownerOf(id: string): KnownConsumer {
  return Object.freeze({ id, groups: [], claims: null, metadata: {}, limits: {} })
}
