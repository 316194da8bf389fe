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
  checkHedge(service, [...path, 'hedge', 'after'], findings)
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
  const isBounded = input.document.routes.some(
    ({ target }) => target.kind === 'forward' && target.timeouts.attemptMs !== null,
  )
  if (attemptMs === null && !isBounded && Array.isArray(on) && on.includes('timeout')) {
    findings.push(
      warningAt(
        [...path, 'retries', 'on', on.indexOf('timeout')],
        'an attempt has no time of its own, so this never happens',
        { expected: '`timeouts: { attempt }` as well' },
      ),
    )
  }
  checkMethods(retries.methods, [...path, 'retries', 'methods'], findings)
}

function checkMethods(methods: readonly string[], path: DataPath, findings: Finding[]): void {
  const unsafe = methods.findIndex((method) => !IDEMPOTENT.has(method))
  if (unsafe === -1) return
  findings.push(
    warningAt(
      [...path, unsafe],
      `a ${methods[unsafe]} whose answer is lost is sent again, and what it does may be done twice`,
      { expected: 'requests with an `Idempotency-Key` instead' },
    ),
  )
}

/** Checks what routes say of retries in the place of their services. */
export function checkRouteRetries(input: CheckInput, findings: Finding[]): void {
  for (const [index, { target }] of input.document.routes.entries()) {
    if (target.kind !== 'forward' || target.retries === null || target.retries === false) continue
    const { methods } = target.retries
    if (methods === undefined) continue
    checkMethods(methods, input.routePath(index, 'retries', 'methods'), findings)
  }
}

function checkHedge(
  { hedge, timeouts }: ServiceDocument,
  path: DataPath,
  findings: Finding[],
): void {
  if (hedge === null) return
  const { attemptMs, responseMs } = timeouts
  const patienceMs = Math.min(attemptMs ?? responseMs, responseMs)
  if (hedge.afterMs < patienceMs) return
  findings.push(
    warningAt(
      path,
      `an attempt ends after ${formatDurationMs(patienceMs)}, so this never happens`,
      {
        expected: `a time below ${formatDurationMs(patienceMs)}`,
      },
    ),
  )
}
