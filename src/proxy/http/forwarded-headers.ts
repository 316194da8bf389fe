// Tells the service who asked: X-Forwarded-* and Forwarded (RFC 7239). What an untrusted peer says
// about that is dropped; a trusted proxy's word is kept and added to.
import type { IpPrefixTree } from '../../lib/ip-prefix-tree.ts'
import type { RequestHead } from './message-head.ts'

/** Which fields are written. */
export interface ForwardedSettings {
  readonly xForwarded: boolean
  readonly forwarded: boolean
}

/**
 * The client's address: the peer's, or, when the peer is a trusted proxy, the last address in
 * X-Forwarded-For that is not one.
 */
export function clientAddress(
  head: RequestHead,
  peer: string,
  trusted: IpPrefixTree<true>,
): string {
  if (trusted.lookup(peer) === null) return peer
  const list = head.field('x-forwarded-for')
  if (list === null) return peer
  const hops = list.split(',')
  let client = peer
  for (let i = hops.length - 1; i >= 0; i--) {
    const hop = bareAddress(hops[i]!.trim())
    if (hop === '') return client
    client = hop
    if (trusted.lookup(hop) === null) return client
  }
  return client
}

/** The address without port and brackets; '' when it is none. */
function bareAddress(hop: string): string {
  const text =
    /^\[(.+)\](?::\d+)?$/.exec(hop)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(hop)?.[1] ?? hop
  return /^[0-9a-fA-F.:]{2,45}$/.test(text) ? text : ''
}

/**
 * The lines to add to a forwarded request.
 * @param received the head when its own Forwarded and X-Forwarded-* may be believed, else null.
 */
export function forwardedLines(
  settings: ForwardedSettings,
  received: RequestHead | null,
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
      const before = received.field('x-forwarded-for')
      lines = `X-Forwarded-For: ${before === null ? peer : `${before}, ${peer}`}\r\n`
      lines += `X-Forwarded-Proto: ${received.field('x-forwarded-proto') ?? scheme}\r\n`
      lines += `X-Forwarded-Host: ${received.field('x-forwarded-host') ?? host}\r\n`
    }
  }
  if (settings.forwarded) {
    const node = peer.includes(':') ? `"[${peer}]"` : peer
    const own = `for=${node};proto=${scheme}${host === '' ? '' : `;host="${host}"`}`
    const before = received?.field('forwarded') ?? null
    lines += `Forwarded: ${before === null ? own : `${before}, ${own}`}\r\n`
  }
  return lines
}

/** An IPv4 client on a dual-stack socket is shown as the IPv4 address that it is. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}
