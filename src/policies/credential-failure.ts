// What all policies that verify credentials share: the refusals, and the count of failed attempts.
import { z } from 'zod'
import type { ErrorCode } from '../errors.ts'
import { durationMs } from '../lib/units.ts'
import type { Exchange } from '../proxy/pipeline/exchange.ts'
import type { FailureBounds } from '../proxy/pipeline/failed-attempts.ts'
import type { PolicyEnvironment } from '../proxy/pipeline/policy.ts'
import type { Reply } from '../proxy/pipeline/reply.ts'
import type { Outcome } from '../state/store.ts'

/** The setting `failures`: how many failed attempts are borne. On by default. */
export function failuresSetting() {
  return z
    .union([
      z.literal(false),
      z.strictObject({
        perAddress: z
          .int()
          .min(1)
          .max(1_000_000)
          .default(20)
          .describe('Failures of one client address (IPv6: its /64) within the window.'),
        perIdentity: z
          .int()
          .min(1)
          .max(1_000_000)
          .default(10)
          .describe('Failures for one identity, such as a user name, from anywhere.'),
        window: durationMs({ min: 1_000, max: 86_400_000 })
          .prefault('1m')
          .describe('How long a failure counts.'),
      }),
    ])
    .prefault({})
    .transform((value): FailureBounds | null =>
      value === false
        ? null
        : {
            perAddress: value.perAddress,
            perIdentity: value.perIdentity,
            windowMs: value.window,
          },
    )
    .describe('Bounds of failed attempts; past them 429. `false`: none.')
}

/** A refusal with its challenges (RFC 9110 11.6.1). */
export function refusal(
  environment: Pick<PolicyEnvironment, 'problem'>,
  code: ErrorCode,
  detail: string,
  challenges: string | readonly string[],
): Reply {
  return environment.problem(code, { detail, headers: { 'WWW-Authenticate': challenges } })
}

/** A parameter of a challenge as a quoted string (RFC 9110 5.6.4). */
export function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, '\\$&')}"`
}

/** Counts the failed attempts of one stage. Cheap: one per stage. */
export class CredentialFailures {
  /** The answer to whoever failed too often. */
  readonly tooMany: Reply
  readonly #bounds: FailureBounds | null
  readonly #attempts: PolicyEnvironment['failedAttempts']

  constructor(
    bounds: FailureBounds | null,
    environment: Pick<PolicyEnvironment, 'problem' | 'failedAttempts'>,
  ) {
    this.#bounds = bounds
    this.#attempts = environment.failedAttempts
    const seconds = Math.ceil((bounds?.windowMs ?? 0) / 1_000)
    this.tooMany = environment.problem('too_many_failures', {
      headers: { 'Retry-After': String(seconds) },
    })
  }

  /** Whether another attempt may be made; ask before anything costly. */
  mayTry(exchange: Exchange, identity: string | null): Outcome<boolean> {
    if (this.#bounds === null) return true
    return this.#attempts.mayTry(this.#bounds, exchange.clientIp, identity)
  }

  /**
   * Notes that a wrong credential was presented; never that none was. Inside `any-of` it counts only if
   * no other alternative accepts the credential.
   */
  note(exchange: Exchange, identity: string | null): void {
    const bounds = this.#bounds
    if (bounds === null) return
    const { clientIp, pendingFailures } = exchange
    if (pendingFailures === null) this.#attempts.failed(bounds, clientIp, identity)
    else pendingFailures.push(() => this.#attempts.failed(bounds, clientIp, identity))
  }
}
