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
    'Longest pause between two pieces of a request body. Past it: 408. ' +
      'A client that takes nothing of a waiting answer for as long is disconnected.',
  ),
  bodyRate: byteSize({ max: 1024 * KB }).describe(
    'Least bytes per second, on average, at which a client sends a body or reads an answer that waits ' +
      'for it. A slower sender gets 408, a slower reader is disconnected. Time in which the gateway or ' +
      'the service does not read counts for nobody. `0b` for clients that stream bodies at leisure.',
  ),
  bodyRateGrace: durationMs({ min: 100 }).describe(
    'Time before `bodyRate` counts, and the shortest time over which it is measured.',
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
    bodyRate: bounds.bodyRate.prefault('240b'),
    bodyRateGrace: bounds.bodyRateGrace.prefault('10s'),
    keepAliveTimeout: bounds.keepAliveTimeout.prefault('75s'),
    requestsPerConnection: bounds.requestsPerConnection.prefault(10_000),
    connections: z
      .int()
      .min(1, 'must be 1 or more; there is no "unlimited"')
      .max(1_000_000)
      .prefault(10_000)
      .describe('Most client connections open at once, over all listeners and threads.'),
    connectionsPerIp: z
      .int()
      .min(1, 'must be 1 or more; there is no "unlimited"')
      .max(1_000_000)
      .optional()
      .describe(
        'Most connections open at once from one client address (IPv6: from one /64), over all listeners ' +
          'and threads; more get 429. Trusted proxies are exempt. Default: half of `connections`, so that ' +
          'no single address can take them all.',
      ),
    trailers: z
      .array(fieldName())
      .prefault([])
      .describe('Names of trailer fields that may pass; all others are dropped.'),
  })
  .transform(({ connections, connectionsPerIp, trailers, ...rest }) => ({
    ...renameBounds(rest),
    connectionsMax: connections,
    connectionsPerIpMax: connectionsPerIp ?? Math.ceil(connections / 2),
    trailers,
  }))

interface Bounds {
  readonly targetBytes: number
  readonly headBytes: number
  readonly headers: number
  readonly bodyBytes: number
  readonly headTimeout: number
  readonly bodyIdleTimeout: number
  readonly bodyRate: number
  readonly bodyRateGrace: number
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
    bodyBytesPerSecondMin: from.bodyRate,
    bodyRateGraceMs: from.bodyRateGrace,
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
    bodyBytesPerSecondMin: own.bodyRate ?? limits.bodyBytesPerSecondMin,
    bodyRateGraceMs: own.bodyRateGrace ?? limits.bodyRateGraceMs,
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

/** Who is taken for the client. */
const originFields = {
  trustedProxies: z
    .union([z.array(network()), z.int().min(1).max(16)])
    .prefault([])
    .describe(
      'Proxies in front, whose word on the client is believed: their networks, or, where those are ' +
        'not known and nobody can get around them, how many each request passes. With networks the ' +
        'client is the first address from the right in `trustedHeader` that is none of theirs; with ' +
        'a number, the one at that place from the right. Where the list ends before, or holds ' +
        'something else than an address, it is the last address read until then, at worst that of ' +
        'the peer. Default: nobody is believed.',
    ),
  trustedHeader: z
    .enum(['x-forwarded-for', 'forwarded'])
    .prefault('x-forwarded-for')
    .describe(
      'Where trusted proxies write the client: `x-forwarded-for` (with `X-Forwarded-Proto` and ' +
        '`-Host`) or `forwarded` (RFC 7239). The other is dropped even when they send it: they may ' +
        'only have let it through.',
    ),
  proxyProtocol: z
    .union([
      z.boolean(),
      z.strictObject({
        from: z
          .array(network())
          .min(1, 'at least one network is needed')
          .describe('Networks of the load balancers.'),
      }),
    ])
    .prefault(false)
    .transform((value) => {
      if (typeof value === 'boolean') return value ? ['0.0.0.0/0', '::/0'] : null
      return value.from
    })
    .describe(
      'Connections begin with a PROXY header, version 1 or 2, before TLS, that names the client. It ' +
        'is required, within `headTimeout`: a connection without it, or from elsewhere than `from`, ' +
        'is closed. `true` believes every peer, so nobody else may reach the port.',
    ),
}

/** One entry of `listen`, before the limits of the gateway are merged in. */
function listenerSchema(context: SchemaContext) {
  const full = z
    .strictObject({
      url: listenUrl().describe('Scheme, address and port, like `http://0.0.0.0:8080`.'),
      tls: tlsSchema(context).optional().describe('Certificates; required for https.'),
      ...originFields,
      limits: z
        .strictObject(bounds)
        .partial()
        .prefault({})
        .describe('Bounds for this listener where they differ from the top-level `limits`.'),
    })
    .transform(({ url, tls, ...rest }, ctx) => {
      if (url.scheme === 'https' && tls === undefined && !hasUnknownKeys(ctx)) {
        refuse(ctx, 'an https listener needs `tls` with a certificate and its key')
      }
      if (url.scheme === 'http' && tls !== undefined) {
        refuse(ctx, '`tls` is set, but the listener is http', 'a URL that begins with https://')
      }
      return { ...url, tls: tls ?? null, ...rest }
    })
  const short = listenUrl().transform((url, ctx) => {
    if (url.scheme === 'https') {
      refuse(
        ctx,
        'an https listener needs `tls` with a certificate and its key',
        '{ url: https://..., tls: { ... } }',
      )
    }
    return {
      ...url,
      tls: null,
      trustedProxies: [] as string[] | number,
      trustedHeader: 'x-forwarded-for' as 'x-forwarded-for' | 'forwarded',
      proxyProtocol: null as string[] | null,
      limits: {},
    }
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
