// The results of the fault suite as tables.
import type { Machine } from '../load/machine.ts'
import { markdown } from '../load/report.ts'
import type { Outage } from './all-of-three.ts'
import { isBounded, type Measured } from './one-of-three.ts'

const ONE_HEAD = [
  'one of three',
  'balancer',
  'errors in the first 750 ms',
  'errors after',
  'p99 before',
  'p99 after',
  'slowest',
  'share of the bad one',
  'back after',
]
const SHORT_HEAD = ['one of three', 'errors', 'p99 before', 'p99 after', 'back after']
const ALL_HEAD = [
  'all of three',
  'breaker',
  'answers',
  'p99',
  'opened after',
  'p99 while open',
  'requests',
  'attempts',
  'allowed',
]

const ms = (value: number): string => `${value.toFixed(0)} ms`
const seconds = (value: number | null): string =>
  value === null ? '–' : `${(value / 1000).toFixed(1)} s`
const orNone = (value: number, text: string): string => (Number.isNaN(value) ? '–' : text)

/** A row for each balancer and fault. */
export function oneTable(all: readonly Measured[]): string {
  return markdown([
    ONE_HEAD,
    ...all.map((measured) => [
      measured.fault.name,
      measured.balancer.name,
      `${measured.noticing.errors} of ${measured.noticing.requests}`,
      `${measured.errors} of ${measured.requests}`,
      ms(measured.p99BeforeMs),
      ms(measured.p99Ms) + (isBounded(measured) ? '' : ' *'),
      ms(measured.maxMs),
      orNone(measured.badShare, `${(measured.badShare * 100).toFixed(1)} %`),
      seconds(measured.recoveryMs),
    ]),
  ])
}

/** A row for each fault: all balancers together, at their worst. Where p99 is not bounded for one, it is left out. */
export function shortTable(all: readonly Measured[]): string {
  const faults = [...new Set(all.map(({ fault }) => fault))]
  const rows = faults.map((fault) => {
    const of = all.filter((measured) => measured.fault === fault)
    const bounded = of.filter(isBounded)
    const names = bounded.length < of.length ? bounded.map(({ balancer }) => balancer.name) : []
    const back = of.map(({ recoveryMs }) => recoveryMs ?? Number.POSITIVE_INFINITY)
    return [
      names.length === 0 ? fault.name : `${fault.name} (p99 of ${names.join(', ')})`,
      `${sum(of, 'errors')} of ${sum(of, 'requests')}`,
      ms(Math.max(...bounded.map(({ p99BeforeMs }) => p99BeforeMs))),
      ms(Math.max(...bounded.map(({ p99Ms }) => p99Ms))),
      `${seconds(Math.min(...back))} to ${seconds(Math.max(...back))}`,
    ]
  })
  return markdown([SHORT_HEAD, ...rows])
}

function sum(all: readonly Measured[], what: 'errors' | 'requests'): number {
  return all.reduce((total, measured) => total + measured[what], 0)
}

/** A row for each fault of all three. */
export function allTable(all: readonly Outage[]): string {
  return markdown([
    ALL_HEAD,
    ...all.map((outage) => [
      outage.fault.name,
      outage.hasBreaker ? 'yes' : 'no',
      Object.entries(outage.statuses)
        .map(([status, count]) => `${count} × ${status}`)
        .join(', '),
      ms(outage.p99Ms),
      seconds(outage.openedMs),
      orNone(outage.p99OpenMs, ms(outage.p99OpenMs)),
      String(outage.requests),
      orNone(outage.attempts, String(outage.attempts)),
      String(outage.attemptsMax),
    ]),
  ])
}

/** A whole run. */
export interface Run {
  readonly startedAt: Date
  readonly machine: Machine
  readonly pauseMs: PauseMs
  readonly ones: readonly Measured[]
  readonly outages: readonly Outage[]
  readonly missed: readonly string[]
}

/** How long the process that is clients and instances could not run. */
export interface PauseMs {
  readonly p99: number
  readonly max: number
}

/** Says how far the machine itself is in the numbers. */
export function pauseText({ p99, max }: PauseMs): string {
  return (
    `Clients and instances share a process; its own event loop was late by ${ms(p99)} at p99 and ${ms(max)} at most. ` +
    'That is in all latencies, and with more than an attempt may take, the machine is too busy for this.'
  )
}

/** The whole page. */
export function page({ startedAt, machine, pauseMs, ones, outages, missed }: Run): string {
  return [
    `# Faults, measured on ${startedAt.toISOString().slice(0, 16).replace('T', ' ')} UTC`,
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB; Linux ${machine.kernel}; Node.js ${machine.node}. ` +
      `Load average before: ${machine.loadBefore.toFixed(2)}.`,
    'Real sockets: a gateway with two threads, services of three instances, idempotent requests at a fixed rate, each ' +
      'timed from the moment at which it was due. 250 ms for an attempt, up to two retries, also after a 500; ' +
      'ejection, budget and all else as they come. Repeat with `npm run faults`.',
    pauseText(pauseMs),
    `## In short\n\n${shortTable(ones)}`,
    '## One of three fails, and works again 20.75 s later',
    'The first 750 ms are three attempt timeouts. After them fewer than 0.1 % of the requests may fail, and p99 may be ' +
      'twice what it was before, or 25 ms more.',
    'An instance that was ejected comes back after 10 s, and after 20 s the next time.',
    oneTable(ones),
    '\\* Not bounded: every attempt ends well and in time. Only p2c looks at how long answers take; with another ' +
      'balancer set `timeouts.attempt` below what is too slow.',
    '## All of three fail for 12 s',
    'Allowed are the requests that no breaker refused, a fifth of these and of those of the 3 s before, and ten a second.',
    allTable(outages),
    missed.length === 0
      ? 'All bounds are kept.'
      : `## Missed\n\n${missed.map((text) => `- ${text}`).join('\n')}`,
    '',
  ].join('\n\n')
}
