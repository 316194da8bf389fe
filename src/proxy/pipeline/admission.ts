// What refuses a request before any policy sees it, beyond what its bytes alone say.
import type { ErrorCode } from '../../errors.ts'
import type { RequestHead } from '../http/message-head.ts'
import { isLoop } from '../http/via.ts'
import type { RoutedRequest, RoutingTable } from '../router/routing-table.ts'
import type { ExchangeContext } from './exchange-context.ts'
import { dodgesPolicies } from './path-doubt.ts'
import type { RoutePlan } from './route.ts'

/**
 * Codes that the parser gives as well, and then ends the connection: one code must not mean two things.
 * And where connections run out, that of the refused one is wanted back.
 */
const CLOSING: ReadonlySet<ErrorCode> = new Set(['bad_target', 'bad_connection', 'overloaded'])

/**
 * Why the request may not enter its route, or null.
 * @param bodyBytesMax the longest body that the listener takes.
 */
export function refusalAtEntry(
  exchange: RoutedRequest & { readonly request: RequestHead },
  plan: RoutePlan,
  context: ExchangeContext & { readonly table: RoutingTable<RoutePlan> },
  bodyBytesMax: number,
): ErrorCode | null {
  const { overload } = context
  if (plan.importance < overload.asksBelow) {
    const refusal = overload.refusal(plan.importance)
    if (refusal !== null) return refusal
  }
  const head = exchange.request
  if (context.identityFields?.isNamedByConnection(head) === true) return 'bad_connection'
  if ((head.targetFlags & plan.targetFlagsRefused) !== 0) return 'bad_target'
  if (dodgesPolicies(exchange, head.targetFlags, plan, context.table)) return 'bad_target'
  if (head.contentLength > bodyBytesMax) return 'body_too_large'
  return isLoop(head, context.viaLines[1]) ? 'loop_detected' : null
}

/** Whether nothing more may be read from a connection whose request was refused so. */
export function endsConnection(code: ErrorCode): boolean {
  return CLOSING.has(code)
}
