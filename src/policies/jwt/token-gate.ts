// Lets requests in by their tokens: the policy on one route.
import type { Clock } from '../../lib/clock.ts'
import type { Authentication } from '../../proxy/pipeline/consumer.ts'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import type { PolicyEnvironment, Verdict } from '../../proxy/pipeline/policy.ts'
import type { Reply } from '../../proxy/pipeline/reply.ts'
import type { Outcome } from '../../state/store.ts'
import { forwardIdentity } from '../claims.ts'
import { TokenConsumers } from '../token-consumer.ts'
import { type TokenScheme, TokenSource } from '../token-source.ts'
import type { Refusal } from './refusal.ts'
import type { RememberedTokens } from './remembered-tokens.ts'
import type { JwtSettings } from './settings.ts'
import type { TokenRealm } from './token-realm.ts'
import type { VerifiedToken } from './token-verifier.ts'

/** The policy on one route. */
export class TokenGate {
  readonly #realm: TokenRealm
  readonly #source: TokenSource
  readonly #remembered: RememberedTokens
  readonly #clock: Clock
  readonly #isOptional: boolean
  readonly #strips: boolean
  readonly #dpop: JwtSettings['dpop']
  readonly #consumers: TokenConsumers
  /** Holds true where the client should hear of a newer nonce. */
  readonly #slot: number
  readonly #bearer: Authentication
  readonly #bound: Authentication

  constructor(realm: TokenRealm, environment: PolicyEnvironment) {
    const {
      consumers,
      stage: { id: stage },
    } = environment
    const { from, optional, strip, dpop, consumer, issuer } = realm.settings
    this.#realm = realm
    this.#source = new TokenSource(from, dpop === 'off' ? ['Bearer'] : ['Bearer', 'DPoP'])
    this.#remembered = realm.remembered
    this.#clock = realm.clock
    this.#isOptional = optional
    this.#strips = strip
    this.#dpop = dpop
    this.#slot = realm.nonces === null ? -1 : environment.slot()
    const trust = { isIssuerChecked: issuer !== undefined, hasClients: true }
    this.#consumers = new TokenConsumers(consumer, trust, consumers)
    this.#bearer = Object.freeze({ stage, scheme: 'Bearer' })
    this.#bound = Object.freeze({ stage, scheme: 'DPoP' })
  }

  /** Decides about a request. Nothing is waited for if the token is remembered. */
  decide(exchange: Exchange): Verdict {
    const source = this.#source
    const finding = source.find(exchange)
    if (finding !== 'found') {
      if (finding === 'none') return this.#isOptional ? undefined : this.#realm.missing
      return this.#realm.refuse(exchange, finding)
    }
    const { token, scheme } = source
    if (token.length > this.#realm.settings.sizeMax)
      return this.#realm.refuse(exchange, 'too_large')
    const name = this.#remembered.nameOf(token)
    const known = this.#remembered.find(name)
    if (known === null) return this.#attempt(exchange, token, scheme, name)
    const now = this.#clock.wallTime()
    if (now >= known.endsAtMs) {
      this.#remembered.forget(name)
      return this.#realm.refuse(exchange, 'expired')
    }
    if (now < known.startsAtMs) return this.#realm.refuse(exchange, 'not_yet_valid')
    return this.#admit(exchange, token, scheme, known)
  }

  /** Gives a client the nonce of its next proofs while the last one still does. */
  renewNonce(exchange: Exchange): void {
    const { nonces } = this.#realm
    if (nonces === null || exchange.slots[this.#slot] !== true) return
    exchange.setResponseHeader('DPoP-Nonce', nonces.current)
    exchange.setResponseHeader('Cache-Control', 'no-store')
  }

  /** Verifies a token that is not remembered, if its address may try. */
  #attempt(exchange: Exchange, token: string, scheme: TokenScheme, name: string): Verdict {
    const mayTry = this.#realm.failures.mayTry(exchange, null)
    if (mayTry === true) return this.#verify(exchange, token, scheme, name, true)
    if (mayTry === false) return this.#realm.failures.tooMany
    return mayTry.then((may) =>
      may ? this.#verify(exchange, token, scheme, name, true) : this.#realm.failures.tooMany,
    )
  }

  #verify(
    exchange: Exchange,
    token: string,
    scheme: TokenScheme,
    name: string,
    mayWait: boolean,
  ): Verdict {
    const { keys, verifier } = this.#realm
    const { current } = keys
    const verified = current === null ? null : verifier.verify(token, current)
    if (verified === null || verifier.wantsKey) {
      const wait = mayWait ? keys.ask(verified === null ? null : verifier.lastKid) : null
      if (wait !== null) return wait.then(() => this.#verify(exchange, token, scheme, name, false))
      // Whether the key exists cannot be said while nobody can be asked.
      if (verified === null || keys.isFailing) return this.#realm.unavailable
    }
    if (typeof verified === 'string') return this.#realm.refuse(exchange, verified)
    this.#remembered.add(name, verified)
    return this.#admit(exchange, token, scheme, verified)
  }

  #admit(exchange: Exchange, token: string, scheme: TokenScheme, verified: VerifiedToken): Verdict {
    const { thumbprint } = verified
    if (thumbprint === null) {
      if (this.#dpop === 'required' || scheme === 'DPoP') {
        return this.#realm.refuse(exchange, 'not_bound')
      }
      return this.#enter(exchange, verified, this.#bearer)
    }
    // A bound token is worth nothing without its proof, whatever else the client calls it.
    if (this.#dpop === 'off' || (scheme === 'Bearer' && this.#source.hasSchemes)) {
      return this.#realm.refuse(exchange, 'proof_missing')
    }
    const { proofs } = this.#realm
    const refusal: Outcome<Refusal | null> = proofs.check(exchange, token, thumbprint)
    if (proofs.hasOldNonce) exchange.slots[this.#slot] = true
    if (refusal instanceof Promise) {
      return refusal.then((found) => this.#afterProof(exchange, verified, found))
    }
    return this.#afterProof(exchange, verified, refusal)
  }

  #afterProof(exchange: Exchange, verified: VerifiedToken, refusal: Refusal | null): void | Reply {
    if (refusal !== null) return this.#realm.refuse(exchange, refusal)
    return this.#enter(exchange, verified, this.#bound)
  }

  #enter(
    exchange: Exchange,
    verified: VerifiedToken,
    authentication: Authentication,
  ): void | Reply {
    const { identity } = verified
    const consumer = this.#consumers.resolve(identity.consumer)
    if (typeof consumer === 'string') return this.#realm.refuse(exchange, consumer)
    exchange.consumer = consumer
    exchange.authentication = authentication
    forwardIdentity(exchange, identity)
    if (!this.#strips) return
    this.#source.strip(exchange)
    if (verified.thumbprint !== null) exchange.removeRequestHeader('dpop')
  }
}
