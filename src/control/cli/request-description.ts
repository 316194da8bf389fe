// A request as somebody describes it on the command line, in the form in which the router sees requests.
import { isIP } from 'node:net'
import type { ErrorCode } from '../../errors.ts'
import { RequestHead } from '../../proxy/http/message-head.ts'
import { parseTarget } from '../../proxy/http/request-target.ts'
import type { RoutedRequest } from '../../proxy/router/route-entry.ts'
import { UsageError } from './command.ts'

/** A request that was never sent. */
export interface DescribedRequest extends RoutedRequest {
  /** Path and query, raw. */
  readonly target: string
  /** Host with the port, as the header has it; '' if none was given. */
  readonly authority: string
  /** TargetFlag bits of the path. */
  readonly targetFlags: number
  /** Why every gateway would refuse this target, or null. */
  readonly refusal: ErrorCode | null
}

const URL_PARTS = /^https?:\/\/([^/?#]+)(\/[^#]*|\?[^#]*)?$/i
const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** Reads a method, a URL (or a path), header lines and an address. @throws UsageError */
export function describeRequest(
  method: string,
  url: string,
  headerLines: readonly string[],
  clientIp: string,
): DescribedRequest {
  if (!METHOD.test(method)) throw new UsageError(`"${method}" is not a method`)
  if (isIP(clientIp) === 0) throw new UsageError(`"${clientIp}" is not an IP address`)
  const headers = readHeaders(headerLines)
  const parts = URL_PARTS.exec(url)
  if (parts === null && !url.startsWith('/')) {
    throw new UsageError(`"${url}" is neither a URL with http:// or https:// nor a path`)
  }
  const authority = parts?.[1] ?? headers.get('host') ?? ''
  const rest = parts === null ? url : (parts[2] ?? '/')
  const target = rest.startsWith('/') ? rest : `/${rest}`
  const head = new RequestHead('')
  head.method = method
  const refusal = parseTarget(head, target)
  const end = target.indexOf('?')
  return {
    method,
    target,
    authority,
    host: hostOf(authority),
    path: end < 0 ? target : target.slice(0, end),
    query: end < 0 ? '' : target.slice(end + 1),
    clientIp,
    targetFlags: head.targetFlags,
    refusal,
    requestHeader: (name) => (name === 'host' ? authority || null : (headers.get(name) ?? null)),
  }
}

function hostOf(authority: string): string {
  return authority.replace(/:[0-9]*$/, '').toLowerCase()
}

function readHeaders(lines: readonly string[]): Map<string, string> {
  const headers = new Map<string, string>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(colon, 0)).toLowerCase()
    if (!METHOD.test(name))
      throw new UsageError(`"${line}" is not a header; write it as 'Name: value'`)
    const value = line.slice(colon + 1).trim()
    const before = headers.get(name)
    headers.set(
      name,
      before === undefined ? value : before + (name === 'cookie' ? '; ' : ', ') + value,
    )
  }
  return headers
}
