// Paths that a service may read as other ones than the gateway does: with `%2F` for `/`, or with `;...`
// behind a segment that means nothing to it. Where that would be the path of another route, the policies
// of that route must not be dodged.
import { TargetFlag } from '../http/message-head.ts'
import type { RoutedRequest, RoutingTable } from '../router/routing-table.ts'
import type { RoutePlan } from './route.ts'

/** Whether the path, as a lenient service reads it, belongs to a route with policies that `plan` lacks. */
export function dodgesPolicies(
  request: RoutedRequest,
  targetFlags: number,
  plan: RoutePlan,
  table: RoutingTable<RoutePlan>,
): boolean {
  if ((targetFlags & TargetFlag.encodedSlash) === 0 && request.path.indexOf(';') === -1)
    return false
  const path = lenientPath(request.path)
  if (path === null) return true
  const { host, method, query, clientIp } = request
  const requestHeader = (name: string): string | null => request.requestHeader(name)
  const other = table.find({ host, method, path, query, clientIp, requestHeader })
  if (other === null || other === plan) return false
  return other.stages.some(({ id }) => plan.stages.every((stage) => stage.id !== id))
}

/** The path with every doubt read in favour of the service; null when it then climbs. */
export function lenientPath(path: string): string | null {
  const segments = path
    .replaceAll(/%2f/gi, '/')
    .split('/')
    .map((segment) => {
      const parameters = segment.indexOf(';')
      return parameters === -1 ? segment : segment.slice(0, parameters)
    })
  if (segments.some((segment) => /^(\.|%2e){1,2}$/i.test(segment))) return null
  return segments.join('/').replaceAll(/\/{2,}/g, '/')
}
