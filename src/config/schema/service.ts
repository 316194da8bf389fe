// Services: named upstreams, their endpoints, and how requests are placed and retried.
import { z } from 'zod'
import { durationMs } from '../../lib/units.ts'
import type { HashKey } from '../../proxy/upstream/balancers/hash.ts'
import { BALANCERS, DEFAULT_BALANCE } from '../../proxy/upstream/balancers/registry.ts'
import { endpointUrl, isHostName } from './address.ts'
import { endpointSchema } from './endpoint.ts'
import { concurrencySchema } from './service-concurrency.ts'
import { discoverSchema, identitySchema } from './service-discovery.ts'
import {
  breakerSchema,
  ejectionSchema,
  healthSchema,
  panicBelowSchema,
  spillBelowSchema,
} from './service-health.ts'
import { deadlineSchema, hedgeSchema, retriesSchema } from './service-retries.ts'
import { filePath, hasUnknownKeys, refuse, type SchemaContext } from './value.ts'

const BALANCE_NAMES = Object.keys(BALANCERS) as (keyof typeof BALANCERS)[]

const hashSchema = z
  .strictObject({
    by: z
      .enum(['header', 'cookie', 'client-ip', 'path'])
      .describe('What keeps a caller at the same endpoint.'),
    name: z
      .string()
      .min(1)
      .optional()
      .describe('Name of the header or cookie; needed for these two.'),
  })
  .transform(({ by, name }, ctx): HashKey => {
    if (by === 'header' || by === 'cookie') {
      if (name === undefined) refuse(ctx, `\`by: ${by}\` needs the \`name\` of the ${by}`)
      return { by, name: name ?? '' }
    }
    if (name !== undefined) refuse(ctx, `\`by: ${by}\` takes no \`name\``)
    return { by }
  })

const balanceSchema = z.union([
  z.enum(BALANCE_NAMES),
  z.strictObject({ hash: hashSchema.describe('Consistent hashing.') }),
])

const stickySchema = z.strictObject({
  cookie: z
    .string()
    .regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, 'this is not a valid cookie name')
    .prefault('gh_sticky')
    .describe('Name of the cookie.'),
  secret: z
    .string()
    .min(32, 'must be 32 characters or more')
    .describe(
      'Key that signs the cookie; the same on every node. Give it by reference: `${env:NAME}`.',
    ),
  secure: z
    .boolean()
    .prefault(false)
    .describe('Marks the cookie `Secure`: browsers then send it over https only.'),
})

/** Timeouts of one exchange by their input names; a route may override each. */
export const exchangeTimeoutFields = {
  attempt: durationMs({ min: 1 }).describe(
    'For one attempt, from its beginning to the response head. Past it: another one, or 504. Absent: no such bound.',
  ),
  response: durationMs({ min: 1 }).describe(
    'From the whole request sent until the response head is there. Past it: 504.',
  ),
  idle: durationMs({ min: 1 }).describe(
    'Longest pause between two pieces of a body or of a tunnel.',
  ),
  exchange: durationMs({ min: 1 }).describe(
    'For the whole exchange, retries and both bodies included. Absent: no such bound.',
  ),
}

const timeoutsSchema = z.strictObject({
  connect: durationMs({ min: 1 })
    .prefault('5s')
    .describe('To open a connection, TLS handshake included. Past it: 504.'),
  response: exchangeTimeoutFields.response
    .optional()
    .describe(`${exchangeTimeoutFields.response.description} Default: \`30s\`.`),
  attempt: exchangeTimeoutFields.attempt.optional(),
  idle: exchangeTimeoutFields.idle.prefault('60s'),
  exchange: exchangeTimeoutFields.exchange.optional(),
})

const connectionsSchema = z
  .strictObject({
    max: z
      .int()
      .min(1)
      .max(1_000_000)
      .prefault(1024)
      .describe('Most connections to one endpoint, over all threads.'),
    queue: z
      .int()
      .min(0)
      .max(1_000_000)
      .prefault(1024)
      .describe('Most requests that wait for a connection. One more gets 503.'),
    queueTimeout: durationMs({ min: 1 })
      .prefault('5s')
      .describe('Longest such wait. Past it: 503.'),
    idle: durationMs({ min: 1 }).prefault('60s').describe('How long an unused connection is kept.'),
  })
  .transform(({ max, queue, queueTimeout, idle }) => ({
    max,
    queueMax: queue,
    queueTimeoutMs: queueTimeout,
    idleTimeoutMs: idle,
  }))

