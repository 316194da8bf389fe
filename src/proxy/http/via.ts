// Via (RFC 9110 7.6.3) tells a gateway how often a request has passed it already.
import { hasKind } from './compose-head.ts'
import { FieldKind, type RequestHead } from './message-head.ts'

/** How often a request may pass gateways of one name; some are chained on purpose. */
const PASSES_MAX = 8

/** Whether the request goes round in circles. @param viaLine what this gateway adds, or ''. */
export function isLoop(request: RequestHead, viaLine: string): boolean {
  if (viaLine === '' || !hasKind(request, FieldKind.via)) return false
  const name = viaLine.slice('Via: 1.1 '.length, -2)
  let passes = 0
  for (const hop of (request.field('via') ?? '').split(',')) {
    if (hop.trim().split(/\s+/)[1] === name) passes++
  }
  return passes >= PASSES_MAX
}
