// Decides about signed requests: first by the head alone, then by the body.
import { createHash } from 'node:crypto'
import type { Authentication } from '../../proxy/pipeline/consumer.ts'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import type { PolicyEnvironment, Verdict } from '../../proxy/pipeline/policy.ts'
import type { Reply } from '../../proxy/pipeline/reply.ts'
import { challenge } from '../challenge.ts'
import { setConsumerHeaders } from '../consumer-headers.ts'
import { CredentialFailures } from '../credential-failure.ts'
import { ContentDigest } from './content-digest.ts'
import { uncovered } from './coverage.ts'
import { KeyRing, type OwnedKey } from './key-ring.ts'
import type { SignatureSettings } from './settings.ts'
import { type Reason, type ReceivedSignature, readSignature } from './signature.ts'
import { signatureBase } from './signature-base.ts'

const EMPTY = Buffer.alloc(0)
const DIGEST = 'content-digest'

const DETAILS: Readonly<Record<Reason, string>> = {
  malformed: 'Signature or Signature-Input cannot be read.',
  ambiguous: 'More than one of the signatures could be meant.',
  unknown_key: 'The key that the signature names is not known.',
  algorithm: 'The signature names another algorithm than that of its key.',
  components: 'The signature does not cover what it must, or covers what is not there.',
  created: 'The signature has no time of creation, or one that is still to come.',
  expired: 'The signature is too old.',
  replayed: 'The signature was used before.',
  digest: 'The Content-Digest is missing, cannot be read, or is not that of the body.',
  mismatch: 'The signature is not that of the key over this request.',
}

/** One stage. */
export class SignatureGate {
  readonly #settings: SignatureSettings
  readonly #environment: PolicyEnvironment
  readonly #keys: KeyRing
  readonly #withoutBody: readonly string[]
  readonly #withBody: readonly string[]
  readonly #failures: CredentialFailures
  readonly #authentication: Authentication
  readonly #missing: Reply
  readonly #refusals: Readonly<Record<Reason, Reply>>
  /** The digest that the body of an exchange must have. */
  readonly #slot: number

  constructor(settings: SignatureSettings, environment: PolicyEnvironment) {
    const { components, digest, keys, realm, failures } = settings
    this.#settings = settings
    this.#environment = environment
    this.#keys = new KeyRing(keys, environment)
    this.#withoutBody = components
    this.#withBody = digest ? [...new Set([...components, DIGEST])] : components
    this.#failures = new CredentialFailures(failures, environment)
    this.#authentication = Object.freeze({ stage: environment.stage.id, scheme: 'Signature' })
    this.#slot = environment.slot()
    const headers = {
      'WWW-Authenticate': challenge('Signature', { realm: realm ?? null }),
      'Accept-Signature': acceptSignature(this.#withBody, settings),
    }
    this.#missing = environment.problem('signature_missing', { headers })
    const refusal = (reason: Reason): Reply => {
      const detail = DETAILS[reason]
      return environment.problem('signature_invalid', { detail, extensions: { reason }, headers })
    }
    this.#refusals = {
      malformed: refusal('malformed'),
      ambiguous: refusal('ambiguous'),
      unknown_key: refusal('unknown_key'),
      algorithm: refusal('algorithm'),
      components: refusal('components'),
      created: refusal('created'),
      expired: refusal('expired'),
      replayed: refusal('replayed'),
      digest: refusal('digest'),
      mismatch: refusal('mismatch'),
    }
  }

