// An explanation as lines for people.
import type { ExplainedCandidate, ExplainedService, Explanation } from './explanation.ts'
import type { ExplainedDecision } from './explanation-decisions.ts'
import { alignColumns } from './table.ts'
import type { Paint } from './terminal.ts'

/** Candidates shown; all are in the JSON. */
const CANDIDATES_MAX = 50

/** Writes it down. */
export function explanationLines(explanation: Explanation, paint: Paint): string[] {
  const { method, host, target, clientIp } = explanation.request
  return [
    `${paint.bold(`${method} ${target}`)}  host ${host === '' ? '(none)' : host}, from ${clientIp}`,
    '',
    ...candidateLines(explanation, paint),
    ...refusedLines(explanation, paint),
    ...policyLines(explanation, paint),
    ...targetLines(explanation, paint),
  ]
}

function candidateLines({ candidates, otherRoutes }: Explanation, paint: Paint): string[] {
  const rows = candidates
    .slice(0, CANDIDATES_MAX)
    .map((candidate) => [
      `  ${candidate.matched ? paint.green('+') : paint.dim('-')} ${candidate.id}`,
      pattern(candidate),
      candidate.matched ? paint.green('takes it') : reasonText(candidate.reason),
    ])
  const more = candidates.length - rows.length
  return [
    paint.bold('Routes, in the order in which they are tried'),
    ...alignColumns(rows),
    ...(more > 0 ? [paint.dim(`  and ${more} more`)] : []),
    ...(otherRoutes > 0 ? [paint.dim(`  ${otherRoutes} for other hosts and paths`)] : []),
    '',
  ]
}

function pattern({ host, path, target }: ExplainedCandidate): string {
  return `${host ?? '*'} ${path ?? '/*'} -> ${target}`
}

function reasonText(reason: string): string {
  return reason.startsWith('would match') ? reason : `not: ${reason} does not match`
}

function refusedLines({ refused }: Explanation, paint: Paint): string[] {
  if (refused === null) return []
  return [`${paint.red(`Answer ${refused.status}`)} ${refused.code}: ${refused.reason}`, '']
}

function policyLines({ policies }: Explanation, paint: Paint): string[] {
  if (policies.length === 0) return []
  const rows = policies.map(({ id, policy, when, mode, decision }, index) => [
    `  ${index + 1}. ${id}`,
    [
      ...(id === policy ? [] : [policy]),
      ...(mode === 'shadow' ? [paint.yellow('shadow: never acts')] : []),
      ...(when === null ? [] : [`when ${when}`]),
    ].join(', '),
    decisionText(decision, paint),
  ])
  return [paint.bold('Policies, in the order in which they run'), ...alignColumns(rows), '']
}

function decisionText(decision: ExplainedDecision, paint: Paint): string {
  const { outcome, status, code, reason, consumer } = decision
  if (outcome === 'passes') return consumer === null ? '' : paint.green(`the caller is ${consumer}`)
  if (outcome === 'skipped') return paint.dim('skipped: the condition does not hold')
  if (outcome === 'not-reached') return paint.dim('not reached')
  if (outcome === 'undecided') return paint.yellow(`undecided: ${reason}`)
  const answer = code === null ? `answers ${status}` : `answers ${status} ${code}`
  return paint.red(reason === null ? answer : `${answer}: ${reason}`)
}

function targetLines(explanation: Explanation, paint: Paint): string[] {
  const { forward, redirect, respond, params, importance } = explanation
  const names = Object.entries(params ?? {}).map(([name, value]) => `${name}=${value}`)
  const given = names.length === 0 ? [] : [`  parameters  ${names.join(' ')}`]
  if (redirect !== null) {
    return [
      paint.bold('Redirect'),
      ...given,
      `  ${redirect.status}  Location: ${redirect.location}`,
    ]
  }
  if (respond !== null) {
    return [paint.bold('Fixed answer'), ...given, `  ${respond.status}  ${respond.body}`.trimEnd()]
  }
  if (forward === null) return []
  const lines = [
    paint.bold('Forwarded'),
    ...given,
    `  target      ${forward.target}`,
    ...(importance === null || importance === 'normal' ? [] : [`  importance  ${importance}`]),
    `  host        ${forward.host === null ? 'that of the endpoint' : forward.host || '(none)'}`,
  ]
  for (const { service, share, balance, retries, hedge, ...rest } of forward.services) {
    const { concurrency, discover, zone, endpoints } = rest
    const part = forward.services.length > 1 ? ` (${share} %)` : ''
    lines.push(`  service     ${paint.cyan(service)}${part}, ${balance}`)
    const hedged = hedge === null ? '' : `, hedged ${hedge}`
    lines.push(`  retries     ${retries === 0 ? 'none' : retries}${hedged}`)
    if (concurrency !== null) lines.push(`  limit       ${concurrency}`)
    if (discover !== null) lines.push(`  endpoints   found by ${discover}`)
    for (const endpoint of endpoints) lines.push(`  endpoint    ${endpointText(endpoint, zone)}`)
  }
  if (forward.mirror !== null) {
    const { service, share } = forward.mirror
    lines.push(`  copy to     ${paint.cyan(service)}, ${share} % of such requests`)
  }
  return lines
}

function endpointText(
  { url, weight, priority, zone }: ExplainedService['endpoints'][number],
  own: string | null,
): string {
  const isPreferred = zone !== null && zone === own
  return [
    weight === 1 ? url : `${url} weight ${weight}`,
    ...(priority === 0 ? [] : [`stands by with priority ${priority}`]),
    ...(zone === null ? [] : [`zone ${zone}${isPreferred ? ' (preferred)' : ''}`]),
  ].join(', ')
}
