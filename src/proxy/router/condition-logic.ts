// What two routes' conditions mean for each other: can one request hold both, does one follow from
// the other. Where that cannot be known (two regular expressions), the answer is the careful one.
import { networkContains } from '../../lib/ip-prefix-tree.ts'
import type { CompiledRoute } from './compiled-route.ts'
import type { CompiledCondition } from './conditions.ts'

/** Whether it is certain that no request holds the conditions of both; host and path are not looked at. */
export function conditionsExclude(a: CompiledRoute<unknown>, b: CompiledRoute<unknown>): boolean {
  const ours = a.conditions
  const theirs = b.conditions
  if (
    ours.methods.length > 0 &&
    theirs.methods.length > 0 &&
    !ours.methods.some((method) => theirs.methods.includes(method))
  ) {
    return true
  }
  if (anyExcludes(ours.headers, theirs.headers) || anyExcludes(ours.query, theirs.query))
    return true
  const here = a.entry.clientIps
  const there = b.entry.clientIps
  if (here.length === 0 || there.length === 0) return false
  return !here.some((x) => there.some((y) => networkContains(x, y) || networkContains(y, x)))
}

/** Whether it is certain that every request that holds the conditions of `inner` holds those of `outer`. */
export function conditionsCover(
  outer: CompiledRoute<unknown>,
  inner: CompiledRoute<unknown>,
): boolean {
  const { methods, headers, query } = outer.conditions
  const wanted = inner.conditions
  if (methods.length > 0) {
    if (wanted.methods.length === 0) return false
    if (!wanted.methods.every((method) => methods.includes(method))) return false
  }
  if (!headers.every((it) => wanted.headers.some((other) => follows(it, other)))) return false
  if (!query.every((it) => wanted.query.some((other) => follows(it, other)))) return false
  const networks = outer.entry.clientIps
  if (networks.length === 0) return true
  const inside = inner.entry.clientIps
  return inside.length > 0 && inside.every((x) => networks.some((y) => networkContains(y, x)))
}

function anyExcludes(
  ours: readonly CompiledCondition[],
  theirs: readonly CompiledCondition[],
): boolean {
  return ours.some((a) =>
    theirs.some((b) => a.name === b.name && (excludes(a, b) || excludes(b, a))),
  )
}

/** Whether no value holds both; one direction of a symmetric question. */
function excludes(a: CompiledCondition, b: CompiledCondition): boolean {
  if (a.kind === 'absent') return b.kind !== 'absent'
  if (a.kind === 'exact') return !b.holds(a.value)
  return (
    a.kind === 'prefix' &&
    b.kind === 'prefix' &&
    !a.value.startsWith(b.value) &&
    !b.value.startsWith(a.value)
  )
}

/** Whether `wanted` holds wherever `given` does. */
function follows(wanted: CompiledCondition, given: CompiledCondition): boolean {
  if (wanted.name !== given.name) return false
  switch (given.kind) {
    case 'exact':
      return wanted.holds(given.value)
    case 'absent':
      return wanted.kind === 'absent'
    case 'prefix':
      if (wanted.kind === 'prefix') return given.value.startsWith(wanted.value)
      return wanted.kind === 'present'
    case 'regex':
      return wanted.kind === 'present' || (wanted.kind === 'regex' && wanted.value === given.value)
    case 'present':
      return wanted.kind === 'present'
  }
}
