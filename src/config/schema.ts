// The configuration: one schema that is the source of the types, the validation, the JSON Schema that
// editors complete from, and the reference pages. Its output is the normalised document: shorthands
// expanded, defaults applied, durations in milliseconds, sizes in bytes, nothing that JSON cannot hold.
import { z } from 'zod'
import { byteSize } from '../lib/units.ts'
import { listenUrl } from './schema/address.ts'
import { type ConsumerDocument, consumersSchema } from './schema/consumer.ts'
import { drainSchema } from './schema/drain.ts'
import { zoneName } from './schema/endpoint.ts'
import { limitsSchema, listenerLimits, listenSchema } from './schema/listener.ts'
import { overloadSchema } from './schema/overload.ts'
import { routeSchema } from './schema/route.ts'
import { serviceSchema } from './schema/service.ts'
import {
  namedPoliciesSchema,
  type PolicyUse,
  UseResolver,
  useSchema,
  type WrittenUse,
} from './schema/use.ts'
import { filePath, name, refuse, type SchemaContext } from './schema/value.ts'

/** What a thread needs to start, and something for its requests. */
const THREAD_HEAP_MIN = 32 * 1024 * 1024

const LOOPBACK = /^(127\.[0-9.]+|::1|localhost)$/

const adminSchema = z
  .union([
    z.literal(false),
    z.strictObject({
      listen: listenUrl().prefault('http://127.0.0.1:9901').describe('Address of the admin API.'),
      allowRemote: z
        .boolean()
        .prefault(false)
        .describe(
          'Must be true for an address that other machines can reach: the admin API asks for no password.',
        ),
    }),
  ])
  .transform((value, ctx) => {
    if (value === false) return null
    const { scheme, host, port } = value.listen
    if (scheme !== 'http') refuse(ctx, 'the admin API is served over http only')
    if (!LOOPBACK.test(host) && !value.allowRemote) {
      refuse(
        ctx,
        `the admin API has no password, and ${host} can be reached from other machines`,
        'an address of this machine, like http://127.0.0.1:9901, or `allowRemote: true`',
      )
    }
    return { host, port }
  })

const gatewayFields = {
  via: z
    .union([
      z.literal(false),
      z.string().regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, 'this is not a name that Via can carry'),
    ])
    .prefault('gatehouse')
    .describe('Name in the `Via` header of both directions, or `false` for none.')
    .transform((value) => (value === false ? null : value)),
  forwarded: z
    .strictObject({
      xForwarded: z
        .boolean()
        .prefault(true)
        .describe(
          'Sends `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host` to services.',
        ),
      forwarded: z.boolean().prefault(false).describe('Sends `Forwarded` (RFC 7239) to services.'),
    })
    .prefault({})
    .describe('What services are told about the client.'),
  admin: adminSchema
    .prefault({})
    .describe('The admin API: health, metrics, the running configuration. `false`: off.'),
  zone: zoneName()
    .optional()
    .transform((zone): string | null => zone ?? null)
    .describe(
      'Where this gateway is: endpoints with the same `zone` are preferred. Absent: GATEHOUSE_ZONE of the environment.',
    ),
  threads: z
    .union([z.literal('auto'), z.int().min(1).max(64)])
    .prefault('auto')
    .describe(
      'Worker threads; `auto` is one per available processor. Counted when Gatehouse starts: a reload, ' +
        'or a new gateway process, does not change it.',
    ),
  threadHeap: z
    .union([z.literal('auto'), byteSize({ min: THREAD_HEAP_MIN })])
    .prefault('auto')
    .describe(
      'Most JavaScript heap of each thread; one that needs more is ended and replaced. `auto`: half of the ' +
        'memory of the machine or container, shared out, from 64mb to 2gb.',
    ),
  overload: overloadSchema.describe(
    'When the gateway itself has too much to do, the least important requests get 503. `false`: never.',
  ),
  drain: drainSchema,
  log: z
    .strictObject({
      level: z
        .enum(['debug', 'info', 'warn', 'error'])
        .prefault('info')
        .describe('Least severity that is logged.'),
    })
    .prefault({})
    .describe("The gateway's own log."),
}

