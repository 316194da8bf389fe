// What the reloads came to, for the terminal and for bench/results.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Machine } from '../load/machine.ts'
import { CHANGES, SPREAD_S } from './configurations.ts'
import type { Sample } from './subject.ts'

const GROWTH_MAX = 1.05

/** Bytes in the second tenth of the samples and in the last. */
export interface Growth {
  readonly early: number
  readonly late: number
}

/** All of a run with one kind of configuration. */
export interface Outcome {
  readonly kind: 'yaml' | 'ts'
  readonly count: number
  readonly tookMs: number
  readonly durationsMs: readonly number[]
  readonly requests: number
  readonly requestMs: readonly number[]
  readonly failures: readonly string[]
  /** Whether no other gateway process took over. */
  readonly isSameProcess: boolean
  readonly sockets: number
  /** WebSockets that ended before their route changed. */
  readonly closed: number
  readonly messages: number
  readonly lost: number
  /** Resident memory. */
  readonly memory: Growth
  /** What the JavaScript heaps of all threads hold. */
  readonly heaps: Growth
  /** Samples at rest. */
  readonly before: Sample
  readonly after: Sample
  /** WebSockets that ended in each tenth of the time, after their route changed. */
  readonly spread: readonly number[]
  readonly said: readonly string[]
}

/** What should not be; empty when all is well. */
export function problemsOf(outcome: Outcome): string[] {
  const { before, after, failures, spread, sockets } = outcome
  const least = sockets / 20
  const problems: [boolean, string][] = [
    [failures.length > 0, `requests failed, such as: ${failures[0]}`],
    [outcome.closed > 0, 'WebSockets were closed'],
    [outcome.lost > 0, 'messages were lost'],
    [!outcome.isSameProcess, 'the gateway process was replaced'],
    [growth(outcome.memory) > GROWTH_MAX, 'memory grew'],
    [before.threads !== after.threads, 'threads are left'],
    [before.otherDescriptors !== after.otherDescriptors, 'descriptors are left'],
    [spread.reduce((sum, one) => sum + one, 0) !== sockets, 'not all WebSockets ended'],
    [spread.some((one) => one < least || one > 3 * least), 'they did not end evenly'],
    [outcome.said.length > 0, `the gateway refused: ${outcome.said[0]}`],
  ]
  return problems.flatMap(([isSo, problem]) => (isSo ? [problem] : []))
}

/** Prints the outcome and writes it to bench/results. */
export function writeReport(machine: Machine, outcomes: readonly Outcome[]): void {
  const date = new Date().toISOString().slice(0, 10)
  const lines = [
    `# Reloads, ${date}`,
    '',
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB, Linux ${machine.kernel}, ` +
      `Node.js ${machine.node}; load before: ${machine.loadBefore.toFixed(1)}.`,
    '',
    `\`gatehouse run\` with two threads, reloaded by SIGHUP and by writing the file, one right after the ` +
      `other, to ${CHANGES.length} configurations in turn (${CHANGES.join(', ')}).`,
    '',
    ...table(outcomes),
    '',
    `Ends of the WebSockets in each tenth of ${SPREAD_S} s, after their own route changed:`,
    '',
    ...outcomes.map(({ kind, spread }) => `- ${kind}: ${spread.join(', ')}`),
    '',
    ...outcomes.map((outcome) => {
      const problems = problemsOf(outcome)
      return `- ${outcome.kind}: ${problems.length === 0 ? 'all is well' : `**${problems.join('; ')}**`}`
    }),
    '',
  ]
  const folder = join(import.meta.dirname, '../results')
  mkdirSync(folder, { recursive: true })
  const kinds = outcomes.map(({ kind }) => kind)
  const name = kinds.length === 1 ? `reloads-${kinds[0]}` : 'reloads'
  writeFileSync(join(folder, `${date}-${name}.md`), lines.join('\n'))
  console.log(lines.join('\n'))
}

function table(outcomes: readonly Outcome[]): string[] {
  const rows: [string, (outcome: Outcome) => string][] = [
    ['reloads', ({ count, tookMs }) => `${whole(count)} in ${(tookMs / 60_000).toFixed(1)} min`],
    ['until live, p50 and p99', ({ durationsMs }) => both(durationsMs)],
    ['requests', ({ requests }) => whole(requests)],
    ['failed', ({ failures }) => whole(failures.length)],
    ['request, p50 and p99', ({ requestMs }) => both(requestMs)],
    ['WebSockets', ({ sockets }) => whole(sockets)],
    ['closed', ({ closed }) => whole(closed)],
    ['messages, lost', ({ messages, lost }) => `${whole(messages)}, ${whole(lost)}`],
    ['memory, second and last tenth', ({ memory }) => grown(memory)],
    ['JavaScript heaps', ({ heaps }) => grown(heaps)],
    ['threads at rest', ({ before, after }) => `${before.threads}, ${after.threads}`],
    ['sockets at rest', ({ before, after }) => `${before.sockets}, ${after.sockets}`],
    [
      'other descriptors at rest',
      ({ before, after }) => `${before.otherDescriptors}, ${after.otherDescriptors}`,
    ],
  ]
  return [
    `| | ${outcomes.map(({ kind }) => kind).join(' | ')} |`,
    `| --- |${outcomes.map(() => ' ---: |').join('')}`,
    ...rows.map(([title, cell]) => `| ${title} | ${outcomes.map(cell).join(' | ')} |`),
  ]
}

function both(durationsMs: readonly number[]): string {
  const sorted = durationsMs.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? Number.NaN
  return `${at(0.5).toFixed(0)}, ${at(0.99).toFixed(0)} ms`
}

function growth({ early, late }: Growth): number {
  return late / early
}

function grown(of: Growth): string {
  return `${mb(of.early)}, ${mb(of.late)} MB (${growth(of).toFixed(3)})`
}

function mb(bytes: number): string {
  return (bytes / 1_048_576).toFixed(1)
}

function whole(value: number): string {
  return value.toLocaleString('en-US')
}
