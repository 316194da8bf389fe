// Lets requests in by their tokens. What all routes with the same settings share is here as well: the
// answers, the rules, and the tokens that are remembered.
import type { Clock } from '../../lib/clock.ts'
import type { Authentication } from '../../proxy/pipeline/consumer.ts'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import type { Kept, PolicyEnvironment, Verdict } from '../../proxy/pipeline/policy.ts'
import type { Reply } from '../../proxy/pipeline/reply.ts'
import type { Outcome } from '../../state/store.ts'
import { type ChallengeParameters, challenge } from '../challenge.ts'
import { ClaimReader, forwardIdentity } from '../claims.ts'
import { CredentialFailures } from '../credential-failure.ts'
import { TokenConsumers } from '../token-consumer.ts'
import { type TokenScheme, TokenSource } from '../token-source.ts'
import { PUBLIC_KEY_ALGORITHMS } from './algorithms.ts'
import { mediaType } from './compact-token.ts'
import { ProofChecker } from './dpop-proof.ts'
import type { KeySource } from './key-source.ts'
import { REFUSALS, type Refusal, refusalKind } from './refusal.ts'
import { RememberedTokens } from './remembered-tokens.ts'
import { allowedAlgorithms, type JwtSettings } from './settings.ts'
import { TokenVerifier, type VerifiedToken } from './token-verifier.ts'

/** Types that say no more than that this is a JWT, or an access token. */
const ANY_TYPE = ['jwt', 'at+jwt']

/** What routes with the same settings share. */
export class TokenRealm implements Kept {
  readonly settings: JwtSettings
  readonly clock: Clock
  readonly keys: KeySource
  readonly verifier: TokenVerifier
  readonly proofs: ProofChecker
  readonly remembered: RememberedTokens
  readonly failures: CredentialFailures
  readonly missing: Reply
  readonly unavailable: Reply
  readonly #refusals: ReadonlyMap<string, Reply>

  constructor(settings: JwtSettings, keys: KeySource, environment: PolicyEnvironment) {
    const { problem, clock, store } = environment
    const { tolerance: toleranceMs, sizeMax: bytesMax, type, unchecked } = settings
    const onlyType = type === undefined ? null : mediaType(type)
    this.settings = settings
    this.clock = clock
    this.keys = keys
    this.verifier = new TokenVerifier(
      {
        issuers: settings.issuer ?? [],
        audiences: settings.audience ?? [],
        needsExpiry: !unchecked.includes('exp'),
        types: onlyType === null ? ANY_TYPE : [onlyType],
        needsType: onlyType !== null,
        isAccessToken: onlyType === 'at+jwt',
        algorithms: allowedAlgorithms(settings),
        toleranceMs,
        bytesMax,
      },
      new ClaimReader(settings.consumer, settings.forward),
      clock,
    )
    const origin = settings.origin ?? null
    this.proofs = new ProofChecker({ origin, toleranceMs, bytesMax }, store, clock)
    this.remembered = new RememberedTokens(settings.remember)
    this.failures = new CredentialFailures(settings.failures, environment)
    this.missing = problem('token_missing', {
      headers: { 'WWW-Authenticate': challenges(settings, null) },
    })
    this.unavailable = problem('keys_unavailable')
    this.#refusals = new Map(
      (Object.keys(REFUSALS) as Refusal[]).map((reason) => [
        reason,
        problem('token_invalid', {
          detail: refusalKind(reason).detail,
          extensions: { reason },
          headers: { 'WWW-Authenticate': challenges(settings, reason) },
        }),
      ]),
    )
  }

  /** The answer to a refused token; the attempt is counted if it may have been one to get in. */
  refuse(exchange: Exchange, reason: Refusal): Reply {
    if (refusalKind(reason).suspicious) this.failures.note(exchange, null)
    return this.#refusals.get(reason)!
  }

  dispose(): void {}
}

/** The challenges of an answer: one for each scheme that would be taken. */
function challenges(settings: JwtSettings, reason: Refusal | null): string[] {
  const { realm = null, resourceMetadata = null, dpop } = settings
  const kind = reason === null ? null : refusalKind(reason)
  const common: ChallengeParameters = {
    realm,
    error: kind === null ? null : kind.isProof ? 'invalid_dpop_proof' : 'invalid_token',
    error_description: kind === null ? null : kind.detail,
    resource_metadata: resourceMetadata,
  }
  const list: string[] = []
  if (dpop !== 'required') list.push(challenge('Bearer', common))
  if (dpop !== 'off') {
    list.push(challenge('DPoP', { ...common, algs: PUBLIC_KEY_ALGORITHMS.join(' ') }))
  }
  return list
}

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
  readonly #bearer: Authentication
  readonly #bound: Authentication

  constructor(realm: TokenRealm, { stage: { id: stage }, consumers }: PolicyEnvironment) {
    const { from, optional, strip, dpop, consumer, issuer } = realm.settings
    this.#realm = realm
    this.#source = new TokenSource(from, dpop === 'off' ? ['Bearer'] : ['Bearer', 'DPoP'])
    this.#remembered = realm.remembered
    this.#clock = realm.clock
    this.#isOptional = optional
    this.#strips = strip
    this.#dpop = dpop
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
    const refusal: Outcome<Refusal | null> = this.#realm.proofs.check(exchange, token, thumbprint)
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
