// What a route's host may be: a name, or `*.` and a name for everything below it.
import { domainToASCII } from 'node:url'
import { isIpOrCidr } from '../../lib/ip-prefix-tree.ts'

const NAME = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/

/** A host that was understood. */
export interface HostPattern {
  /** True: takes every name below `name`, however deep, but not `name` itself. */
  readonly wildcard: boolean
  /** In lower case, without a trailing dot, in ASCII (RFC 5890). */
  readonly name: string
}

/**
 * Reads a host: `shop.example`, `*.shop.example`, `192.0.2.1` or `[2001:db8::1]`.
 * @throws SyntaxError that says what is wrong
 */
export function parseHostPattern(text: string): HostPattern {
  const wildcard = text.startsWith('*.')
  const plain = wildcard ? text.slice(2) : text
  if (plain.includes('*'))
    throw new SyntaxError(
      '"*" stands only in front, as "*.example.com"; leave the host out for any',
    )
  if (!wildcard && plain.startsWith('[') && plain.endsWith(']')) {
    const address = plain.slice(1, -1)
    if (!address.includes(':') || address.includes('/') || !isIpOrCidr(address)) {
      throw new SyntaxError('the brackets hold no IPv6 address')
    }
    return { wildcard, name: plain.toLowerCase() }
  }
  if (/:\d*$/.test(plain)) throw new SyntaxError('a host has no port here: routes take any port')
  const ascii = /^[\x21-\x7e]*$/.test(plain) ? plain.toLowerCase() : domainToASCII(plain)
  const name = withoutTrailingDot(ascii)
  if (!NAME.test(name)) throw new SyntaxError('not a host name')
  return { wildcard, name }
}

/** `example.com.` is the same name as `example.com` (RFC 3986 3.2.2). */
export function withoutTrailingDot(host: string): string {
  return host.length > 1 && host.charCodeAt(host.length - 1) === 0x2e
    ? host.substring(0, host.length - 1)
    : host
}

/** Whether a request's host matches, by itself: for explanations. */
export function matchesHost(pattern: HostPattern, requestHost: string): boolean {
  const host = withoutTrailingDot(requestHost)
  if (!pattern.wildcard) return host === pattern.name
  return host.length > pattern.name.length + 1 && host.endsWith(`.${pattern.name}`)
}
