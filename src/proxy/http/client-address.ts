// Who the client is behind proxies: what trusted ones say of it in X-Forwarded-For or in Forwarded
// (RFC 7239), read from the right, where they wrote; what stands to the left of that is anybody's.
import { isIP } from 'node:net'
import { IpPrefixTree } from '../../lib/ip-prefix-tree.ts'
import { FIELD_STRIDE, FieldKind, type RequestHead } from './message-head.ts'

/** Which proxies stand in front, and where they write what they know. */
export interface TrustedProxySettings {
  /** Networks of the proxies, or how many of them every request passes. */
  readonly trustedProxies: readonly string[] | number
  readonly trustedHeader: 'x-forwarded-for' | 'forwarded'
}

/** A name, then a token or a quoted string, and what ends the pair; RFC 7239 4, with blanks after ';'. */
const PAIR =
  /[\t ]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)=(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]+)|"((?:[^"\\]|\\.)*)")[\t ]*(;|$)/y
const ADDRESS = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?$/

/** The proxies that a listener trusts. */
export class TrustedProxies {
  readonly #networks = new IpPrefixTree<true>()
  /** How many proxies every request passes; 0: they are told by their networks. */
  readonly #count: number
  readonly #header: TrustedProxySettings['trustedHeader']

  constructor(settings: TrustedProxySettings) {
    const { trustedProxies, trustedHeader } = settings
    this.#header = trustedHeader
    this.#count = typeof trustedProxies === 'number' ? trustedProxies : 0
    if (typeof trustedProxies === 'number') return
    for (const network of trustedProxies) this.#networks.insert(network, true)
  }

  /** Whether the word of this peer is believed. */
  trusts(peer: string): boolean {
    return this.#count > 0 || this.#networks.lookup(peer) !== null
  }

  /**
   * The client's address in a request of a trusted peer: of the list, read from the right, the first
   * address that is no trusted proxy's, or the one at the place that the count says. Where the list ends
   * before, or holds something else than an address (`unknown`, a hidden name, nonsense), it is the last
   * address read until then, at worst the peer's: never one that a client could have written.
   */
  clientOf(head: RequestHead, peer: string): string {
    const list = head.field(this.#header)
    let client = peer
    if (list === null) return client
    let end = list.length
    for (let hop = 1; end >= 0; hop++) {
      const start = this.#elementStart(list, end)
      const address = this.#addressIn(list.slice(start, end).trim())
      if (address === null) return client
      client = address
      if (this.#count > 0 ? hop === this.#count : !this.trusts(address)) return client
      end = start - 1
    }
    return client
  }

  /**
   * Takes out of a head what trusted proxies do not write themselves and may have let through: the
   * other of the two headers.
   */
  removeUnread(head: RequestHead): void {
    const { raw, fields } = head
    const readsForwarded = this.#header === 'forwarded'
    for (let i = 0; i < fields.length; i += FIELD_STRIDE) {
      if (fields[i + 4] !== FieldKind.forwarded) continue
      const isForwarded = (raw.charCodeAt(fields[i]!) | 0x20) === 0x66
      if (isForwarded !== readsForwarded) fields[i + 4] = FieldKind.removed
    }
  }

  /** Where the list's element begins that ends at `end`; commas in quotes are none. */
  #elementStart(list: string, end: number): number {
    if (this.#header === 'x-forwarded-for')
      return end === 0 ? 0 : list.lastIndexOf(',', end - 1) + 1
    for (let i = end - 1; i >= 0; i--) {
      const code = list.charCodeAt(i)
      if (code === 0x2c) return i + 1
      if (code === 0x22) i = openingQuote(list, i)
    }
    return 0
  }

  #addressIn(element: string): string | null {
    if (this.#header === 'forwarded') return forwardedAddress(element)
    // Proxies write addresses here as they like: IPv6 with and without brackets, ports or none.
    return isIP(element) === 6 && !element.includes('%')
      ? plainAddress(element)
      : nodeAddress(element)
  }
}

/** Where a quoted string begins whose closing quote is at `end`; -1 when it has no beginning. */
function openingQuote(list: string, end: number): number {
  let i = end - 1
  for (; i >= 0; i--) {
    if (list.charCodeAt(i) !== 0x22) continue
    let escapes = 0
    while (list.charCodeAt(i - 1 - escapes) === 0x5c) escapes++
    if (escapes % 2 === 0) break
  }
  return i
}

/** The address that the `for` of one Forwarded element names; null when it is anything else. */
function forwardedAddress(element: string): string | null {
  let node: string | null = null
  PAIR.lastIndex = 0
  for (let end = false; !end; ) {
    const pair = PAIR.exec(element)
    if (pair === null) return null
    if (pair[1]!.toLowerCase() === 'for') {
      if (node !== null) return null
      node = pair[2] ?? pair[3]!.replace(/\\(.)/g, '$1')
    }
    end = pair[4] === ''
  }
  return node === null ? null : nodeAddress(node)
}

/** The address of a node like `192.0.2.1`, `192.0.2.1:80` or `[2001:db8::1]:80` (RFC 7239 6). */
function nodeAddress(node: string): string | null {
  const parts = ADDRESS.exec(node)
  if (parts === null) return null
  if (parts[2] !== undefined) return isIP(parts[2]) === 4 ? parts[2] : null
  return isIP(parts[1]!) === 6 ? plainAddress(parts[1]!) : null
}

/** An IPv4 client on a dual-stack socket is shown as the IPv4 address that it is. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}
