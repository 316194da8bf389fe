// Listeners: where clients connect, and the bounds of what they may send.
import { z } from 'zod'
import { byteSize, durationMs } from '../../lib/units.ts'
import { listenUrl, network } from './address.ts'
import { fieldName, filePath, hasUnknownKeys, refuse, type SchemaContext } from './value.ts'

const KB = 1024

/** The bounds by their input names, without defaults; a listener may override each. */
const bounds = {
  targetBytes: byteSize({ min: KB, max: 64 * KB }).describe(
    'Longest request target (path and query). A longer one gets 414.',
  ),
  headBytes: byteSize({ min: KB, max: 256 * KB }).describe(
    'Largest request head: request line and all header lines. A larger one gets 431.',
  ),
  headers: z.int().min(1).max(1000).describe('Most header lines of a request. More get 431.'),
  bodyBytes: byteSize().describe(
    'Largest request body. A larger one gets 413. Bodies are streamed and cost the gateway no memory, ' +
      'so the default is generous; it is finite so that nobody can send without end. ' +
      'The `body-limit` policy sets a lower bound for a single route.',
  ),
  headTimeout: durationMs({ min: 100 }).describe(
    'Time from the first byte of a request until its head is complete. Past it: 408. ' +
      'On an https listener it bounds the TLS handshake, too.',
  ),
  bodyIdleTimeout: durationMs({ min: 100 }).describe(
    'Longest pause between two pieces of a request body. Past it: 408.',
  ),
  keepAliveTimeout: durationMs({ min: 100 }).describe(
    'How long an idle connection is kept open for the next request.',
  ),
  requestsPerConnection: z
    .int()
    .min(1)
    .max(1_000_000_000)
    .describe('Requests after which a connection is closed in good order.'),
}

/** The bounds with their defaults, and those that exist once per gateway. */
export const limitsSchema = z
  .strictObject({
    targetBytes: bounds.targetBytes.prefault('8kb'),
    headBytes: bounds.headBytes.prefault('32kb'),
    headers: bounds.headers.prefault(100),
    bodyBytes: bounds.bodyBytes.prefault('1gb'),
    headTimeout: bounds.headTimeout.prefault('10s'),
    bodyIdleTimeout: bounds.bodyIdleTimeout.prefault('30s'),
    keepAliveTimeout: bounds.keepAliveTimeout.prefault('75s'),
    requestsPerConnection: bounds.requestsPerConnection.prefault(10_000),
    connections: z
      .int()
      .min(1, 'must be 1 or more; there is no "unlimited"')
      .max(1_000_000)
      .prefault(10_000)
      .describe('Most client connections open at once, over all listeners and threads.'),
    trailers: z
      .array(fieldName())
      .prefault([])
      .describe('Names of trailer fields that may pass; all others are dropped.'),
  })
  .transform(({ connections, trailers, ...rest }) => ({
    ...renameBounds(rest),
    connectionsMax: connections,
    trailers,
  }))

interface Bounds {
  readonly targetBytes: number
  readonly headBytes: number
  readonly headers: number
  readonly bodyBytes: number
  readonly headTimeout: number
  readonly bodyIdleTimeout: number
  readonly keepAliveTimeout: number
  readonly requestsPerConnection: number
}

function renameBounds(from: Bounds) {
  return {
    targetBytesMax: from.targetBytes,
    headBytesMax: from.headBytes,
    headersMax: from.headers,
    bodyBytesMax: from.bodyBytes,
    headTimeoutMs: from.headTimeout,
    bodyIdleTimeoutMs: from.bodyIdleTimeout,
    keepAliveTimeoutMs: from.keepAliveTimeout,
    requestsPerConnectionMax: from.requestsPerConnection,
  }
}

/** What a listener bounds: the top-level limits with its own overrides applied. */
export type ListenerLimits = ReturnType<typeof renameBounds>
type Limits = z.output<typeof limitsSchema>

