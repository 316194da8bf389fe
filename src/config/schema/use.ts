// Uses of policies: `request-id`, `{ cors: {...}, when: ... }`, or the name of an entry of `policies`.
import { resolve } from 'node:path'
import { z } from 'zod'
import type { BuiltInPolicy } from '../../policies/registry.ts'
import type { PolicyDefinition } from '../../proxy/pipeline/policy.ts'
import { findingsOf, rememberKnownKeys } from '../issue.ts'
import { name, refuse, type SchemaContext } from './value.ts'

/** The options that every use of a policy takes beside the policy's own settings. */
export const useOptions = {
  when: z
    .string()
    .min(1, 'a condition is needed')
    .optional()
    .describe('CEL condition; the policy takes part only where it holds.'),
  mode: z
    .enum(['enforce', 'shadow'])
    .prefault('enforce')
    .describe('`shadow`: decide and count, but never act.'),
  id: name('a stage')
    .optional()
    .describe('Name in logs and metrics. Default: the name of the policy.'),
}

const optionsSchema = z.strictObject(useOptions)
const OPTION_NAMES: readonly string[] = Object.keys(useOptions)

/** One policy on one route, as written: an unresolved name, or a policy with its parsed settings. */
export type WrittenUse =
  | { readonly reference: string }
  | {
      readonly reference: null
      readonly policy: string
      readonly settings: unknown
      readonly when: string | null
      readonly mode: 'enforce' | 'shadow'
      readonly id: string | null
    }

interface UseOptions {
  readonly when?: string
  readonly mode?: 'enforce' | 'shadow'
  readonly id?: string
}

/** A policy that comes with Gatehouse, with its settings. */
type BuiltInUse<Policy> =
  Policy extends PolicyDefinition<infer Schema, infer Name>
    ? UseOptions & { readonly [Key in Name]: z.input<Schema> }
    : never

/** A policy of a plugin: its settings are checked when the configuration is loaded. */
type PluginUse = UseOptions & { readonly [Name in BuiltInPolicy['name']]?: never } & {
  readonly [plugin: string]: unknown
}

/** How a use is written in TypeScript. */
export type UseInput = string | BuiltInUse<BuiltInPolicy> | PluginUse

/** A stage's description: one policy on one route, everything resolved. */
export interface PolicyUse {
  readonly policy: string
  /** The output of the policy's own settings schema. */
  readonly settings: unknown
  readonly when: string | null
  readonly mode: 'enforce' | 'shadow'
  /** Unique among the stages of a route, the gateway-wide ones included. */
  readonly id: string
}

type Context = z.core.$RefinementCtx

/** Passes on what is wrong with a value that was parsed by itself; `path` is where it stands. */
function adopt(
  error: z.core.$ZodError,
  data: unknown,
  path: readonly string[],
  ctx: Context,
): void {
  for (const finding of error.issues.flatMap((issue) => findingsOf(issue, data))) {
    const { message, expected, suggestion, at } = finding
    ctx.addIssue({
      code: 'custom',
      path: [...path, ...finding.path],
      message,
      params: { expected, suggestion, atKey: at === 'key' },
    })
  }
}

function unknownPolicy(given: string, key: string | null, known: readonly string[], ctx: Context) {
  ctx.addIssue({
    code: 'custom',
    message: `there is no policy named "${given}"`,
    params: { given, known },
    ...(key === null ? {} : { path: [key], params: { given, known, atKey: true } }),
  })
}

function parseUse(
  value: unknown,
  policies: ReadonlyMap<string, PolicyDefinition>,
  { names, directory }: SchemaContext,
  ctx: Context,
): WrittenUse {
  if (typeof value === 'string') return parseShort(value, policies, names, ctx)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    refuse(
      ctx,
      'this is not the use of a policy',
      'a name, or an object with one policy, like { cors: {} }',
    )
    return z.NEVER
  }
  const keys = Object.keys(value).filter((key) => !OPTION_NAMES.includes(key))
  const key = keys.find((candidate) => policies.has(candidate)) ?? keys[0]
  if (key === undefined) {
    refuse(ctx, 'no policy is named here', 'an object with one policy, like { cors: {} }')
    return z.NEVER
  }
  const given = value as Record<string, unknown>
  const definition = policies.get(key)
  const written = Object.entries(given).filter(([name]) => OPTION_NAMES.includes(name))
  const options = optionsSchema.safeParse(Object.fromEntries(written))
  if (!options.success) adopt(options.error, given, [], ctx)
  for (const other of keys) {
    if (other === key) continue
    if (policies.has(other)) {
      ctx.addIssue({
        code: 'custom',
        path: [other],
        message: `one entry uses one policy; give "${other}" an entry of its own`,
        params: { atKey: true },
      })
    } else unknownPolicy(other, other, [...OPTION_NAMES, ...policies.keys()], ctx)
  }
  if (definition === undefined) {
    unknownPolicy(key, key, [...policies.keys(), ...OPTION_NAMES], ctx)
    return z.NEVER
  }
  const settings = definition.settings.safeParse(given[key] ?? {}, { error: rememberKnownKeys })
  if (!settings.success) adopt(settings.error, given[key] ?? {}, [key], ctx)
  if (!options.success || !settings.success) return z.NEVER
  const foreign = findForeign(settings.data, key)
  if (foreign !== null) {
    refuse(
      ctx,
      `the schema of "${key}" gives ${foreign}: settings are plain data, the rest is made in \`create\``,
    )
  }
  const { when = null, mode, id = null } = options.data
  const placed = definition.resolveFiles?.(settings.data, (file) => resolve(directory, file))
  return { reference: null, policy: key, settings: placed ?? settings.data, when, mode, id }
}

