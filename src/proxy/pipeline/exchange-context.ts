// What an exchange is given for its way: by its snapshot, and by the upstream that it is sent to.
import type { ErrorCode } from '../../errors.ts'
import type { Clock } from '../../lib/clock.ts'
import type { TimerWheel } from '../../lib/timer-wheel.ts'
import type { ForwardedSettings } from '../http/forwarded-headers.ts'
import type { IdentityFields } from '../http/identity-fields.ts'
import type { BodyTaker } from './body-intake.ts'
import type { PolicyLog } from './policy.ts'

/** What all exchanges of one snapshot share, beside its routes. */
export interface ExchangeContext {
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly forwarded: ForwardedSettings
  /** 'Via: 1.0 name' and 'Via: 1.1 name' with CRLF, by minor version (RFC 9110 7.6.3); '' for none. */
  readonly viaLines: readonly [string, string]
  readonly trailersAllowed: ReadonlySet<string>
  /** What no client may send; null if there is nothing. */
  readonly identityFields: IdentityFields | null
  readonly log: PolicyLog
  /** Where exchanges are known that may last for days. */
  readonly longLived: LongLivedRegistry
  /** How much requests of a consumer matter, by its id; null when no consumer says so. */
  readonly consumerImportance: ReadonlyMap<string, number> | null
  /** What the thread cannot take any more. */
  readonly overload: OverloadGate
  /** Gatehouse answered with a failure, or gave an exchange up. */
  countError(code: ErrorCode): void
  /** The exchange holds on to its snapshot from the first to the second call. */
  enter(): void
  leave(): void
}

/** Whether requests are refused because the gateway itself has too much to do. */
export interface OverloadGate {
  /** Requests that matter less than this are asked about. */
  readonly asksBelow: number
  /** Why a request of this importance is refused; null if it is not. */
  refusal(importance: number): ErrorCode | null
}

/** The other side of a forwarded exchange, as the driver sees it. */
export interface UpstreamSide extends BodyTaker {
  pauseResponse(): void
  resumeResponse(): void
  /** The exchange's own time is over; `abort` follows. */
  expire(): void
  /** The exchange is over for the client; nothing more is wanted. */
  abort(): void
}

/** An exchange that may last for days, as those see it who may end it. */
export interface LongLived {
  readonly route: { readonly id: string } | null
  readonly service: string | null
  readonly endpoint: string | null
  /** Ends it as gently as its protocol allows. */
  endEarly(): void
}

/** All such exchanges of one thread. */
export interface LongLivedRegistry {
  /** @param from what the exchange began on. */
  add(exchange: LongLived, from: ExchangeContext): void
  delete(exchange: LongLived): void
}
