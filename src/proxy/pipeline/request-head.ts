// Composes the head of a forwarded request.
import {
  EXPECT_FIELD,
  FORWARDED_FIELDS,
  HOP_FIELDS,
  HOST_FIELD,
  LENGTH_FIELD,
  passedFields,
} from '../http/compose-head.ts'
import { forwardedLines } from '../http/forwarded-headers.ts'
import type { Endpoint } from '../upstream/endpoint.ts'
import type { Service } from '../upstream/service.ts'
import type { ExchangeRun } from './run.ts'

/** How the forwarded request differs from the received one. */
export interface Rewrite {
  /** The new target, query included; null keeps the received one. */
  readonly target: ((run: ExchangeRun) => string) | null
  /** The new Host; null leaves it to the service. */
  readonly host: string | null
}

/** Runs the onForward hooks and composes the head that goes to `endpoint`, in latin1. */
export function requestHead(
  run: ExchangeRun,
  service: Service,
  endpoint: Endpoint,
  rewrite: Rewrite,
  isChunked: boolean,
): string {
  const { request } = run
  const host = hostValue(run, service, endpoint, rewrite)
  const target = rewrite.target === null ? run.target : rewrite.target(run)
  if (run.plan.hasForwardHooks) {
    run.forwardedTarget = target
    run.forwardedHost = host ?? request.host
    run.runForward()
  }
  let drop = HOP_FIELDS | FORWARDED_FIELDS
  if (host !== null) drop |= HOST_FIELD
  if (isChunked && !request.isChunked) drop |= LENGTH_FIELD
  if (request.minorVersion === 0 || run.body?.wasHeld === true) drop |= EXPECT_FIELD
  let head = `${run.method} ${target} HTTP/1.1\r\n`
  if (host !== null) head += `Host: ${host}\r\n`
  head += passedLines(run, drop)
  if (isChunked) head += 'Transfer-Encoding: chunked\r\n'
  if (run.upgrade !== null) head += `Connection: Upgrade\r\nUpgrade: ${run.upgrade}\r\n`
  else if (request.takesTrailers) head += 'Connection: TE\r\nTE: trailers\r\n'
  return `${head}\r\n`
}

/**
 * The received fields that pass, with the edits of policies, and what the gateway adds about the client
 * and itself.
 * @param drop bits of the kinds that do not pass.
 */
export function passedLines(run: ExchangeRun, drop: number): string {
  const { request, context } = run
  const about = forwardedLines(
    context.forwarded,
    run.trustedHead,
    run.clientIp,
    run.connection.clientIp,
    run.scheme,
    request.host,
  )
  const via = context.viaLines[request.minorVersion === 0 ? 0 : 1]
  return passedFields(request, drop, run.requestEdits) + about + via
}

/** The Host to send in place of the received one; null keeps that. */
export function hostValue(
  run: ExchangeRun,
  service: Service,
  endpoint: Endpoint,
  rewrite: Pick<Rewrite, 'host'>,
): string | null {
  if (rewrite.host !== null) return rewrite.host
  const { hostHeader } = service.settings
  if (hostHeader.kind === 'literal') return hostHeader.value
  // An HTTP/1.0 client may leave Host out; HTTP/1.1 requires it (RFC 9112 3.2).
  if (hostHeader.kind === 'endpoint' || run.request.host === '') return endpoint.address
  return null
}
