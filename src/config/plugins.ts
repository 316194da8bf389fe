// Policies that do not come with Gatehouse: modules named by `plugins`, local files or packages.
import type { PolicyDefinition } from '../proxy/pipeline/policy.ts'
import { moduleUrl } from './module-url.ts'
import { errorAt, type Finding } from './problem.ts'
import { reasonOf } from './sources/module-source.ts'

const POLICY_NAME = /^[a-z][a-z0-9-]{0,63}$/
const EXPORTS_EXPECTED =
  '`export default definePolicy({ ... })`, or `export const policies = [ ... ]`'

/** What the plugins of a configuration bring. */
export interface Plugins {
  readonly policies: readonly PolicyDefinition[]
  /** The URL of each module by what the configuration calls it. */
  readonly urls: ReadonlyMap<string, string>
  readonly findings: readonly Finding[]
}

/**
 * Imports the modules that `specifiers` name; relative ones start at `directory`. Their code runs, and
 * stays in memory. `builtIn` are the names that are taken.
 */
export async function loadPlugins(
  specifiers: unknown,
  directory: string,
  builtIn: readonly PolicyDefinition[],
): Promise<Plugins> {
  const policies: PolicyDefinition[] = []
  const urls = new Map<string, string>()
  const findings: Finding[] = []
  const owners = new Map(builtIn.map((policy) => [policy.name, 'Gatehouse itself']))
  const list: readonly unknown[] = Array.isArray(specifiers) ? specifiers : []
  for (const [index, specifier] of list.entries()) {
    if (typeof specifier !== 'string' || specifier === '') continue
    const fail = (message: string, expected?: string) => {
      findings.push(
        errorAt(['plugins', index], message, expected === undefined ? {} : { expected }),
      )
    }
    try {
      const url = moduleUrl(specifier, directory)
      urls.set(specifier, url)
      for (const policy of policiesOf(await import(url))) {
        const owner = owners.get(policy.name)
        if (owner !== undefined)
          fail(`its policy "${policy.name}" has a name that ${owner} uses already`)
        else {
          owners.set(policy.name, specifier)
          policies.push(policy)
        }
      }
    } catch (error) {
      const isShape = error instanceof ShapeError
      fail(
        isShape ? error.message : `the module could not be loaded: ${reasonOf(error)}`,
        isShape ? EXPORTS_EXPECTED : undefined,
      )
    }
  }
  return { policies, urls, findings }
}

/** Imports plugin modules by URL, as a document names them. @throws Error when one cannot be used */
export async function importPlugins(urls: readonly string[]): Promise<PolicyDefinition[]> {
  const modules = await Promise.all(urls.map((url) => import(url) as Promise<object>))
  return modules.flatMap((module) => policiesOf(module))
}

class ShapeError extends Error {}

function policiesOf(module: object): PolicyDefinition[] {
  const exported = module as { readonly default?: unknown; readonly policies?: unknown }
  const list = Array.isArray(exported.policies) ? exported.policies : [exported.default]
  if (list.length === 0 || list[0] === undefined)
    throw new ShapeError('the module exports no policy')
  return list.map((candidate) => {
    if (isPolicy(candidate)) return candidate
    throw new ShapeError('the module exports something that is not a policy')
  })
}

function isPolicy(value: unknown): value is PolicyDefinition {
  if (typeof value !== 'object' || value === null) return false
  const { name, settings, create } = value as Partial<PolicyDefinition>
  return (
    typeof name === 'string' &&
    POLICY_NAME.test(name) &&
    typeof settings === 'object' &&
    settings !== null &&
    '_zod' in settings &&
    typeof create === 'function'
  )
}
