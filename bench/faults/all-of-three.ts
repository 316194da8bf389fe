// All instances of a service fail under a steady load: how soon clients are told, and what the service
// has to bear.
import { setTimeout as sleep } from 'node:timers/promises'
import { latencyAt, OpenLoad } from './open-load.ts'
import { ATTEMPT_MS, type Fault, type Served } from './services.ts'

const PER_SECOND = 100
const BEFORE_MS = 3000
const FAILING_MS = 12_000
/** Two retries at most, each after up to 25 and 50 ms. */
const ANSWER_MS_MAX = 3 * ATTEMPT_MS + 75
/** With an open breaker no request goes anywhere: this is a matter of the machine. */
const REFUSAL_MS_MAX = 50
/** The default budget; what came before the fault counts as live traffic, and a second's worth is saved up. */
const SHARE = 0.2
const PER_SECOND_EXTRA = 10
/** Sent just before the fault, and counted by the instances just after. */
const ON_THEIR_WAY = 10

/** What was measured of one fault of all three. */
export interface Outage {
  readonly fault: Fault
  readonly hasBreaker: boolean
  readonly requests: number
  readonly statuses: Readonly<Record<string, number>>
  readonly p99Ms: number
  /** From the fault to the first request that met the open breaker; null: none did. */
  readonly openedMs: number | null
  /** Of those from then on. */
  readonly p99OpenMs: number
  /** What the instances saw; NaN where they could not see any. */
  readonly attempts: number
  readonly attemptsMax: number
}

/** Measures it. */
export async function measureOutage(
  port: number,
  served: Served,
  fault: Fault,
  hasBreaker: boolean,
): Promise<Outage> {
  const { instances } = served
  const load = new OpenLoad(port, `/${served.name}`, PER_SECOND, { headers: () => ({}) })
  await sleep(BEFORE_MS)
  const faultAt = performance.now()
  const attemptsBefore = instances.reduce((sum, { requests }) => sum + requests, 0)
  await Promise.all(instances.map((instance) => instance.become(fault.mode)))
  await sleep(FAILING_MS)
  const endAt = performance.now()
  await load.stop()
  const attempts = instances.reduce((sum, { requests }) => sum + requests, 0) - attemptsBefore
  const outcomes = load.between(faultAt, endAt)
  const refused = outcomes.filter(({ text }) => text === 'circuit_open')
  const openAt = refused.reduce((least, { dueAt }) => Math.min(least, dueAt), endAt)
  const admitted = outcomes.length - refused.length
  const statuses: Record<string, number> = {}
  for (const { status } of outcomes) statuses[status] = (statuses[status] ?? 0) + 1
  const seconds = (FAILING_MS + ANSWER_MS_MAX) / 1000 + 1
  return {
    fault,
    hasBreaker,
    requests: outcomes.length,
    statuses,
    p99Ms: latencyAt(outcomes, 0.99),
    openedMs: refused.length === 0 ? null : openAt - faultAt,
    p99OpenMs: latencyAt(refused, 0.99),
    attempts: fault.mode === 'refuse' ? Number.NaN : attempts,
    attemptsMax: Math.ceil(
      admitted +
        SHARE * (admitted + (BEFORE_MS / 1000) * PER_SECOND) +
        PER_SECOND_EXTRA * seconds +
        ON_THEIR_WAY,
    ),
  }
}

/** What of it is not as it should be. */
export function faultsOfOutage(outage: Outage): string[] {
  const { fault, hasBreaker, p99Ms, p99OpenMs, openedMs, attempts, attemptsMax, statuses } = outage
  const found: string[] = []
  if (p99Ms > ANSWER_MS_MAX + REFUSAL_MS_MAX) found.push(`p99 is ${p99Ms.toFixed(0)} ms`)
  if (attempts > attemptsMax) found.push(`${attempts} attempts, at most ${attemptsMax} are due`)
  if (hasBreaker && openedMs === null) found.push('the breaker never opened')
  if (openedMs !== null && p99OpenMs > REFUSAL_MS_MAX) {
    found.push(`p99 with an open breaker is ${p99OpenMs.toFixed(0)} ms`)
  }
  if ('0' in statuses) found.push(`${statuses[0]} clients lost their connections`)
  return found.map((text) => `all ${fault.name}${hasBreaker ? ', breaker' : ''}: ${text}`)
}
