// Addresses as a configuration writes them: URLs of listeners and endpoints, host patterns, networks.
import { isIPv4, isIPv6 } from 'node:net'
import { z } from 'zod'
import { isIpOrCidr } from '../../lib/ip-prefix-tree.ts'
import { parseHostPattern } from '../../proxy/router/host-pattern.ts'
import { refuse } from './value.ts'

const URL_PARTS =
  /^(https?):\/\/(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?(\/[^\s]*)?$/i
const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/

/** Where something listens or can be reached. `host` is lower case, IPv6 without brackets. */
export interface Address {
  readonly scheme: 'http' | 'https'
  readonly host: string
  readonly port: number
}

type Refuse = (message: string, expected: string) => void

/** Whether `host` is a domain name, lower case, that could be looked up; a trailing dot is allowed. */
export function isHostName(host: string): boolean {
  const name = host.endsWith('.') ? host.slice(0, -1) : host
  if (name.length === 0 || name.length > 253) return false
  const labels = name.split('.')
  if (!labels.every((label) => LABEL.test(label))) return false
  return !/^[0-9]+$/.test(labels[labels.length - 1]!) || isIPv4(name)
}

function parseAddress(
  text: string,
  expected: string,
  portMin: number,
  fail: Refuse,
): Address | null {
  const match = URL_PARTS.exec(text)
  if (match === null) {
    if (/^[a-z]+:\/\/[^/]*@/i.test(text))
      fail('the URL must not hold a user name or password', expected)
    else if (/[?#]/.test(text)) fail('the URL must not have a query or fragment', expected)
    else if (/^[A-Za-z0-9._-]+(:[0-9]+)?$/.test(text)) fail('the URL has no scheme', expected)
    else fail('this is not a URL that Gatehouse can use', expected)
    return null
  }
  const scheme = match[1]!.toLowerCase() as Address['scheme']
  const bracketed = match[2]!.startsWith('[')
  const host = (bracketed ? match[2]!.slice(1, -1) : match[2]!).toLowerCase()
  if (bracketed ? !isIPv6(host) : !isHostName(host)) {
    fail('the URL has no valid host', expected)
    return null
  }
  const port = match[3] === undefined ? (scheme === 'https' ? 443 : 80) : Number(match[3])
  if (port < portMin || port > 65_535) {
    fail(`the port must be between ${portMin} and 65535`, expected)
    return null
  }
  return { scheme, host, port }
}

const LISTEN_EXPECTED = 'http://HOST:PORT or https://HOST:PORT, like http://0.0.0.0:8080'
const ENDPOINT_EXPECTED = 'http://HOST:PORT or https://HOST:PORT, like http://127.0.0.1:4001'

function pathOf(text: string): string {
  return URL_PARTS.exec(text)?.[4] ?? ''
}

/** A schema for the URL of a listener; port 0 asks the system for a free one. */
export function listenUrl() {
  return z.string().transform((text, context): Address => {
    const path = pathOf(text)
    const address = parseAddress(text, LISTEN_EXPECTED, 0, (message, expected) =>
      refuse(context, message, expected),
    )
    if (address !== null && path !== '' && path !== '/') {
      refuse(context, 'a listener has no path; put the path on a route', LISTEN_EXPECTED)
    }
    return address ?? z.NEVER
  })
}

/** A schema for the URL of an endpoint: scheme, host and port, nothing more. */
export function endpointUrl() {
  return z.string().transform((text, context): Address => {
    const path = pathOf(text)
    const address = parseAddress(text, ENDPOINT_EXPECTED, 1, (message, expected) =>
      refuse(context, message, expected),
    )
    if (address !== null && path !== '' && path !== '/') {
      refuse(
        context,
        `an endpoint has no path; to add one in front, give the route \`rewrite: { prefix: ${path} }\``,
        ENDPOINT_EXPECTED,
      )
    }
    return address ?? z.NEVER
  })
}

/** A schema for an IP address or a network such as `10.0.0.0/8`. */
export function network() {
  return z.string().refine(isIpOrCidr, {
    error: 'this is not an IP address or network',
    params: { expected: 'an address or a network, like 10.0.0.0/8 or ::1' },
  })
}

const HOST_EXPECTED = 'a host name, or *. and a domain, like api.example.com or *.example.com'

/** A schema for the host a route is for: exact or `*.domain`, without a port; its output is lower case. */
export function hostPattern() {
  return z.string().transform((text, context): string => {
    try {
      const { name, wildcard } = parseHostPattern(text)
      return wildcard ? `*.${name}` : name
    } catch (error) {
      refuse(context, (error as SyntaxError).message, HOST_EXPECTED)
      return z.NEVER
    }
  })
}
