// Tells the service who asked: X-Forwarded-* and Forwarded (RFC 7239). What an untrusted peer says
// about that is dropped; a trusted proxy's word is kept and added to.
import type { RequestHead } from './message-head.ts'

/** Which fields are written. */
export interface ForwardedSettings {
  readonly xForwarded: boolean
  readonly forwarded: boolean
}

/**
 * The lines to add to a forwarded request.
 * @param received the head when its own Forwarded and X-Forwarded-* may be believed, else null.
 * @param client the client's address; the peer's own unless a trusted proxy named another.
 */
export function forwardedLines(
  settings: ForwardedSettings,
  received: RequestHead | null,
  client: string,
  peer: string,
  scheme: string,
  host: string,
): string {
  let lines = ''
  if (settings.xForwarded) {
    if (received === null) {
      lines = `X-Forwarded-For: ${peer}\r\nX-Forwarded-Proto: ${scheme}\r\n`
      if (host !== '') lines += `X-Forwarded-Host: ${host}\r\n`
    } else {
      const before = received.field('x-forwarded-for') ?? (client === peer ? null : client)
      lines = `X-Forwarded-For: ${before === null ? peer : `${before}, ${peer}`}\r\n`
      lines += `X-Forwarded-Proto: ${received.field('x-forwarded-proto') ?? scheme}\r\n`
      const forwardedHost = received.field('x-forwarded-host') ?? host
      if (forwardedHost !== '') lines += `X-Forwarded-Host: ${forwardedHost}\r\n`
    }
  }
  if (settings.forwarded) {
    const own = `for=${node(peer)};proto=${scheme}${host === '' ? '' : `;host="${host}"`}`
    let before = received?.field('forwarded') ?? null
    if (before === null && client !== peer) before = `for=${node(client)}`
    lines += `Forwarded: ${before === null ? own : `${before}, ${own}`}\r\n`
  }
  return lines
}

/** An address as RFC 7239 6 writes it. */
function node(address: string): string {
  return address.includes(':') ? `"[${address}]"` : address
}
