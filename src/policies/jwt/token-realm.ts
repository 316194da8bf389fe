// What all routes with the same settings share: the answers, the rules, the keys, and the tokens that
// are remembered.
import type { Clock } from '../../lib/clock.ts'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import type { Kept, PolicyEnvironment } from '../../proxy/pipeline/policy.ts'
import type { Reply } from '../../proxy/pipeline/reply.ts'
import { type ChallengeParameters, challenge } from '../challenge.ts'
import { ClaimReader } from '../claims.ts'
import { CredentialFailures } from '../credential-failure.ts'
import { PUBLIC_KEY_ALGORITHMS } from './algorithms.ts'
import { mediaType } from './compact-token.ts'
import { ProofChecker } from './dpop-proof.ts'
import type { KeySource } from './key-source.ts'
import { ProofNonces } from './proof-nonces.ts'
import { REFUSALS, type Refusal, refusalKind } from './refusal.ts'
import { RememberedTokens } from './remembered-tokens.ts'
import { allowedAlgorithms, type JwtSettings } from './settings.ts'
import { TokenVerifier } from './token-verifier.ts'

/** Types that say no more than that this is a JWT, or an access token. */
const ANY_TYPE = ['jwt', 'at+jwt']

/** What routes with the same settings share. */
export class TokenRealm implements Kept {
  readonly settings: JwtSettings
  readonly clock: Clock
  readonly keys: KeySource
  readonly verifier: TokenVerifier
  readonly proofs: ProofChecker
  /** Null: proofs need none. */
  readonly nonces: ProofNonces | null
  readonly remembered: RememberedTokens
  readonly failures: CredentialFailures
  readonly missing: Reply
  readonly unavailable: Reply
  readonly #refusals: ReadonlyMap<string, Reply>
  readonly #problem: PolicyEnvironment['problem']
  /** The answer to proofs without a nonce, for as long as `#nonce` is the one to use. */
  #nonceNeeded: Reply | null = null
  #nonce = ''

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
    const { origin = null, dpopNonce } = settings
    this.nonces =
      dpopNonce === undefined ? null : new ProofNonces(dpopNonce.secret, dpopNonce.lifetime, clock)
    const { nonces } = this
    this.proofs = new ProofChecker({ origin, toleranceMs, bytesMax, nonces }, store, clock)
    this.#problem = problem
    this.remembered = new RememberedTokens(settings.remember)
    this.failures = new CredentialFailures(settings.failures, environment)
    this.missing = problem('token_missing', {
      headers: { 'WWW-Authenticate': challenges(settings, null) },
    })
    this.unavailable = problem('keys_unavailable')
    this.#refusals = new Map(
      (Object.keys(REFUSALS) as Refusal[]).map((reason) => [
        reason,
        problem('token_invalid', refusalDetails(settings, reason)),
      ]),
    )
  }

  /** The answer to a refused token; the attempt is counted if it may have been one to get in. */
  refuse(exchange: Exchange, reason: Refusal): Reply {
    if (refusalKind(reason).suspicious) this.failures.note(exchange, null)
    if (reason === 'proof_nonce' && this.nonces !== null) return this.#needsNonce(this.nonces)
    return this.#refusals.get(reason)!
  }

  #needsNonce({ current }: ProofNonces): Reply {
    if (this.#nonceNeeded === null || current !== this.#nonce) {
      const details = refusalDetails(this.settings, 'proof_nonce')
      // A nonce out of a cache would be an old one (RFC 9449 8).
      const fields = { 'DPoP-Nonce': current, 'Cache-Control': 'no-store' }
      const headers = { ...details.headers, ...fields }
      this.#nonceNeeded = this.#problem('token_invalid', { ...details, headers })
      this.#nonce = current
    }
    return this.#nonceNeeded
  }

  dispose(): void {}
}

function refusalDetails(settings: JwtSettings, reason: Refusal) {
  return {
    detail: refusalKind(reason).detail,
    extensions: { reason },
    headers: { 'WWW-Authenticate': challenges(settings, reason) },
  }
}

/** The challenges of an answer: one for each scheme that would be taken. */
function challenges(settings: JwtSettings, reason: Refusal | null): string[] {
  const { realm = null, resourceMetadata = null, dpop } = settings
  const kind = reason === null ? null : refusalKind(reason)
  const common: ChallengeParameters = { realm, resource_metadata: resourceMetadata }
  const refused: ChallengeParameters = {
    realm,
    error: reason === null ? null : errorOf(reason),
    error_description: kind === null ? null : kind.detail,
    resource_metadata: resourceMetadata,
  }
  const list: string[] = []
  // What is wrong with a proof is nothing that a bearer token could have wrong.
  if (dpop !== 'required') list.push(challenge('Bearer', kind?.isProof ? common : refused))
  if (dpop !== 'off') {
    list.push(challenge('DPoP', { ...refused, algs: PUBLIC_KEY_ALGORITHMS.join(' ') }))
  }
  return list
}

/** The name of RFC 6750 3.1 or RFC 9449 7.1 and 9. */
function errorOf(reason: Refusal): string {
  if (reason === 'proof_nonce') return 'use_dpop_nonce'
  return refusalKind(reason).isProof ? 'invalid_dpop_proof' : 'invalid_token'
}