/** The limits of one listener: its own where it has them, else those of the gateway. */
export function listenerLimits(
  limits: Limits,
  own: { readonly [K in keyof Bounds]?: number | undefined },
) {
  const merged: ListenerLimits = {
    targetBytesMax: own.targetBytes ?? limits.targetBytesMax,
    headBytesMax: own.headBytes ?? limits.headBytesMax,
    headersMax: own.headers ?? limits.headersMax,
    bodyBytesMax: own.bodyBytes ?? limits.bodyBytesMax,
    headTimeoutMs: own.headTimeout ?? limits.headTimeoutMs,
    bodyIdleTimeoutMs: own.bodyIdleTimeout ?? limits.bodyIdleTimeoutMs,
    keepAliveTimeoutMs: own.keepAliveTimeout ?? limits.keepAliveTimeoutMs,
    requestsPerConnectionMax: own.requestsPerConnection ?? limits.requestsPerConnectionMax,
  }
  return merged
}

function tlsSchema(context: SchemaContext) {
  const certificate = z.strictObject({
    cert: filePath(context).describe('PEM file: the certificate, then its intermediates.'),
    key: filePath(context).describe('PEM file: the private key that belongs to the certificate.'),
    hosts: z
      .array(z.string().min(1))
      .prefault([])
      .describe(
        'Host names served with it, `*.domain` included. Empty: those the certificate names.',
      ),
  })
  return z.strictObject({
    certificates: z
      .union([certificate, z.array(certificate).min(1, 'at least one certificate is needed')])
      .transform((value) => (Array.isArray(value) ? value : [value]))
      .describe('One certificate or several; the first serves clients that name no known host.'),
    minVersion: z
      .union([z.enum(['1.2', '1.3']), z.literal(1.2), z.literal(1.3)])
      .prefault('1.2')
      .transform((version) => (String(version) === '1.3' ? '1.3' : '1.2'))
      .describe('Oldest TLS version accepted.'),
    clientCa: filePath(context)
      .optional()
      .transform((path) => path ?? null)
      .describe(
        'PEM file with the authorities whose client certificates are required. Absent: none is asked for.',
      ),
  })
}

/** One entry of `listen`, before the limits of the gateway are merged in. */
function listenerSchema(context: SchemaContext) {
  const full = z
    .strictObject({
      url: listenUrl().describe('Scheme, address and port, like `http://0.0.0.0:8080`.'),
      tls: tlsSchema(context).optional().describe('Certificates; required for https.'),
      trustedProxies: z
        .array(network())
        .prefault([])
        .describe(
          'Peers whose `Forwarded` and `X-Forwarded-*` headers are believed. Default: nobody.',
        ),
      limits: z
        .strictObject(bounds)
        .partial()
        .prefault({})
        .describe('Bounds for this listener where they differ from the top-level `limits`.'),
    })
    .transform(({ url, tls, trustedProxies, limits }, ctx) => {
      if (url.scheme === 'https' && tls === undefined && !hasUnknownKeys(ctx)) {
        refuse(ctx, 'an https listener needs `tls` with a certificate and its key')
      }
      if (url.scheme === 'http' && tls !== undefined) {
        refuse(ctx, '`tls` is set, but the listener is http', 'a URL that begins with https://')
      }
      return { ...url, tls: tls ?? null, trustedProxies, limits }
    })
  const short = listenUrl().transform((url, ctx) => {
    if (url.scheme === 'https') {
      refuse(
        ctx,
        'an https listener needs `tls` with a certificate and its key',
        '{ url: https://..., tls: { ... } }',
      )
    }
    return { ...url, tls: null, trustedProxies: [] as string[], limits: {} }
  })
  return z.union([short, full])
}

/** `listen`: one entry or a list of them. */
export function listenSchema(context: SchemaContext) {
  const entry = listenerSchema(context)
  return z
    .union([entry, z.array(entry).min(1, 'at least one listener is needed')])
    .transform((value) => (Array.isArray(value) ? value : [value]))
}
