// Failed attempts to show who one is, limited by address and by the identity that was tried.
import type { Outcome } from '../../state/store.ts'

/** How many failures are borne. */
export interface FailureBounds {
  /** Failures of one address within the window. */
  readonly perAddress: number
  /** Failures for one identity within the window, from anywhere. */
  readonly perIdentity: number
  readonly windowMs: number
}

/** Counts failures, over all threads. IPv6 addresses count by their /64. */
export interface FailedAttempts {
  /** Whether another attempt may be made; ask before anything costly. `identity` may be null. */
  mayTry(bounds: FailureBounds, address: string, identity: string | null): Outcome<boolean>
  /** Notes a failure. */
  failed(bounds: FailureBounds, address: string, identity: string | null): void
}
