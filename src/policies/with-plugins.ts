// The policies of a gateway with plugins: those that find out who calls may be alternatives of any-of.
import type { PolicyDefinition } from '../proxy/pipeline/policy.ts'
import { anyOf } from './any-of/any-of.ts'

/** All of them; `own` are the built-in ones, or what stands in their place. */
export function withPlugins(
  own: readonly PolicyDefinition[],
  plugins: readonly PolicyDefinition[],
): PolicyDefinition[] {
  const all = [...own, ...plugins]
  const further = plugins.filter(isAlternative)
  if (further.length === 0) return all
  const alternatives = [
    ...own.filter(isAlternative),
    // As everywhere, `explain` runs no foreign code that does not say that it may.
    ...further.map((policy): PolicyDefinition => ({ offline: false, ...policy })),
  ]
  return all.map((policy) => (policy.name === ANY_OF ? anyOf(alternatives) : policy))
}

const ANY_OF = 'any-of'

function isAlternative({ name, provides }: PolicyDefinition): boolean {
  return name !== ANY_OF && provides?.includes('consumer') === true
}