function tlsSchema(context: SchemaContext) {
  const orNull = (path: string | undefined) => path ?? null
  return z
    .strictObject({
      ca: filePath(context)
        .optional()
        .transform(orNull)
        .describe("PEM file with the authorities to trust in place of the system's."),
      serverName: z
        .string()
        .refine((host) => isHostName(host.toLowerCase()), 'this is not a host name')
        .optional()
        .transform(orNull)
        .describe("Name asked for and verified. Absent: the endpoint's host."),
      cert: filePath(context)
        .optional()
        .transform(orNull)
        .describe('PEM file: certificate that Gatehouse shows to the service.'),
      key: filePath(context).optional().transform(orNull).describe('PEM file: its private key.'),
      verify: z
        .boolean()
        .prefault(true)
        .describe(
          "Whether the service's certificate is verified. `false` lets anyone in between read and change all.",
        ),
    })
    .check((payload) => {
      const { cert, key } = payload.value
      if ((cert === null) === (key === null)) return
      payload.issues.push({
        code: 'custom',
        input: payload.value,
        message: '`cert` and `key` must be given together',
      })
    })
}

const hostHeaderSchema = z
  .string()
  .refine(
    (text) =>
      text === 'preserve' ||
      text === 'endpoint' ||
      /^[A-Za-z0-9._-]+(:[0-9]{1,5})?$|^\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?$/.test(text),
    'must be preserve, endpoint, or a host with an optional port',
  )
  .transform((text) =>
    text === 'preserve' || text === 'endpoint'
      ? { kind: text as 'preserve' | 'endpoint', value: null }
      : { kind: 'literal' as const, value: text },
  )

const dnsSchema = z
  .strictObject({
    minTtl: durationMs({ min: 100 })
      .prefault('1s')
      .describe('Names are looked up at most this often.'),
    maxTtl: durationMs({ min: 100 })
      .prefault('5m')
      .describe('Names are looked up at least this often.'),
  })
  .transform(({ minTtl, maxTtl }, ctx) => {
    if (minTtl > maxTtl) refuse(ctx, '`minTtl` is longer than `maxTtl`')
    return { minTtlMs: minTtl, maxTtlMs: maxTtl }
  })

const requiredSchema = z
  .boolean()
  .prefault(false)
  .describe(
    'Whether `/readyz` says 503 while none of its endpoints can be used. `false` by default: ' +
      'where all gateways share a service, none of them would be left when it fails.',
  )

