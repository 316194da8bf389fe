// Turns measurements into a table for the terminal and the two files in bench/results.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Machine } from './machine.ts'
import type { Metric, Scenario } from './scenarios.ts'

/** What one subject did in one round of a scenario. */
export interface Measurement {
  readonly subject: string
  readonly round: number
  readonly values: Readonly<Record<string, number>>
}

/** All rounds of a scenario. */
export interface ScenarioResult {
  readonly scenario: Scenario
  readonly measurements: readonly Measurement[]
}

/** All of a run. */
export interface Run {
  readonly startedAt: Date
  readonly machine: Machine
  readonly versions: Readonly<Record<string, string>>
  readonly options: Readonly<Record<string, unknown>>
  readonly results: readonly ScenarioResult[]
}

/** The middle value; of an even number, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length % 2 === 1) return sorted[middle]!
  return (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** The median of a metric over a subject's rounds; NaN if it has none. */
export function medianOf(result: ScenarioResult, subject: string, key: string): number {
  const rounds = result.measurements.filter((measurement) => measurement.subject === subject)
  return rounds.length === 0 ? Number.NaN : median(rounds.map(({ values }) => values[key]!))
}

/** A Markdown table of medians, with the ratio to nginx and the spread of what is compared. */
export function table(result: ScenarioResult): string {
  const { metrics } = result.scenario
  const compared = metrics[0]!
  const subjects = [...new Set(result.measurements.map(({ subject }) => subject))]
  const reference = medianOf(result, 'nginx', compared.key)
  const head = [
    '',
    compared.title,
    'to nginx',
    'min–max',
    ...metrics.slice(1).map(({ title }) => title),
  ]
  const rows = subjects.map((subject) => {
    const middle = medianOf(result, subject, compared.key)
    const ratio = Number.isNaN(reference) ? '–' : (middle / reference).toFixed(2)
    const others = metrics.slice(1).map((metric) => {
      return format(medianOf(result, subject, metric.key), metric)
    })
    return [subject, format(middle, compared), ratio, spread(result, subject, compared), ...others]
  })
  return markdown([head, ...rows])
}

function spread(result: ScenarioResult, subject: string, metric: Metric): string {
  const rounds = result.measurements.filter((measurement) => measurement.subject === subject)
  const values = rounds.map(({ values }) => values[metric.key]!)
  return `${format(Math.min(...values), metric)}–${format(Math.max(...values), metric)}`
}

function format(value: number, { digits }: Metric): string {
  return value.toLocaleString('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  })
}

/** A Markdown table; the first row is its head. */
export function markdown(rows: readonly string[][]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join(' | ')} |`
  const rule = widths.map((width, column) =>
    column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  )
  return [line(rows[0]!), line(rule), ...rows.slice(1).map(line)].join('\n')
}

/** The whole run as a page; `budgets` is a Markdown list, or empty. */
export function page(run: Run, budgets: string): string {
  const { machine, versions, options, startedAt } = run
  const programs = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  const sections = run.results.map((result) => `## ${result.scenario.title}\n\n${table(result)}`)
  return [
    `# Measured on ${startedAt.toISOString().slice(0, 16).replace('T', ' ')} UTC`,
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB; Linux ${machine.kernel}; Node.js ${machine.node}. ` +
      `Load average before: ${machine.loadBefore.toFixed(2)}.`,
    `Compared: ${programs.join(', ')}. Options: ${JSON.stringify(options)}.`,
    'Load, upstream and the program under test share the machine. CPU is user and system time of all ' +
      'processes of the program under test. Values are medians over the rounds, which alternate ' +
      'between the programs. Repeat with `npm run bench`.',
    ...sections,
    ...(budgets === '' ? [] : [`## Budgets\n\n${budgets}`]),
    '',
  ].join('\n\n')
}

/** Writes `<date>-<what>.md` and `.json`; resolves with the path of the page. */
export function writeResults(run: Run, budgets: string, folder: string, what: string): string {
  const name = join(folder, `${run.startedAt.toISOString().slice(0, 10)}-${what}`)
  const results = run.results.map(({ scenario, measurements }) => ({
    scenario: scenario.name,
    title: scenario.title,
    measurements,
  }))
  mkdirSync(folder, { recursive: true })
  writeFileSync(`${name}.json`, `${JSON.stringify({ ...run, results }, null, 2)}\n`)
  writeFileSync(`${name}.md`, page(run, budgets))
  return `${name}.md`
}
