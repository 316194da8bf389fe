// What the measurements are held against. A budget whose parts were not measured says nothing.
import { medianOf, type ScenarioResult } from './report.ts'
import type { ScenarioName } from './subject.ts'

/** One budget: a ratio that was measured, and what it may be. */
export interface BudgetResult {
  readonly text: string
  readonly ratio: number
  readonly limit: number
  readonly isKept: boolean
}

/** Where a number stands: the scenario, who, and the metric. */
type Place = readonly [scenario: ScenarioName, subject: string, key: string]

interface Budget {
  readonly text: string
  readonly of: Place
  readonly to: Place
  readonly atMost?: number
  readonly atLeast?: number
}

const nginxCpu: Place = ['small-json', 'nginx', 'cpuMicros']
const gatehouseCpu: Place = ['small-json', 'gatehouse', 'cpuMicros']

const budgets: readonly Budget[] = [
  { text: 'CPU of a pass-through, to nginx', of: gatehouseCpu, to: nginxCpu, atMost: 1.5 },
  {
    text: 'CPU of node:http+undici, to Gatehouse',
    of: ['small-json', 'node:http+undici', 'cpuMicros'],
    to: gatehouseCpu,
    atLeast: 2.5,
  },
  {
    text: 'CPU with four policies, to bare nginx',
    of: ['policies', 'gatehouse', 'cpuMicros'],
    to: nginxCpu,
    atMost: 2,
  },
  {
    text: "CPU with the shop's chain, to bare nginx",
    of: ['shop-chain', 'gatehouse', 'cpuMicros'],
    to: ['shop-chain', 'nginx', 'cpuMicros'],
    atMost: 2,
  },
  {
    text: 'CPU with 10,000 routes, to 10',
    of: ['routes', 'gatehouse-10000-routes', 'cpuMicros'],
    to: ['routes', 'gatehouse-10-routes', 'cpuMicros'],
    atMost: 1.2,
  },
  {
    text: 'p99 at an equal offered load, to nginx',
    of: ['offered-load', 'gatehouse', 'p99Micros'],
    to: ['offered-load', 'nginx', 'p99Micros'],
    atMost: 2,
  },
  {
    text: 'Throughput of a 1 GB response, to nginx',
    of: ['stream-1gb', 'gatehouse', 'mbPerSecond'],
    to: ['stream-1gb', 'nginx', 'mbPerSecond'],
    atLeast: 0.8,
  },
]

/** Every budget that the results can be held against. */
export function heldAgainst(results: readonly ScenarioResult[]): BudgetResult[] {
  const read = ([name, subject, key]: Place): number => {
    const result = results.find(({ scenario }) => scenario.name === name)
    return result === undefined ? Number.NaN : medianOf(result, subject, key)
  }
  return budgets.flatMap(({ text, of, to, atMost, atLeast }) => {
    const ratio = read(of) / read(to)
    if (Number.isNaN(ratio)) return []
    const isKept = ratio <= (atMost ?? Number.POSITIVE_INFINITY) && ratio >= (atLeast ?? 0)
    return [{ text, ratio, limit: (atMost ?? atLeast)!, isKept }]
  })
}

/** The budgets as a Markdown list. */
export function budgetList(results: readonly ScenarioResult[]): string {
  const lines = heldAgainst(results).map(({ text, ratio, limit, isKept }) => {
    return `- ${text}: ${ratio.toFixed(2)}, budget ${limit}${isKept ? '' : ' **missed**'}`
  })
  return lines.join('\n')
}
