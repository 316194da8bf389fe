// Checks of what should outlive a restart.
import { type Finding, warningAt } from '../problem.ts'
import type { CheckInput } from './input.ts'

/** A quota whose counts end with the process lets everybody begin anew at every restart. */
export function checkState(input: CheckInput): Finding[] {
  if (!input.isComplete || input.document.state.file !== null) return []
  const quota = input.uses().find(({ use }) => use.policy === 'quota')
  if (quota === undefined) return []
  return [
    warningAt(quota.path, 'the counts of quotas are lost at every restart', {
      expected: '`state: { file: quotas.db }`, an SQLite file that keeps them',
    }),
  ]
}