/** What in a policy's settings JSON could not hold, in words; null when there is nothing. */
function findForeign(value: unknown, path: string): string | null {
  if (value === null || value === undefined) return null
  if (typeof value === 'number') return Number.isFinite(value) ? null : `${value} at ${path}`
  if (typeof value !== 'object') {
    return typeof value === 'string' || typeof value === 'boolean'
      ? null
      : `a ${typeof value} at ${path}`
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (!Array.isArray(value) && prototype !== null && prototype !== Object.prototype) {
    return `an instance of ${value.constructor.name} at ${path}`
  }
  for (const [key, item] of Object.entries(value)) {
    const found = findForeign(item, `${path}.${key}`)
    if (found !== null) return found
  }
  return null
}

function parseShort(
  given: string,
  policies: ReadonlyMap<string, PolicyDefinition>,
  names: readonly string[],
  ctx: Context,
): WrittenUse {
  const definition = policies.get(given)
  if (definition === undefined) {
    if (names.includes(given)) return { reference: given }
    unknownPolicy(given, null, [...names, ...policies.keys()], ctx)
    return z.NEVER
  }
  const settings = definition.settings.safeParse({})
  if (settings.success) {
    return {
      reference: null,
      policy: given,
      settings: settings.data,
      when: null,
      mode: 'enforce',
      id: null,
    }
  }
  const missing = [...new Set(settings.error.issues.map((issue) => issue.path.join('.')))].join(
    ', ',
  )
  refuse(ctx, `the policy "${given}" needs settings: ${missing}`, `{ ${given}: { ... } }`)
  return z.NEVER
}

/** The schema of one entry of any `use` list; the JSON Schema of it is written by json-schema.ts. */
export function useSchema(context: SchemaContext) {
  const policies = new Map(context.policies.map((policy) => [policy.name, policy]))
  return z
    .custom<UseInput>(() => true)
    .transform((value, ctx): WrittenUse => parseUse(value, policies, context, ctx))
    .meta({ gatehouse: 'use' })
}

export type UseSchema = ReturnType<typeof useSchema>

/** Names what `use` entries say by name, and gives every stage its id. */
export class UseResolver {
  readonly #named: ReadonlyMap<string, WrittenUse>
  readonly #known: readonly string[]

  constructor(named: Readonly<Record<string, WrittenUse>>, policies: readonly PolicyDefinition[]) {
    this.#named = new Map(Object.entries(named))
    this.#known = [...this.#named.keys(), ...policies.map((policy) => policy.name)]
  }

  /**
   * Resolves one list. Problems go to `ctx` at `path`. `before` holds the stages that run earlier on
   * the same route, so that ids stay unique; an id taken twice by default gets a number.
   */
  resolve(
    uses: readonly WrittenUse[],
    path: readonly PropertyKey[],
    before: readonly PolicyUse[],
    ctx: Context,
  ): PolicyUse[] {
    const taken = new Set(before.map((use) => use.id))
    const result: PolicyUse[] = []
    for (const [index, written] of uses.entries()) {
      const use = this.#follow(written, [...path, index], ctx)
      if (use === null) continue
      if (use.id !== null && taken.has(use.id)) {
        ctx.addIssue({
          code: 'custom',
          path: [...path, index],
          message: `the id "${use.id}" is already that of an earlier policy on this route`,
        })
      }
      const id = use.id ?? freeId(use.name, taken)
      taken.add(id)
      const { policy, settings, when, mode } = use
      result.push({ policy, settings, when, mode, id })
    }
    return result
  }

  #follow(written: WrittenUse, path: readonly PropertyKey[], ctx: Context) {
    if (written.reference === null) return { ...written, name: written.policy }
    const target = this.#named.get(written.reference)
    if (target === undefined) {
      ctx.addIssue({
        code: 'custom',
        path: [...path],
        message: `there is no policy named "${written.reference}"`,
        params: { given: written.reference, known: this.#known },
      })
      return null
    }
    return target.reference === null ? { ...target, name: written.reference } : null
  }
}

function freeId(wanted: string, taken: ReadonlySet<string>): string {
  if (!taken.has(wanted)) return wanted
  let number = 2
  while (taken.has(`${wanted}-${number}`)) number++
  return `${wanted}-${number}`
}

/** `policies`: names for uses that are needed more than once. */
export function namedPoliciesSchema(context: SchemaContext, use: UseSchema) {
  const builtIn = new Set(context.policies.map((policy) => policy.name))
  return z.record(name('a policy'), use).transform((named, ctx) => {
    for (const [key, use] of Object.entries(named)) {
      if (builtIn.has(key)) {
        ctx.addIssue({
          code: 'custom',
          path: [key],
          message: `"${key}" is the name of a policy itself; choose another`,
          params: { atKey: true },
        })
      } else if (use.reference !== null) {
        ctx.addIssue({
          code: 'custom',
          path: [key],
          message: `there is no policy named "${use.reference}"`,
          params: { given: use.reference, known: [...builtIn] },
        })
      }
    }
    return named
  })
}