function serviceObjectSchema(context: SchemaContext) {
  return z.strictObject({
    url: endpointUrl()
      .optional()
      .describe('The only endpoint. Either this, `endpoints` or `discover`.'),
    endpoints: z
      .array(endpointSchema())
      .min(1, 'at least one endpoint is needed')
      .optional()
      .describe('The endpoints: a URL each, or `{ url, weight, priority, zone }`.'),
    discover: discoverSchema(context)
      .optional()
      .describe(
        'Endpoints are found while the gateway runs: by SRV records, a file, or your code.',
      ),
    identity: identitySchema
      .optional()
      .describe(
        'How an endpoint proves that it belongs to this service. A new one gets no request before, nor one that could not be connected to until it has again.',
      ),
    balance: balanceSchema
      .prefault(DEFAULT_BALANCE)
      .describe(
        `How requests are spread: ${BALANCE_NAMES.map((name) => `\`${name}\``).join(', ')}, or ` +
          '`{ hash: { by } }` for consistent hashing.',
      ),
    sticky: stickySchema.optional().describe('Keeps a caller at its endpoint by a signed cookie.'),
    timeout: durationMs({ min: 1 }).optional().describe('Short for `timeouts: { response }`.'),
    timeouts: timeoutsSchema.prefault({}).describe('How long each part of an exchange may take.'),
    deadline: deadlineSchema
      .optional()
      .describe('A deadline that comes with a request is kept, and what is left of it sent on.'),
    retries: retriesSchema
      .prefault({})
      .describe('Only idempotent requests whose body can be sent again are retried.'),
    hedge: hedgeSchema
      .optional()
      .describe(
        'Sends safe requests that take long to another endpoint as well; the first good answer counts. Absent: never.',
      ),
    health: healthSchema
      .optional()
      .describe('Checks that find out whether endpoints work before requests do.'),
    ejection: ejectionSchema,
    panicBelow: panicBelowSchema,
    spillBelow: spillBelowSchema,
    slowStart: durationMs({ max: 3_600_000 })
      .prefault('0ms')
      .describe(
        'Time over which a new or returning endpoint gets its share of the load. `0ms`: at once.',
      ),
    breaker: breakerSchema
      .optional()
      .describe('Stops sending to the service while it fails as a whole. Absent: none.'),
    concurrency: concurrencySchema
      .optional()
      .describe(
        'Most requests in flight at the service, over all threads: a number, or `{ limit | adaptive, queue, ... }`. Absent: no such bound.',
      ),
    connections: connectionsSchema.prefault({}).describe('Bounds of the connection pools.'),
    tls: tlsSchema(context).optional().describe('TLS to https endpoints.'),
    hostHeader: hostHeaderSchema
      .prefault('preserve')
      .describe(
        '`Host` sent to the service: `preserve` (that of the client), `endpoint`, or a fixed one.',
      ),
    dns: dnsSchema.prefault({}).describe('How often endpoint names are looked up again.'),
    required: requiredSchema,
  })
}

type ServiceObject = z.output<ReturnType<typeof serviceObjectSchema>>
const NO_TLS_SETTINGS = { ca: null, serverName: null, cert: null, key: null, verify: true }

function endpointsOf(value: ServiceObject, ctx: z.core.$RefinementCtx) {
  const { url, discover } = value
  const given = [url, value.endpoints, discover].filter((source) => source !== undefined)
  if (given.length !== 1) {
    if (!hasUnknownKeys(ctx)) refuse(ctx, 'a service has either `url`, `endpoints` or `discover`')
    return []
  }
  if (discover !== undefined) return []
  const endpoints = value.endpoints ?? [{ ...url!, weight: 1, priority: 0, zone: null }]
  if (endpoints.some((endpoint) => endpoint.scheme !== endpoints[0]!.scheme)) {
    refuse(ctx, 'the endpoints of a service are all http or all https')
  }
  return endpoints.map(({ host, port, weight, priority, zone }) => ({
    host,
    port,
    weight,
    priority,
    zone,
  }))
}

/** A service: a URL, or all its settings. The name is set by whoever holds the map. */
export function serviceSchema(context: SchemaContext) {
  const full = serviceObjectSchema(context)
  return z
    .union([
      endpointUrl().transform(({ scheme, host, port }) =>
        full.parse({ url: urlOf(scheme, host, port) }),
      ),
      full,
    ])
    .transform((value, ctx) => {
      const endpoints = endpointsOf(value, ctx)
      const scheme = (value.endpoints?.[0] ?? value.url ?? value.discover)?.scheme ?? 'http'
      if (value.tls !== undefined && scheme === 'http') {
        refuse(
          ctx,
          '`tls` is set, but the endpoints are http',
          'endpoints that begin with https://',
        )
      }
      if (value.hedge !== undefined && value.sticky !== undefined) {
        refuse(ctx, '`hedge` asks other endpoints than the one that `sticky` keeps a caller at')
      }
      if (value.timeout !== undefined && value.timeouts.response !== undefined) {
        refuse(ctx, '`timeout` and `timeouts.response` say the same; keep one')
      }
      return {
        endpoints,
        discover: value.discover?.source ?? null,
        identity: value.identity ?? null,
        balance: value.balance,
        sticky: value.sticky ?? null,
        timeouts: {
          connectMs: value.timeouts.connect,
          responseMs: value.timeout ?? value.timeouts.response ?? 30_000,
          attemptMs: value.timeouts.attempt ?? null,
          idleMs: value.timeouts.idle,
          exchangeMs: value.timeouts.exchange ?? null,
        },
        deadline: value.deadline ?? null,
        retries: value.retries,
        hedge: value.hedge ?? null,
        health: value.health ?? null,
        ejection: value.ejection,
        panicBelow: value.panicBelow,
        spillBelow: value.spillBelow,
        slowStartMs: value.slowStart,
        breaker: value.breaker ?? null,
        concurrency: value.concurrency ?? null,
        connections: value.connections,
        tls: scheme === 'https' ? (value.tls ?? NO_TLS_SETTINGS) : null,
        hostHeader: value.hostHeader,
        dns: value.dns,
        required: value.required,
      }
    })
}

function urlOf(scheme: string, host: string, port: number): string {
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`
}
