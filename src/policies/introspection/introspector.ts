// Asks the authorization server about tokens (RFC 7662), once however many requests wait for the answer.
import type { Clock } from '../../lib/clock.ts'
import type { Kept, PolicyLog } from '../../proxy/pipeline/policy.ts'
import type { ClaimReader, Claims } from '../claims.ts'
import { type ClientCredentials, clientRequest, jsonObject } from '../client-authentication.ts'
import type { OutboundRequests } from '../outbound-request.ts'
import { AnswerCache, type Finding, type Refusal } from './answer-cache.ts'

/** Whom to ask, what to demand of the answer, and how long to believe it. */
export interface IntrospectorSettings extends ClientCredentials {
  readonly url: string
  /** Null: any. */
  readonly issuer: string | null
  readonly audiences: readonly string[] | null
  readonly toleranceMs: number
  readonly activeForMs: number
  readonly inactiveForMs: number
  readonly bytesMax: number
}

/** The rest of what one needs. */
export interface IntrospectorParts {
  readonly requests: OutboundRequests
  readonly reader: ClaimReader
  readonly clock: Clock
  readonly log: PolicyLog
}

/** What a refusal takes of the memory, its name included. */
const REFUSAL_BYTES = 300
/** Refusals have memory of their own, so that made-up tokens displace no good ones. */
const REFUSAL_BYTES_MAX = 3_000_000
/** What an identity takes beyond the text it was read from, which becomes objects. */
const IDENTITY_BYTES = 1_000
const BYTES_PER_BYTE = 4

/** One authorization server, asked on behalf of one client. */
export class Introspector implements Kept {
  readonly #settings: IntrospectorSettings
  readonly #parts: IntrospectorParts
  readonly #accepted: AnswerCache
  readonly #refused = new AnswerCache(REFUSAL_BYTES_MAX)
  readonly #asking = new Map<string, Promise<Finding | null>>()

  constructor(settings: IntrospectorSettings, parts: IntrospectorParts) {
    this.#settings = settings
    this.#parts = parts
    this.#accepted = new AnswerCache(settings.bytesMax)
  }

  /** What is known without asking. */
  known(name: string): Finding | null {
    const now = this.#parts.clock.wallTime()
    return this.#accepted.get(name, now) ?? this.#refused.get(name, now)
  }

  /** Asks, or joins whoever does. Null when the server can't be asked or gives no usable answer. */
  ask(token: string, name: string): Promise<Finding | null> {
    const joined = this.#asking.get(name)
    if (joined !== undefined) return joined
    const asking = this.#ask(token, name)
      .catch((error: Error) => {
        this.#parts.log.warn({ reason: error.message }, 'a token could not be looked up')
        return null
      })
      .finally(() => this.#asking.delete(name))
    this.#asking.set(name, asking)
    return asking
  }

  dispose(): void {
    this.#parts.requests.dispose()
  }

  /** @throws Error whose message may be logged. */
  async #ask(token: string, name: string): Promise<Finding> {
    const { requests, clock } = this.#parts
    const form = { token, token_type_hint: 'access_token' }
    const answer = await requests.send(
      clientRequest(this.#settings.url, form, this.#settings, true),
    )
    if (answer.status !== 200) throw new Error(`the server answered ${answer.status}`)
    const claims = jsonObject(answer.body)
    if (claims === null || typeof claims.active !== 'boolean') {
      throw new Error('the answer does not say whether the token is active')
    }
    const now = clock.wallTime()
    const finding = this.#judge(claims, answer.body.length, now)
    const cache = finding.refusal === null ? this.#accepted : this.#refused
    cache.set(name, finding, now)
    return finding
  }

  #judge(claims: Claims, length: number, now: number): Finding {
    const { activeForMs, inactiveForMs, toleranceMs } = this.#settings
    const refuse = (refusal: Refusal): Finding => ({
      identity: null,
      refusal,
      endsAtMs: now + inactiveForMs,
      bytes: REFUSAL_BYTES,
    })
    if (claims.active !== true) return refuse('inactive')
    const { exp, nbf } = claims
    if (!isTimeOrAbsent(exp) || !isTimeOrAbsent(nbf)) return refuse('malformed_claim')
    const endsAtMs = exp === undefined ? Number.POSITIVE_INFINITY : exp * 1_000 + toleranceMs
    if (now >= endsAtMs) return refuse('expired')
    if (nbf !== undefined && now < nbf * 1_000 - toleranceMs) return refuse('not_yet_valid')
    const misplaced = this.#misplaced(claims)
    if (misplaced !== null) return refuse(misplaced)
    const identity = this.#parts.reader.identity(claims)
    if (identity === null) return refuse('no_subject')
    return {
      identity,
      refusal: null,
      endsAtMs: Math.min(endsAtMs, now + activeForMs),
      bytes: IDENTITY_BYTES + BYTES_PER_BYTE * length,
    }
  }

  #misplaced({ iss, aud, cnf }: Claims): Refusal | null {
    const { issuer, audiences } = this.#settings
    if (issuer !== null && iss !== issuer) return 'wrong_issuer'
    if (audiences !== null) {
      const found: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
      if (!audiences.some((audience) => found.includes(audience))) return 'wrong_audience'
    }
    // A token that is bound to a key or certificate (RFC 8705, RFC 9449) is worth nothing by itself.
    return cnf === undefined || cnf === null ? null : 'bound_elsewhere'
  }
}

/** Seconds since 1970 (RFC 7662 2.2). */
function isTimeOrAbsent(value: unknown): value is number | undefined {
  return value === undefined || (typeof value === 'number' && Number.isFinite(value))
}
