// Routes: which requests they take, what runs on them, and where they go.
import { z } from 'zod'
import { RequestHead } from '../../proxy/http/message-head.ts'
import { parseTarget } from '../../proxy/http/request-target.ts'
import { matchFields, normaliseMatch } from './match.ts'
import { mirrorSchema } from './mirror.ts'
import { exchangeTimeoutFields } from './service.ts'
import { importance } from './service-concurrency.ts'
import { serviceReference } from './service-reference.ts'
import { routeRetriesSchema } from './service-retries.ts'
import type { UseSchema } from './use.ts'
import { fieldName, fieldValue, hasUnknownKeys, refuse, type SchemaContext } from './value.ts'

/** A path as services may be sent it; each `{name}` stands for one that is harmless. */
function pathTemplate() {
  return z.string().refine(
    (text) => {
      const target = text.replace(/\{[^{}]*\}/g, 'x')
      return target.startsWith('/') && parseTarget(new RequestHead(''), target) === null
    },
    { error: 'must be a path that begins with / and that a client could ask for' },
  )
}

const rewriteSchema = z
  .strictObject({
    stripPrefix: z
      .literal(true)
      .optional()
      .describe('Removes what stands before `/*` in the path of the route.'),
    prefix: pathTemplate()
      .optional()
      .describe('Replaces what stands before `/*` in the path of the route.'),
    path: pathTemplate()
      .optional()
      .describe("The whole new path; `{name}` stands for a parameter of the route's path."),
    host: z
      .string()
      .regex(/^[A-Za-z0-9._:[\]-]+$/, 'must be a host with an optional port')
      .optional()
      .describe('Replaces the `Host` header.'),
  })
  .transform(({ stripPrefix, prefix, path, host }, ctx) => {
    const ways = [stripPrefix, prefix, path].filter((way) => way !== undefined).length
    if (ways > 1) refuse(ctx, 'only one of `stripPrefix`, `prefix` and `path` can rewrite the path')
    if (ways === 0 && host === undefined && !hasUnknownKeys(ctx)) {
      refuse(ctx, 'this rewrites nothing', 'one of stripPrefix, prefix, path and host')
    }
    return {
      /** Put in place of the route's own prefix; '' takes it away. Without a slash at its end. */
      prefix: stripPrefix === true ? '' : prefix === undefined ? null : prefix.replace(/\/+$/, ''),
      path: path ?? null,
      host: host ?? null,
    }
  })

const redirectSchema = z.strictObject({
  to: z
    .string()
    .regex(
      /^(https?:\/\/[!-~]+|\/[!-~]*)$/,
      'must be a path, or a URL that begins with http:// or https://',
    )
    .describe("Where to; `{name}` stands for a parameter of the route's path."),
  status: z
    .union([z.literal(301), z.literal(302), z.literal(303), z.literal(307), z.literal(308)])
    .prefault(308)
    .describe('301, 302, 303, 307 or 308.'),
})

const respondSchema = z
  .strictObject({
    status: z.int().min(200).max(599).prefault(200).describe('Status of the answer.'),
    headers: z
      .record(
        z.string().regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, 'this is not a valid header name'),
        fieldValue(),
      )
      .prefault({})
      .describe('Headers of the answer.'),
    body: z.string().optional().describe('Text of the answer.'),
    json: z.json().optional().describe('The answer as JSON.'),
  })
  .transform(({ status, headers, body, json }, ctx) => {
    if (body !== undefined && json !== undefined)
      refuse(ctx, 'an answer has `body` or `json`, not both')
    const list = Object.entries(headers).map(([key, value]) => ({ name: key, value }))
    const has = (wanted: string) => list.some((header) => header.name.toLowerCase() === wanted)
    for (const forbidden of ['content-length', 'transfer-encoding', 'connection', 'date']) {
      if (has(forbidden)) refuse(ctx, `the gateway sets \`${forbidden}\` itself`)
    }
    const text = json === undefined ? (body ?? '') : JSON.stringify(json)
    if (text !== '' && !has('content-type')) {
      list.unshift({
        name: 'Content-Type',
        value: json === undefined ? 'text/plain; charset=utf-8' : 'application/json',
      })
    }
    return { status, headers: list, body: text }
  })

function toSchema(context: SchemaContext) {
  const single = serviceReference(context)
  const share = z
    .strictObject({
      service: single.describe('Name of a service, or the URL of one.'),
      weight: z
        .int()
        .min(0)
        .max(1_000_000)
        .prefault(1)
        .describe('Share of the requests beside the others.'),
    })
    .transform(({ service, weight }) => ({ ...service, weight }))
  return z.union([
    single.transform((target) => [{ ...target, weight: 1 }]),
    z
      .array(share)
      .min(1, 'at least one service is needed')
      .refine(
        (shares) => shares.some((share) => share.weight > 0),
        'at least one weight must be above 0',
      ),
  ])
}

const stickySchema = z
  .strictObject({
    header: fieldName().optional().describe('Name of a header.'),
    cookie: z.string().min(1).optional().describe('Name of a cookie.'),
  })
  .transform(({ header, cookie }, ctx) => {
    if ((header === undefined) === (cookie === undefined))
      refuse(ctx, 'give either `header` or `cookie`')
    return header === undefined
      ? { by: 'cookie' as const, name: cookie ?? '' }
      : { by: 'header' as const, name: header }
  })