  /** What the head says: who signed, and whether anybody did. */
  decide(exchange: Exchange): Verdict {
    const { request } = exchange
    const { label = null, tag = null } = this.#settings
    const inputs = request.field('signature-input')
    const received = readSignature(inputs, request.field('signature'), label, tag)
    if (received === null) return this.#missing
    if (typeof received === 'string') return this.#refusals[received]
    const early = this.#untimely(received) ?? this.#uncovered(exchange, received)
    if (early !== null) return this.#refusals[early]
    const owned = received.keyId === null ? null : this.#keys.find(received.keyId)
    if (owned === null) return this.#failed(exchange, 'unknown_key', received.keyId)
    const { algorithm } = received
    if (algorithm !== null && algorithm !== owned.key.algorithm) {
      return this.#refusals.algorithm
    }
    const { scheme = exchange.scheme } = this.#settings
    const base = signatureBase({ request, method: exchange.method, scheme }, received)
    if (base === null) return this.#refusals.components
    if (!owned.key.verify(base, received.bytes)) {
      return this.#failed(exchange, 'mismatch', received.keyId)
    }
    if (!this.#expectDigest(exchange)) return this.#refusals.digest
    return this.#claim(exchange, received, owned, base)
  }

  /** The whole body, or a refusal; null marks its end. */
  body(exchange: Exchange, whole: Buffer | null): Buffer | Reply | null {
    const expected = exchange.slots[this.#slot]
    if (!(expected instanceof ContentDigest)) return whole
    exchange.slots[this.#slot] = null
    return expected.fits(whole ?? EMPTY) ? whole : this.#refusals.digest
  }

  #untimely({ created, expires }: ReceivedSignature): Reason | null {
    const { maxAge, tolerance } = this.#settings
    const now = this.#environment.clock.wallTime()
    if (created === null || created * 1_000 > now + tolerance) return 'created'
    if (created * 1_000 + maxAge + tolerance < now) return 'expired'
    return expires !== null && expires * 1_000 + tolerance < now ? 'expired' : null
  }

  #uncovered(exchange: Exchange, { input }: ReceivedSignature): Reason | null {
    const required = exchange.requestHasBody ? this.#withBody : this.#withoutBody
    return uncovered(input, required) === null ? null : 'components'
  }

  /** Notes what the body must be. @returns false if that is not known, or there is none and should be. */
  #expectDigest(exchange: Exchange): boolean {
    if (!this.#settings.digest) return true
    const field = exchange.request.field(DIGEST)
    if (field === null && !exchange.requestHasBody) return true
    const digest = ContentDigest.parse(field)
    if (digest === null) return false
    if (!exchange.requestHasBody) return digest.fits(EMPTY)
    exchange.slots[this.#slot] = digest
    return true
  }

  /** Only a signature that is good is ever noted, so that nobody unknown can fill the store. */
  #claim(exchange: Exchange, received: ReceivedSignature, owned: OwnedKey, base: Buffer): Verdict {
    if (this.#settings.replays === 'allow') return this.#accept(exchange, owned)
    const { clock, store, stage } = this.#environment
    const { maxAge, tolerance } = this.#settings
    const { created, expires, keyId, nonce } = received
    const end = Math.min(created! * 1_000 + maxAge, (expires ?? Number.MAX_SAFE_INTEGER) * 1_000)
    const lifetimeMs = Math.max(1_000, end + tolerance - clock.wallTime() + 1_000)
    // A signature may be written in more than one way; what it signs may not.
    const used = nonce === null ? base : `nonce ${nonce}`
    const name = createHash('sha256').update(`${keyId}\n`).update(used).digest('base64url')
    const isFirst = store.claim(`${stage.id} signature ${name}`, lifetimeMs)
    if (typeof isFirst === 'boolean') return this.#claimed(exchange, owned, isFirst)
    return isFirst.then((first) => this.#claimed(exchange, owned, first))
  }

  #claimed(exchange: Exchange, owned: OwnedKey, isFirst: boolean): Reply | undefined {
    return isFirst ? this.#accept(exchange, owned) : this.#refusals.replayed
  }

  #accept(exchange: Exchange, { consumer }: OwnedKey): undefined {
    exchange.consumer = consumer
    exchange.authentication = this.#authentication
    setConsumerHeaders(exchange, this.#settings.forward, consumer)
  }

  /** Only failures are limited: nobody's wrong ones shut out who shares an address, or a key, and has it. */
  #failed(exchange: Exchange, reason: Reason, keyId: string | null): Verdict {
    const identity = keyId === null ? null : `signature ${keyId}`
    const mayTry = this.#failures.mayTry(exchange, identity)
    if (typeof mayTry === 'boolean') return this.#counted(exchange, reason, identity, mayTry)
    return mayTry.then((allowed) => this.#counted(exchange, reason, identity, allowed))
  }

  #counted(exchange: Exchange, reason: Reason, identity: string | null, mayTry: boolean): Reply {
    if (!mayTry) return this.#failures.tooMany
    this.#failures.note(exchange, identity)
    return this.#refusals[reason]
  }
}

/** What a signature should be like (RFC 9421 5.1). */
function acceptSignature(
  components: readonly string[],
  { label = 'sig', tag }: SignatureSettings,
): string {
  const items = components.map((name) => `"${name}"`).join(' ')
  const tagged = tag === undefined ? '' : `;tag="${tag.replaceAll(/["\\]/g, '\\$&')}"`
  return `${label}=(${items});created;keyid${tagged}`
}
