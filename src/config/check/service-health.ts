// Checks of what keeps services well: fallbacks that lead nowhere, bounds that hide others, and orders
// that could be placed twice.
import { closest } from '../../lib/closest.ts'
import { formatDurationMs } from '../../lib/units.ts'
import { type DataPath, errorAt, type Finding, warningAt } from '../problem.ts'
import type { ServiceDocument } from '../schema.ts'
import type { CheckInput } from './input.ts'

/** Methods that RFC 9110 9.2.2 calls idempotent, and Gatehouse forwards. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

/** The services that stand in for others while these fail. */
export function fallbackServices(services: readonly ServiceDocument[]): string[] {
  return services.flatMap(({ breaker }) =>
    breaker?.fallback?.kind === 'service' ? [breaker.fallback.service] : [],
  )
}

/** Checks one service. */
export function checkServiceHealth(
  input: CheckInput,
  service: ServiceDocument,
  findings: Finding[],
): void {
  const path: DataPath = ['services', service.name]
  checkFallback(input, service, [...path, 'breaker', 'fallback', 'to'], findings)
  checkAttempts(input, service, path, findings)
}

function checkFallback(
  input: CheckInput,
  { name, breaker }: ServiceDocument,
  path: DataPath,
  findings: Finding[],
): void {
  if (breaker?.fallback?.kind !== 'service') return
  const { service } = breaker.fallback
  const known = input.document.services.map((other) => other.name)
  if (service === name) {
    findings.push(errorAt(path, 'a service cannot stand in for itself'))
  } else if (!known.includes(service) && !input.keys(['services']).includes(service)) {
    const suggestion = closest(service, known)
    findings.push(
      errorAt(path, `there is no service named "${service}"`, {
        ...(suggestion === null ? {} : { suggestion }),
      }),
    )
  }
}

function checkAttempts(
  input: CheckInput,
  { timeouts, retries }: ServiceDocument,
  path: DataPath,
  findings: Finding[],
): void {
  const { attemptMs, responseMs } = timeouts
  if (attemptMs !== null && attemptMs >= responseMs) {
    const attempt = formatDurationMs(attemptMs)
    const response = formatDurationMs(responseMs)
    findings.push(
      warningAt(
        [...path, 'timeouts', 'attempt'],
        `the response timeout of ${response} comes first, and after that nothing is tried again`,
        { expected: `a response timeout above ${attempt}` },
      ),
    )
  }
  const on = input.written([...path, 'retries', 'on'])
  if (attemptMs === null && Array.isArray(on) && on.includes('timeout')) {
    findings.push(
      warningAt(
        [...path, 'retries', 'on', on.indexOf('timeout')],
        'an attempt has no time of its own, so this never happens',
        { expected: '`timeouts: { attempt }` as well' },
      ),
    )
  }
  const unsafe = retries.methods.findIndex((method) => !IDEMPOTENT.has(method))
  if (unsafe !== -1) {
    findings.push(
      warningAt(
        [...path, 'retries', 'methods', unsafe],
        `a ${retries.methods[unsafe]} whose answer is lost is sent again, and what it does may be done twice`,
        { expected: 'requests with an `Idempotency-Key` instead' },
      ),
    )
  }
}