/** The fields that only make sense where requests are forwarded. */
function forwardFields(context: SchemaContext) {
  return {
    to: toSchema(context)
      .optional()
      .describe(
        'A service, the URL of one, or a list of `{ service, weight }` to split requests over.',
      ),
    sticky: stickySchema
      .optional()
      .describe('With a split: the header or cookie that keeps one caller on one side.'),
    mirror: mirrorSchema(context)
      .optional()
      .describe(
        'A second service that gets copies of the requests; clients never see its answers.',
      ),
    rewrite: rewriteSchema
      .optional()
      .describe('Changes of path and host before the request is sent on.'),
    timeouts: z
      .strictObject(exchangeTimeoutFields)
      .partial()
      .optional()
      .describe("Replaces the service's `timeouts`, one by one."),
    retries: routeRetriesSchema
      .optional()
      .describe(
        "Replaces the service's `retries`, one by one, within the same budget. `false`: nothing is sent twice, nor hedged.",
      ),
    upgrade: z
      .array(
        z
          .string()
          .regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z/]+$/, 'this is not a protocol name')
          .transform((token) => token.toLowerCase())
          .refine((token) => token !== 'h2c', 'h2c never passes a gateway'),
      )
      .optional()
      .describe('Protocols a client may upgrade to. Default: `[websocket]`; `[]` for none.'),
  }
}

/** One entry of `routes`. */
export function routeSchema(context: SchemaContext, use: UseSchema) {
  return z
    .strictObject({
      id: z
        .string()
        .regex(/^[\x21-\x7e]{1,200}$/, 'must be 1 to 200 visible ASCII characters')
        .optional()
        .describe(
          'Unique name, used in logs and metrics. Default: made from host, method and path.',
        ),
      ...matchFields,
      match: z
        .strictObject(matchFields)
        .optional()
        .describe(
          'The conditions in one place, in the place of `host`, `path`, ... on the route itself.',
        ),
      priority: z
        .int()
        .min(-1_000_000)
        .max(1_000_000)
        .prefault(0)
        .describe('Decides between routes that nothing else separates; the greater wins.'),
      importance: importance()
        .prefault('normal')
        .describe(
          'How much its requests matter when not all can be served: `low`, `normal`, `high` or `critical`. The least important are refused first.',
        ),
      use: z.array(use).prefault([]).describe('Policies, in the order in which they run.'),
      ...forwardFields(context),
      redirect: redirectSchema.optional().describe('Answers with a redirect.'),
      respond: respondSchema.optional().describe('Answers with a fixed response.'),
      encodedSlash: z
        .enum(['keep', 'reject'])
        .prefault('keep')
        .describe(
          'What happens to `%2F` in a path: it is passed on as it is, or the request gets 400.',
        ),
      allow: z
        .strictObject({
          doubleSlash: z.boolean().prefault(false).describe('Lets `//` in a path pass.'),
          encodedPercent: z
            .boolean()
            .prefault(false)
            .describe(
              'Lets `%25` before `25`, `2e`, `2f` or `5c` pass (a dot or slash that is encoded more than once).',
            ),
        })
        .prefault({})
        .describe(
          'Paths that are refused by default because services read them in different ways.',
        ),
    })
    .transform((route, ctx) => ({
      id: route.id ?? null,
      match: normaliseMatch(route, ctx),
      importance: route.importance,
      use: route.use,
      encodedSlash: route.encodedSlash,
      allowDoubleSlash: route.allow.doubleSlash,
      allowEncodedPercent: route.allow.encodedPercent,
      target: targetOf(route, ctx),
    }))
}

type ForwardInput = z.output<z.ZodObject<ReturnType<typeof forwardFields>>>
type TargetInput = ForwardInput & {
  redirect?: z.output<typeof redirectSchema> | undefined
  respond?: z.output<typeof respondSchema> | undefined
}

const FORWARD_ONLY = ['sticky', 'mirror', 'rewrite', 'timeouts', 'retries', 'upgrade'] as const

function targetOf(route: TargetInput, ctx: z.core.$RefinementCtx) {
  const { to, redirect, respond } = route
  const given = [to, redirect, respond].filter((target) => target !== undefined).length
  if (given > 1 || (given === 0 && !hasUnknownKeys(ctx))) {
    refuse(
      ctx,
      given === 0 ? 'this route leads nowhere' : 'a route has one target only',
      'exactly one of `to`, `redirect` and `respond`',
    )
  }
  if (to === undefined) {
    for (const key of FORWARD_ONLY) {
      if (route[key] === undefined) continue
      ctx.addIssue({
        code: 'custom',
        path: [key],
        message: `\`${key}\` has no meaning without \`to\``,
        params: { atKey: true },
      })
    }
    if (redirect !== undefined) return { kind: 'redirect' as const, ...redirect }
    return { kind: 'respond' as const, ...(respond ?? { status: 200, headers: [], body: '' }) }
  }
  if (route.sticky !== undefined && to.length < 2) {
    refuse(
      ctx,
      '`sticky` on a route needs `to` with several services',
      'for endpoints, `sticky` of the service',
    )
  }
  return {
    kind: 'forward' as const,
    services: to,
    sticky: route.sticky ?? null,
    mirror: route.mirror ?? null,
    rewrite: route.rewrite ?? null,
    timeouts: {
      attemptMs: route.timeouts?.attempt ?? null,
      responseMs: route.timeouts?.response ?? null,
      idleMs: route.timeouts?.idle ?? null,
      exchangeMs: route.timeouts?.exchange ?? null,
    },
    retries: route.retries ?? null,
    upgrade: route.upgrade ?? ['websocket'],
  }
}
