// Whether a signature covers what it must. Some parts of a request say the same as others.
import type { InnerList } from 'structured-headers'

/** Each part with the sets of others that cover it as well. */
const EQUIVALENTS: Readonly<Record<string, readonly (readonly string[])[]>> = {
  '@target-uri': [
    ['@authority', '@request-target'],
    ['@authority', '@path', '@query'],
  ],
  '@request-target': [['@target-uri'], ['@path', '@query']],
  '@authority': [['@target-uri']],
  '@scheme': [['@target-uri']],
  '@path': [['@target-uri'], ['@request-target']],
  '@query': [['@target-uri'], ['@request-target']],
}

/** The first of the parts that is not covered; null if all are. */
export function uncovered([items]: InnerList, required: readonly string[]): string | null {
  const covered = new Set<string>()
  for (const [name, parameters] of items) {
    // One member of a field is not the field, one parameter of a query not the query.
    if (typeof name === 'string' && !parameters.has('key') && !parameters.has('name')) {
      covered.add(name)
    }
  }
  for (const part of required) {
    const others = EQUIVALENTS[part] ?? []
    if (covered.has(part) || others.some((set) => set.every((name) => covered.has(name)))) continue
    return part
  }
  return null
}
