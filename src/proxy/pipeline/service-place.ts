// The place of an exchange among those in flight at its service: how much it matters, how long it may
// wait for one, and what its end says of the service.
import type { ErrorCode } from '../../errors.ts'
import { Deadline } from '../upstream/deadline.ts'
import type { Service } from '../upstream/service.ts'
import type { Exchange } from './exchange.ts'
import type { ExchangeContext } from './exchange-context.ts'
import type { RoutePlan } from './route.ts'

/** An exchange on its route. */
type Routed = Exchange & { readonly context: ExchangeContext; readonly plan: RoutePlan }

/** How much an exchange matters: what its consumer says, else its route. */
export function importanceOf(run: Routed): number {
  const { consumer, context, plan } = run
  const { consumerImportance } = context
  if (consumer === null || consumerImportance === null) return plan.importance
  return consumerImportance.get(consumer.id) ?? plan.importance
}

/** When nobody wants the answer any more, on the monotonic clock, ms; Infinity if nothing says so. */
export function endsAt(run: Routed, service: Service): number {
  const { plan, receivedAt } = run
  const { deadline } = service.settings
  const end =
    plan.exchangeTimeoutMs > 0 ? receivedAt + plan.exchangeTimeoutMs : Number.POSITIVE_INFINITY
  const value = deadline === null ? null : run.requestHeader(deadline.header)
  const asked =
    value === null || deadline === null ? null : Deadline.of(deadline, value, receivedAt)
  return asked === null ? end : Math.min(end, asked.at)
}

/** Failures of a service that has too much to do, or none that can be told from that. */
const DROPPED: ReadonlySet<ErrorCode> = new Set([
  'upstream_timeout',
  'exchange_timeout',
  'connect_timeout',
  'queue_full',
  'queue_timeout',
])
const TOO_MANY_REQUESTS = 429
const UNAVAILABLE = 503
const GATEWAY_TIMEOUT = 504

/** Gives the place of an exchange back, if it has one. */
export function leavePlace(run: Exchange): void {
  const { place, errorCode, status } = run
  if (place === null) return
  run.place = null
  const isRefused =
    errorCode === null &&
    (status === UNAVAILABLE || status === TOO_MANY_REQUESTS || status === GATEWAY_TIMEOUT)
  const dropped = isRefused || (errorCode !== null && DROPPED.has(errorCode))
  // A quick failure is no sign of speed.
  const counts = errorCode === null && status < 500
  place.leave(counts ? run.upstreamDurationMs : -1, dropped)
}
