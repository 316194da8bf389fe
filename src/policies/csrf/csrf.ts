// Refuses requests that a page of somebody else makes a visitor's browser send (Fetch Metadata, and
// the Origin and Referer fields for browsers that do not say it that way).
import { z } from 'zod'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import { definePolicy } from '../../proxy/pipeline/policy.ts'
import { OriginSet, origin } from '../origins.ts'

const settings = z.strictObject({
  origins: z
    .array(origin())
    .default([])
    .describe(
      'Other origins whose pages may send such requests, `https://*.shop.example` for subdomains.',
    ),
  unmarked: z
    .enum(['refuse', 'allow'])
    .default('refuse')
    .describe(
      'What happens to a request that says nothing of where it comes from, as programs send and ' +
        'browsers do not.',
    ),
})

export const csrf = definePolicy({
  name: 'csrf',
  summary: "Refuses requests that other people's pages make a browser send.",
  settings,
  examples: [
    {},
    { origins: ['https://shop.example', 'https://*.shop.example'] },
    { unmarked: 'allow' },
  ],
  create({ origins, unmarked }, environment) {
    const trusted = new OriginSet(origins)
    const refuseUnmarked = unmarked === 'refuse'
    const crossSite = environment.problem('csrf_refused', {
      detail: 'The request comes from a page of another origin.',
    })
    const unknown = environment.problem('csrf_refused', {
      detail:
        'The request says nothing of the page it comes from (Sec-Fetch-Site, Origin, Referer).',
    })
    return {
      onRequest(exchange) {
        if (isSafe(exchange)) return
        const from = exchange.requestHeader('origin')
        const site = exchange.requestHeader('sec-fetch-site')
        if (site !== null) {
          if (site === 'same-origin' || site === 'none') return
          return from !== null && trusted.has(from) ? undefined : crossSite
        }
        if (from !== null) return isOwn(from, exchange) || trusted.has(from) ? undefined : crossSite
        const referer = exchange.requestHeader('referer')
        if (referer === null) return refuseUnmarked ? unknown : undefined
        const page = originOf(referer)
        return isOwn(page, exchange) || trusted.has(page) ? undefined : crossSite
      },
    }
  },
})

/** RFC 9110 9.2.1; but a page may not open a WebSocket elsewhere either, which begins with a GET. */
function isSafe({ method, request }: Exchange): boolean {
  if (request.upgrade !== null) return false
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
}

/**
 * Whether the origin is that of the request itself. TLS may end before this gateway: then a page from
 * https is at home as well; but never one from http where the request came over https.
 */
function isOwn(from: string, { scheme, authority }: Exchange): boolean {
  const isHttps = from.startsWith('https://')
  if (!isHttps && (scheme === 'https' || !from.startsWith('http://'))) return false
  const host = from.slice(isHttps ? 8 : 7)
  if (host === '') return false
  const port = isHttps ? ':443' : ':80'
  return withoutPort(host, port) === withoutPort(authority.toLowerCase(), port)
}

function withoutPort(host: string, port: string): string {
  return host.endsWith(port) ? host.slice(0, -port.length) : host
}

/** The origin of a URL; '' if it has none. */
function originOf(url: string): string {
  const host = url.indexOf('://') + 3
  if (host === 2) return ''
  let end = host
  while (end < url.length && !'/?#'.includes(url[end]!)) end++
  return url.slice(0, end)
}
