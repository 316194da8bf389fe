// From an object in a program to a document: for embedding, where no file has lines to point at.
import { policies as builtInPolicies } from '../policies/registry.ts'
import { withPlugins } from '../policies/with-plugins.ts'
import type { PolicyDefinition } from '../proxy/pipeline/policy.ts'
import { interpret } from './interpret.ts'
import { formatPath } from './problem.ts'
import type { Document, DocumentInput } from './schema.ts'

/** A configuration that cannot be used; `problems` has a line for each thing that is wrong. */
export class GatewayConfigurationError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`the configuration has ${problems.length} problem(s):\n  ${problems.join('\n  ')}`)
    this.name = 'GatewayConfigurationError'
    this.problems = problems
  }
}

/** How an object is loaded. */
export interface LoadObjectOptions {
  /** Policies beside the built-in ones. */
  readonly policies?: readonly PolicyDefinition[]
  /** Where relative paths start; the working directory by default. */
  readonly directory?: string
}

/** What came of it, with all policies that it can name. */
export interface LoadedObject {
  readonly document: Document
  readonly policies: readonly PolicyDefinition[]
}

/** Loads a configuration object. @throws GatewayConfigurationError with every problem at once. */
export async function loadObject(
  config: DocumentInput,
  options: LoadObjectOptions = {},
): Promise<LoadedObject> {
  const { document, findings, policies } = await interpret(structuredClone(config), {
    directory: options.directory ?? process.cwd(),
    env: process.env,
    policies: withPlugins(builtInPolicies, options.policies ?? []),
    isText: false,
  })
  const errors = findings.filter(({ severity }) => severity === 'error')
  if (document === null) {
    throw new GatewayConfigurationError(
      errors.map(({ path, message, suggestion }) => {
        const place = path.length === 0 ? '' : `${formatPath(path)}: `
        return `${place}${message}${suggestion === undefined ? '' : ` (did you mean ${suggestion}?)`}`
      }),
    )
  }
  return { document, policies }
}