/** The fields of a configuration before they are put together. */
export function documentFields(context: SchemaContext) {
  const use = useSchema(context)
  return {
    $schema: z.string().optional().describe('Where editors find the JSON Schema of this file.'),
    listen: listenSchema(context).describe(
      'Where clients connect: a URL, `{ url, tls, ... }`, or a list of them.',
    ),
    limits: limitsSchema
      .prefault({})
      .describe('Bounds of what clients may send, for all listeners.'),
    services: z
      .record(name('a service'), serviceSchema(context))
      .prefault({})
      .describe(
        'What stands behind the gateway, by name: a URL, or `{ url | endpoints | discover, ... }`.',
      ),
    consumers: consumersSchema()
      .prefault({})
      .describe('Who may call, by id: groups, hashed credentials, limits of their own.'),
    state: z
      .strictObject({
        file: filePath(context)
          .optional()
          .describe(
            'An SQLite file, made if missing, that keeps the counts of quotas. Without it they end ' +
              'with the process.',
          ),
      })
      .prefault({})
      .transform(({ file }) => ({ file: file ?? null }))
      .describe('What outlives a restart.'),
    plugins: z
      .array(z.string().min(1))
      .prefault([])
      .transform((list) => list.map((specifier) => context.plugins.get(specifier) ?? specifier))
      .describe(
        'Modules with further policies: `./file.ts`, relative to this file, or the name of a package.',
      ),
    policies: namedPoliciesSchema(context, use)
      .prefault({})
      .describe('Names for uses of policies that are needed more than once.'),
    use: z.array(use).prefault([]).describe('Policies on every route, before those of the route.'),
    routes: z
      .array(routeSchema(context, use))
      .min(1, 'at least one route is needed')
      .describe('Which requests go where. The order has no meaning: the most specific route wins.'),
    ...gatewayFields,
  }
}

/** The schema of a whole configuration, for a given set of policies. */
export function documentSchema(context: SchemaContext) {
  return z.strictObject(documentFields(context)).transform((written, ctx) => {
    const { $schema: _, listen, services, policies, use, routes, ...rest } = written
    const resolver = new UseResolver(policies, context.policies)
    const everywhere = resolver.resolve(use, ['use'], [], ctx)
    const byName = new Map(Object.entries(services))
    const ids = new Set(routes.map((route) => route.id).filter((id) => id !== null))
    return {
      listeners: listen.map((listener) => ({
        ...listener,
        limits: listenerLimits(written.limits, listener.limits),
      })),
      /** Stages of every route, before the route's own. */
      use: everywhere,
      routes: routes.map((route, index) => ({
        ...route,
        id: route.id ?? defaultRouteId(route.match, ids),
        use: resolver.resolve(route.use, ['routes', index, 'use'], everywhere, ctx),
        target: withServiceNames(route.target, byName),
      })),
      /** By name; services written as a URL in a route are named by that URL. */
      services: Array.from(byName, ([serviceName, service]) => ({ name: serviceName, ...service })),
      /** JSON pointers of the values in here that came from a reference or are secret by nature. */
      secrets: [] as string[],
      ...rest,
    }
  })
}

type WrittenTarget = z.output<ReturnType<typeof routeSchema>>['target']
type Service = z.output<ReturnType<typeof serviceSchema>>

function withServiceNames(target: WrittenTarget, services: Map<string, Service>) {
  if (target.kind !== 'forward') return target
  const named = target.mirror === null ? target.services : [...target.services, target.mirror]
  for (const { service, inline } of named) if (inline !== null) services.set(service, inline)
  return {
    ...target,
    services: target.services.map(({ service, weight }) => ({ service, weight })),
    mirror: target.mirror === null ? null : withoutInline(target.mirror),
  }
}

function withoutInline<T extends { readonly inline: unknown }>({ inline: _, ...rest }: T) {
  return rest
}

interface NamedMatch {
  readonly hosts: readonly string[]
  readonly path: string | null
  readonly methods: readonly string[]
}

/** An id out of what the route is for, made unique by a number; it is added to `taken`. */
function defaultRouteId(match: NamedMatch, taken: Set<string>): string {
  const place = `${match.hosts.join(',')}${match.path ?? '/*'}`
  const wanted = match.methods.length === 0 ? place : `${match.methods.join(',')}:${place}`
  let id = wanted
  for (let number = 2; taken.has(id); number++) id = `${wanted}#${number}`
  taken.add(id)
  return id
}

/** The normalised configuration. Plain data: it is sent between threads. */
export type Document = z.output<ReturnType<typeof documentSchema>>
/** The configuration as a person writes it. */
export type DocumentInput = z.input<ReturnType<typeof documentSchema>>
export type ListenerDocument = Document['listeners'][number]
export type ServiceDocument = Document['services'][number]
export type RouteDocument = Document['routes'][number]
export type TargetDocument = RouteDocument['target']
export type ForwardDocument = Extract<TargetDocument, { kind: 'forward' }>
export type { ConsumerDocument, PolicyUse, SchemaContext, WrittenUse }
