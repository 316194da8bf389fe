// Tables of settings out of JSON Schemas: one per map of settings, nested ones in sections of their own.
import { stringify } from 'yaml'
import { z } from 'zod'
import { type JsonSchema, settingsJsonSchema } from '../../src/config/json-schema.ts'
import { byteSize, durationMs } from '../../src/lib/units.ts'
import { definePolicy } from '../../src/proxy/pipeline/policy.ts'

/** One map of settings: where it stands in a file, what it says of itself, its table. */
export interface SettingsSection {
  /** Like `services.NAME.tls`; '' for the root. */
  readonly path: string
  readonly description: string
  readonly table: string
}

/** Patterns that have a name of their own. */
const NAMED_PATTERNS = new Map(
  Object.entries(
    settingsJsonSchema(
      definePolicy({
        name: 'patterns',
        summary: '',
        settings: z.strictObject({ duration: durationMs(), size: byteSize() }),
        examples: [],
        create: () => ({}),
      }),
    ).properties ?? {},
  ).map(([name, { pattern }]) => [pattern, name]),
)

/** The table of a map, then those of the maps within. `seen` spares what is the same in two places. */
export function settingsSections(
  schema: JsonSchema,
  path = '',
  seen: Map<string, string> = new Map(),
): SettingsSection[] {
  const sections: SettingsSection[] = []
  for (const found of mapsOf(schema, path)) {
    const key = JSON.stringify(found.schema.properties)
    if (seen.has(key)) continue
    seen.set(key, found.path)
    const { properties = {} } = found.schema
    sections.push({
      path: found.path,
      description: path === found.path ? '' : (schema.description ?? ''),
      table: settingsTable(found.schema),
    })
    for (const [name, property] of Object.entries(properties)) {
      const inner = found.path === '' ? name : `${found.path}.${name}`
      sections.push(...settingsSections(property, inner, seen))
    }
  }
  return sections
}

/** One map of settings as a table. */
export function settingsTable({ properties = {}, required = [] }: JsonSchema): string {
  const rows = Object.entries(properties).map(([name, property]) => [
    `\`${name}\``,
    typeText(property),
    required.includes(name) ? '_required_' : defaultText(property),
    cell(property.description ?? ''),
  ])
  if (rows.length === 0) return 'It has no settings.'
  const head = ['Setting', 'Value', 'Default', 'Meaning']
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')
}

/** The maps with fixed keys that a value may be, through lists, named entries and alternatives. */
function mapsOf(schema: JsonSchema, path: string): { path: string; schema: JsonSchema }[] {
  if (schema.properties !== undefined) return [{ path, schema }]
  const inner: { path: string; schema: JsonSchema }[] = []
  for (const branch of schema.anyOf ?? []) inner.push(...mapsOf(branch, path))
  if (schema.items !== undefined) inner.push(...mapsOf(schema.items, path))
  if (isSchema(schema.additionalProperties))
    inner.push(...mapsOf(schema.additionalProperties, `${path}.NAME`))
  return inner
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null
}

function typeText(schema: JsonSchema): string {
  return [...new Set(kinds(schema))].join(' or ')
}

function kinds(schema: JsonSchema): string[] {
  if (schema.anyOf !== undefined) return schema.anyOf.flatMap((branch) => kinds(branch))
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => `\`${value}\``)
  if ('const' in schema) return [`\`${schema.const}\``]
  if (schema.$ref === '#/$defs/use') return ['[policy](policies.md)']
  switch (schema.type) {
    case 'array':
      return [`list of ${typeText(schema.items ?? {})}`]
    case 'boolean':
      return ['`true`', '`false`']
    case 'integer':
    case 'number':
      return [`number${rangeText(schema)}`]
    case 'object':
      return [
        isSchema(schema.additionalProperties)
          ? `map of names to ${typeText(schema.additionalProperties)}`
          : 'map',
      ]
    case 'string':
      return [NAMED_PATTERNS.get(schema.pattern) ?? 'text']
    default:
      return ['anything']
  }
}

function rangeText({ minimum, maximum }: JsonSchema): string {
  const isBounded = typeof maximum === 'number' && maximum < Number.MAX_SAFE_INTEGER
  if (typeof minimum === 'number' && isBounded) return ` from ${minimum} to ${maximum}`
  if (typeof minimum === 'number' && minimum > Number.MIN_SAFE_INTEGER) return ` from ${minimum}`
  return ''
}

function defaultText({ default: value }: JsonSchema): string {
  if (value === undefined) return ''
  const isEmpty = typeof value === 'object' && value !== null && Object.keys(value).length === 0
  // That a map of settings may be left out says nothing; an empty list does.
  if (isEmpty && !Array.isArray(value)) return ''
  return `\`${inlineYaml(value)}\``
}

/** A value as one line of YAML. */
export function inlineYaml(value: unknown): string {
  return stringify(value, {
    collectionStyle: 'flow',
    lineWidth: 0,
    flowCollectionPadding: true,
  }).trimEnd()
}

/** Text that may stand in a cell of a table. */
export function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}
