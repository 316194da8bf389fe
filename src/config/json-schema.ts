// The JSON Schema of a configuration file, from which editors complete and check.
import { z } from 'zod'
import type { PolicyDefinition } from '../proxy/pipeline/policy.ts'
import { useOptions } from './schema/use.ts'
import { documentSchema } from './schema.ts'

/** A node of a JSON Schema. */
export interface JsonSchema {
  [key: string]: unknown
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly anyOf?: readonly JsonSchema[]
  readonly items?: JsonSchema
  readonly type?: string
  readonly default?: unknown
  readonly description?: string
}

/** The schema of whole files, for a set of policies: what editors work with. */
export function documentJsonSchema(policies: readonly PolicyDefinition[]): JsonSchema {
  const { $schema, $defs, ...document } = plainJsonSchema(policies)
  return {
    $schema,
    title: 'Gatehouse configuration',
    ...allowReferences(document),
    $defs: {
      ...($defs as object | undefined),
      use: allowReferences(useJsonSchema(policies)),
      reference: REFERENCE,
    },
  }
}

/** The same without references and policies: what the reference page is made from. */
export function plainJsonSchema(policies: readonly PolicyDefinition[]): JsonSchema {
  return convert(documentSchema({ policies, names: [], directory: '/', plugins: new Map() }))
}

const REFERENCE: JsonSchema = {
  type: 'string',
  pattern: '\\$\\{(env|file):[^}]+\\}',
  description: 'A reference: `${env:NAME}`, `${env:NAME:-default}` or `${file:path}`.',
}

/** Lets a reference stand wherever not every text would do. */
function allowReferences(node: JsonSchema): JsonSchema {
  const inner = Object.fromEntries(
    Object.entries(node).map(([key, value]) => [
      key,
      key === 'default' ? value : descend(key, value),
    ]),
  ) as JsonSchema
  const isNarrow = inner.type !== 'object' && inner.type !== 'array' && inner.type !== undefined
  const takesAnyText =
    inner.type === 'string' && inner.pattern === undefined && inner.enum === undefined
  if (!isNarrow || takesAnyText || inner.const !== undefined) return inner
  const { description, default: byDefault, ...rest } = inner
  return {
    ...(description === undefined ? {} : { description }),
    ...(byDefault === undefined ? {} : { default: byDefault }),
    anyOf: [rest as JsonSchema, { $ref: '#/$defs/reference' }],
  }
}

/** Goes on to the schemas that one keyword holds; what `propertyNames` says is about keys. */
function descend(key: string, value: unknown): unknown {
  if (key === 'items' || key === 'additionalProperties') {
    return typeof value === 'object' ? allowReferences(value as JsonSchema) : value
  }
  if (key === 'anyOf' || key === 'allOf' || key === 'oneOf') {
    return (value as JsonSchema[]).map((branch) => allowReferences(branch))
  }
  if (key !== 'properties') return value
  const entries = Object.entries(value as Record<string, JsonSchema>)
  return Object.fromEntries(entries.map(([name, property]) => [name, allowReferences(property)]))
}

/** The schema of one policy's settings. */
export function settingsJsonSchema(policy: PolicyDefinition): JsonSchema {
  const { $schema: _, ...schema } = convert(policy.settings)
  return schema
}

/** The schema of the options that every use of a policy takes. */
export function useOptionsJsonSchema(): JsonSchema {
  const { $schema: _, ...schema } = convert(z.strictObject(useOptions))
  return schema
}

function convert(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, {
    io: 'input',
    target: 'draft-2020-12',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      const meta = z.globalRegistry.get(zodSchema as unknown as z.ZodType)
      if (meta?.gatehouse !== 'use') return
      for (const key of Object.keys(jsonSchema)) delete jsonSchema[key]
      jsonSchema.$ref = '#/$defs/use'
    },
  }) as JsonSchema
}

/** One entry of a `use` list: a name, or an object for each policy there is. */
function useJsonSchema(policies: readonly PolicyDefinition[]): JsonSchema {
  const options = useOptionsJsonSchema().properties ?? {}
  const names = policies.filter(({ settings }) => settings.safeParse({}).success)
  return {
    description: 'A policy, or the name of an entry of `policies`.',
    anyOf: [
      { type: 'string', enum: names.map(({ name }) => name) },
      { type: 'string', description: 'The name of an entry of `policies`.' },
      ...policies.map((policy) => ({
        type: 'object',
        title: policy.name,
        description: policy.summary,
        properties: {
          [policy.name]: { ...settingsJsonSchema(policy), description: policy.summary },
          ...options,
        },
        required: [policy.name],
        additionalProperties: false,
      })),
    ],
  }
}
