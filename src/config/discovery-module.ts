// Modules that find endpoints: imported, and held against their contract and their settings.
import type { DiscoveryDefinition } from './define-discovery.ts'
import { findingsOf, rememberKnownKeys } from './issue.ts'
import { type DataPath, errorAt, type Finding } from './problem.ts'
import type { Document } from './schema.ts'
import { reasonOf } from './sources/module-source.ts'

/** Imports a module by URL; its code runs, and stays in memory. @throws Error when it is no source. */
export async function importDiscovery(url: string): Promise<DiscoveryDefinition> {
  let module: { readonly default?: unknown }
  try {
    module = await import(url)
  } catch (error) {
    throw new Error(`the module could not be loaded: ${reasonOf(error)}`)
  }
  const { settings, watch } = (module.default ?? {}) as Partial<DiscoveryDefinition>
  const hasSchema = typeof settings === 'object' && settings !== null && '_zod' in settings
  if (!hasSchema || typeof watch !== 'function') {
    throw new Error('the module does not `export default defineDiscovery({ settings, watch })`')
  }
  return module.default as DiscoveryDefinition
}

/** What is wrong with the modules that services name, and with what these are given. */
export async function checkDiscoveryModules(document: Document): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const { name, discover } of document.services) {
    if (discover?.kind !== 'module') continue
    const path: DataPath = ['services', name, 'discover']
    try {
      const { settings } = await importDiscovery(discover.module)
      const result = await settings.safeParseAsync(discover.settings, { error: rememberKnownKeys })
      for (const issue of result.error?.issues ?? []) {
        findings.push(...findingsOf(issue, discover.settings).map(below([...path, 'settings'])))
      }
    } catch (error) {
      findings.push(errorAt([...path, 'module'], (error as Error).message))
    }
  }
  return findings
}

function below(path: DataPath): (finding: Finding) => Finding {
  return (finding) => ({ ...finding, path: [...path, ...finding.path] })
}
