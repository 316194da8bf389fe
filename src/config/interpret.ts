// From plain data to a document, wherever the data came from: references, plugins, schema, checks.
import { withPlugins } from '../policies/with-plugins.ts'
import type { PolicyDefinition } from '../proxy/pipeline/policy.ts'
import { CheckInput } from './check/input.ts'
import { checkDocument } from './check.ts'
import { checkDiscoveryModules } from './discovery-module.ts'
import { loadPlugins } from './plugins.ts'
import { errorAt, type Finding, formatPath } from './problem.ts'
import { type Resolved, resolveReferences } from './references.ts'
import { isMap } from './remainder.ts'
import { zoneName } from './schema/endpoint.ts'
import type { Document } from './schema.ts'
import { secretPointers } from './secrets.ts'
import { validate } from './validate.ts'

/** What data is held against. */
export interface InterpretOptions {
  /** Absolute directory that relative paths start from. */
  readonly directory: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Policies beside those of plugins. */
  readonly policies: readonly PolicyDefinition[]
  /** Whether the data was written as text, which cannot read the environment in any other way. */
  readonly isText: boolean
}

/** What the data says. */
export interface Interpreted {
  /** Null when there is an error among the findings. */
  readonly document: Document | null
  readonly findings: readonly Finding[]
  /** All policies that the document can name. */
  readonly policies: readonly PolicyDefinition[]
  /** What references stand for; never to be shown. */
  readonly values: Resolved['values']
}

/** Understands data as far as possible; every problem is among the findings. */
export async function interpret(data: unknown, options: InterpretOptions): Promise<Interpreted> {
  const { directory, env, isText } = options
  const references = resolveReferences(data, { env, directory })
  const plugins = await loadPlugins(pluginsOf(references.data), directory, options.policies)
  const policies = withPlugins(options.policies, plugins.policies)
  const validated = validate(references, {
    policies,
    names: namesOf(references.data),
    directory,
    plugins: plugins.urls,
  })
  const { document } = validated
  const found = [...plugins.findings, ...validated.findings]
  if (document !== null) {
    const input = new CheckInput(document, validated, references, policies, isText)
    found.push(...checkDocument(input), ...(await checkDiscoveryModules(document)))
  }
  const zone = document?.zone ?? env.GATEHOUSE_ZONE ?? ''
  if (!zoneName().safeParse(zone).success && zone !== '') {
    found.push(errorAt(['zone'], 'GATEHOUSE_ZONE of the environment is not a name of a zone'))
  }
  // What is wrong with the text of a reference that leads nowhere is no problem of its own.
  const unresolved = new Set(references.findings.map(({ path }) => formatPath(path)))
  const findings = [
    ...references.findings,
    ...found.filter(({ path }) => !unresolved.has(formatPath(path))),
  ]
  const isUsable = document !== null && findings.every(({ severity }) => severity === 'warning')
  const { values } = references
  return {
    document: isUsable
      ? { ...document, zone: zone || null, secrets: secretPointers(document, values) }
      : null,
    findings,
    policies,
    values,
  }
}

function pluginsOf(data: unknown): unknown {
  return isMap(data) ? data.plugins : []
}

function namesOf(data: unknown): string[] {
  return isMap(data) && isMap(data.policies) ? Object.keys(data.policies) : []
}
