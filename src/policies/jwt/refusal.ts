// Why a token is refused: a closed list. The reason is a member of the problem document.
import { CONSUMER_REFUSALS } from '../token-consumer.ts'

interface RefusalKind {
  /** Shown to the client. */
  readonly detail: string
  /** Whether it may be an attempt to get in, to be counted against the address it came from. */
  readonly suspicious: boolean
  /** Whether the DPoP proof is at fault and not the token (RFC 9449 7.1). */
  readonly isProof: boolean
}

function guess(detail: string): RefusalKind {
  return { detail, suspicious: true, isProof: false }
}

/** A token that was issued, but is not for here or not for now. */
function misplaced(detail: string): RefusalKind {
  return { detail, suspicious: false, isProof: false }
}

function proof(detail: string): RefusalKind {
  return { detail, suspicious: true, isProof: true }
}

/** Every reason with what it means. */
// biome-ignore format: a table is read by its columns
export const REFUSALS = {
  repeated: guess('The request carries more than one token.'),
  malformed: guess('This is not a signed JWT in compact form.'),
  too_large: guess('The token is too large.'),
  encrypted: guess('Encrypted tokens are not accepted.'),
  nested: guess('A token within a token is not accepted.'),
  compressed: guess('Compressed tokens are not accepted.'),
  duplicate_member: guess('The JSON of the token names a member twice.'),
  unknown_critical: guess('The token demands an extension that is not understood here.'),
  unsigned: guess('The token is not signed.'),
  algorithm_refused: guess('Tokens signed with this algorithm are not accepted.'),
  wrong_type: guess('This type of token is not accepted.'),
  // Right after an issuer has changed its keys, honest clients get this; and it costs next to nothing.
  unknown_key: misplaced('The token is signed with a key that is not known.'),
  foreign_key: guess('The token brings a key of its own, which is never believed.'),
  bad_signature: guess('The signature of the token does not fit.'),
  missing_claim: misplaced('The token lacks a claim that is needed.'),
  malformed_claim: misplaced('A claim of the token has the wrong type.'),
  no_subject: misplaced('The token does not say who calls.'),
  wrong_issuer: misplaced('The token comes from another issuer.'),
  wrong_audience: misplaced('The token is meant for another audience.'),
  expired: misplaced('The token has expired.'),
  not_yet_valid: misplaced('The token is not valid yet.'),
  bound_elsewhere: misplaced('The token is bound to its holder in a way that is not checked here.'),
  unknown_consumer: misplaced(CONSUMER_REFUSALS.unknown_consumer),
  foreign_consumer: misplaced(CONSUMER_REFUSALS.foreign_consumer),
  not_bound: misplaced('The token is not bound to a key, as DPoP demands.'),
  proof_missing: proof('The token is bound to a key, but no DPoP proof comes with it.'),
  proof_malformed: proof('The DPoP proof cannot be read.'),
  proof_signature: proof('The signature of the DPoP proof does not fit.'),
  proof_key: proof('The DPoP proof was made with another key than the token is bound to.'),
  proof_request: proof('The DPoP proof was made for another request.'),
  proof_token: proof('The DPoP proof was made for another token.'),
  proof_time: proof('The DPoP proof is too old, or from the future.'),
  // The first request of every client gets this, and the first one after a change of the nonce.
  proof_nonce: {
    detail: 'The DPoP proof lacks the nonce of this gateway, or holds one that has run out.',
    suspicious: false,
    isProof: true,
  },
  proof_replayed: proof('The DPoP proof was used before.'),
} as const satisfies Record<string, RefusalKind>

/** One of the reasons. */
export type Refusal = keyof typeof REFUSALS

/** A reason, with the wide type. */
export function refusalKind(reason: Refusal): RefusalKind {
  return REFUSALS[reason]
}
