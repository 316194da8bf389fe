// What is tried again: which failures, which requests, and after what time.
import type { RetryBudgetSettings } from './retry-budget.ts'

/** The kinds of failed attempts that may be tried again, as bits. */
export const RetryCause = {
  none: 0,
  /** No connection came about: nothing was sent. */
  connect: 1,
  /** The connection ended before the head of an answer. */
  reset: 2,
  /** The attempt was over its own time before the head of an answer. */
  timeout: 4,
} as const

/** What the configuration says of a service's retries, compiled. */
export interface RetrySettings {
  /** Further attempts after the first. */
  readonly attemptsMax: number
  /** RetryCause bits. */
  readonly causes: number
  readonly statuses: ReadonlySet<number>
  readonly methods: ReadonlySet<string>
  /** Whether a request with an Idempotency-Key is as good as an idempotent one. */
  readonly honoursIdempotencyKey: boolean
  readonly backoffBaseMs: number
  readonly backoffMaxMs: number
  /** An answer that asks for a longer wait is not tried again. */
  readonly retryAfterMaxMs: number
  readonly bodyBytesMax: number
  /** Whether an endpoint may be asked again once all have been. */
  readonly sameEndpoint: boolean
  readonly budget: RetryBudgetSettings
}

/** When a request that takes long is sent to another endpoint as well. */
export interface HedgeSettings {
  /** So long after an attempt began; 0: by `quantile`. */
  readonly afterMs: number
  /** The part of all answers, of 1, that are there by then; 0: by `afterMs`. */
  readonly quantile: number
  /** So many more of one exchange. */
  readonly max: number
}

/**
 * How long to wait before retry number `retry` (1, 2, ...): exponential, with full jitter, so that
 * those who failed together do not come back together.
 */
export function backoffMs(settings: RetrySettings, retry: number, random: number): number {
  const { backoffBaseMs, backoffMaxMs } = settings
  return random * Math.min(backoffBaseMs * 2 ** (retry - 1), backoffMaxMs)
}

/** The wait that a Retry-After field asks for (RFC 9110 10.2.3); 0 where it says nothing. */
export function retryAfterMs(value: string | null, wallTime: number): number {
  if (value === null) return 0
  if (/^[0-9]{1,9}$/.test(value)) return Number(value) * 1000
  const at = Date.parse(value)
  return Number.isNaN(at) ? 0 : Math.max(0, at - wallTime)
}
