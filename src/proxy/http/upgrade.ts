// Which upgrades pass (RFC 9110 7.8): those that the route lists, asked for in a way that cannot be
// taken for anything else.
import type { RequestHead } from './message-head.ts'

/**
 * The token to pass on, as the client wrote it; null when the request goes on without upgrading.
 * @param allowed lower-case tokens.
 */
export function passedUpgrade(request: RequestHead, allowed: readonly string[]): string | null {
  if (!request.connectionUpgrade || request.upgrade === null || request.minorVersion === 0)
    return null
  if (request.method !== 'GET' || request.isChunked || request.contentLength > 0) return null
  for (const part of request.upgrade.split(',')) {
    const token = part.trim()
    if (allowed.includes(token.toLowerCase())) return token
  }
  return null
}
