// The conditions of a route: host, path, methods, headers, query, client address.
import { z } from 'zod'
import { LinearRegExp } from '../../lib/linear-regexp.ts'
import { parsePathPattern } from '../../proxy/router/path-pattern.ts'
import type { RouteEntry, ValueCondition } from '../../proxy/router/route-entry.ts'
import { hostPattern, network } from './address.ts'
import { fieldName, hasUnknownKeys, refuse } from './value.ts'

function oneOrMore<Item extends z.ZodType>(item: Item) {
  return z
    .union([item, z.array(item).min(1, 'at least one is needed')])
    .transform((value) => (Array.isArray(value) ? value : [value]) as z.output<Item>[])
}

const method = z
  .string()
  .regex(/^[!#$%&'*+\-.^_`|~0-9A-Z]+$/, 'a method is written in upper case, like GET')
  .refine(
    (token) => token !== 'CONNECT' && token !== 'TRACE',
    'CONNECT and TRACE are never accepted',
  )

/** Arguments of a refinement: what `compile` throws is the problem. */
function compiles(
  compile: (text: string) => unknown,
): [(text: string) => boolean, { error: ErrorOf }] {
  const reason = (text: unknown): string | null => {
    try {
      compile(String(text))
      return null
    } catch (error) {
      return (error as Error).message
    }
  }
  return [(text) => reason(text) === null, { error: (issue) => reason(issue.input) ?? '' }]
}

type ErrorOf = (issue: { readonly input?: unknown }) => string
type ConditionKind = ValueCondition['kind']

const CONDITION_EXPECTED =
  'an exact value, or one of { prefix }, { regex }, { present: true }, { absent: true }'

const valueConditionObject = z
  .strictObject({
    prefix: z.string().min(1).optional().describe('The value begins with this.'),
    regex: z
      .string()
      .refine(...compiles((text) => new LinearRegExp(text)))
      .optional()
      .describe(
        'The value matches this regular expression (RE2 syntax), somewhere unless it holds `^` and `$`.',
      ),
    present: z.literal(true).optional().describe('It is there, whatever its value.'),
    absent: z.literal(true).optional().describe('It is not there.'),
  })
  .transform((given, ctx): { kind: ConditionKind; value: string } => {
    const kinds = (['prefix', 'regex', 'present', 'absent'] as const).filter(
      (kind) => given[kind] !== undefined,
    )
    const kind = kinds[0]
    if (kind === undefined || kinds.length > 1) {
      if (!hasUnknownKeys(ctx)) refuse(ctx, 'a condition says one thing', CONDITION_EXPECTED)
      return { kind: 'present', value: '' }
    }
    const value = given[kind]
    return { kind, value: typeof value === 'string' ? value : '' }
  })

const valueCondition = z.union([
  z
    .string()
    .transform((value): { kind: ConditionKind; value: string } => ({ kind: 'exact', value })),
  valueConditionObject,
])

/** The fields of a match, each of which may stand on the route itself or under `match`. */
export const matchFields = {
  host: oneOrMore(hostPattern())
    .optional()
    .describe('A host or several, exact or `*.domain`, for any port. Default: every host.'),
  path: z
    .string()
    .refine(...compiles(parsePathPattern))
    .optional()
    .describe(
      '`/literal`, `/users/{id}`, `/files/*` (that path and all below it), or `~` and a regular expression (RE2 syntax). Default: every path.',
    ),
  methods: oneOrMore(method).optional().describe('Methods in upper case. Default: every method.'),
  headers: z
    .record(fieldName(), valueCondition)
    .optional()
    .describe(
      'Headers a request must have: an exact value, or `{ prefix | regex | present | absent }`.',
    ),
  query: z
    .record(z.string().min(1), valueCondition)
    .optional()
    .describe('Query parameters a request must have, written like `headers`.'),
  clientIp: oneOrMore(network())
    .optional()
    .describe('Addresses or networks the client must be in.'),
}

type MatchOutput = z.output<z.ZodObject<typeof matchFields>>
const MATCH_KEYS = Object.keys(matchFields) as (keyof MatchOutput)[]

function conditions(map: MatchOutput['headers']): ValueCondition[] {
  return Object.entries(map ?? {}).map(([name, condition]) => ({ name, ...condition }))
}

/** What a route asks of a request, as the router takes it. */
export type MatchDocument = Omit<RouteEntry<unknown>, 'id' | 'value'>

/** Brings the two ways of writing a match into the one that the router takes. */
export function normaliseMatch(
  route: MatchOutput & { match?: MatchOutput | undefined; priority: number },
  ctx: z.core.$RefinementCtx,
): MatchDocument {
  for (const key of MATCH_KEYS) {
    if (route[key] !== undefined && route.match?.[key] !== undefined) {
      refuse(ctx, `\`${key}\` stands both on the route and under \`match\`; keep one`)
    }
  }
  const { host, path, methods, headers, query, clientIp } = { ...route, ...route.match }
  return {
    hosts: host ?? [],
    path: path ?? null,
    methods: methods ?? [],
    headers: conditions(headers),
    query: conditions(query),
    clientIps: clientIp ?? [],
    priority: route.priority,
  }
}
