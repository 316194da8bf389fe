// A request that was described on the command line, as the policies see requests; and what may be shown
// of it.
import type { Document } from '../../config/schema.ts'
import type { ErrorCode } from '../../errors.ts'
import { systemClock } from '../../lib/clock.ts'
import { maskQuery } from '../../policies/access-log/mask-query.ts'
import { IdentityFields } from '../../proxy/http/identity-fields.ts'
import { parseRequestHead } from '../../proxy/http/parse-head.ts'
import { Exchange } from '../../proxy/pipeline/exchange.ts'
import type { PolicyDefinition } from '../../proxy/pipeline/policy.ts'
import { queryValue } from '../../proxy/router/query-value.ts'
import type { DescribedRequest } from './request-description.ts'

/** More than the policies of one route reserve. */
const SLOTS_MAX = 64

class DescribedExchange extends Exchange {
  onTimeout(): void {}
}

/** The exchange, or the code with which every gateway refuses such a head. */
export function explainedExchange(
  document: Document,
  request: DescribedRequest,
  headerLines: readonly string[],
  policies: readonly PolicyDefinition[],
): Exchange | ErrorCode {
  const { method, target, authority, clientIp } = request
  // HTTP/1.0 may leave Host out; so may a description.
  const first = `${method} ${target} HTTP/1.${authority === '' ? 0 : 1}`
  const others = headerLines.filter((line) => !/^host:/i.test(line))
  const lines = [first, ...(authority === '' ? [] : [`Host: ${authority}`]), ...others]
  const raw = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`).toString('latin1')
  const head = parseRequestHead(raw, document.listeners[0]!.limits)
  if (typeof head === 'string') return head
  const names = usesOf(document).flatMap(
    ({ policy, settings }) =>
      policies.find(({ name }) => name === policy)?.identityHeaders?.(settings) ?? [],
  )
  new IdentityFields(names).removeFrom(head)
  const client = { ip: clientIp, port: 0, scheme: 'http', tlsVersion: null } as const
  const exchange = new DescribedExchange(head, client, systemClock.now(), systemClock.wallTime())
  exchange.slots = new Array(SLOTS_MAX).fill(null)
  return exchange
}

/** A target with nothing in its query that could be a credential. */
export function shownTarget(
  target: string,
  document: Document,
  policies: readonly PolicyDefinition[],
): string {
  const mark = target.indexOf('?')
  if (mark < 0) return target
  const places = usesOf(document).flatMap(
    ({ policy, settings }) =>
      policies.find(({ name }) => name === policy)?.credentialPlaces?.(settings) ?? [],
  )
  const names = places.filter((place) => place.startsWith('query:')).map((place) => place.slice(6))
  const parts = maskQuery(target.slice(mark + 1))
    .split('&')
    .map((part) => {
      const name = names.find((candidate) => queryValue(part, candidate) !== null)
      return name === undefined ? part : `${part.slice(0, part.indexOf('=') + 1)}***`
    })
  return `${target.slice(0, mark)}?${parts.join('&')}`
}

function usesOf(document: Document) {
  return [...document.use, ...document.routes.flatMap(({ use }) => use)]
}
