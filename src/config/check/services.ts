// Checks of listeners and services: addresses collide, settings contradict each other or weaken safety.
import { formatDurationMs } from '../../lib/units.ts'
import { errorAt, type Finding, formatPath, warningAt } from '../problem.ts'
import type { ServiceDocument } from '../schema.ts'
import type { CheckInput } from './input.ts'
import { checkServiceConcurrency } from './service-concurrency.ts'
import { checkRouteRetries, checkServiceHealth, fallbackServices } from './service-health.ts'

/** All checks of listeners and services that need no files. */
export function checkServices(input: CheckInput): Finding[] {
  const findings: Finding[] = []
  checkAddresses(input, findings)
  const used = usedServices(input)
  for (const service of input.document.services) {
    if (input.written(['services', service.name]) === undefined) continue
    if (input.isComplete && !used.has(service.name)) {
      findings.push(
        warningAt(['services', service.name], `no route leads to the service "${service.name}"`, {
          at: 'key',
        }),
      )
    }
    checkService(input, service, findings)
    checkServiceHealth(input, service, findings)
    checkServiceConcurrency(service, findings)
  }
  checkTimeouts(input, findings)
  checkRouteRetries(input, findings)
  return findings
}

function usedServices(input: CheckInput): Set<string> {
  const used = new Set(fallbackServices(input.document.services))
  for (const { target } of input.document.routes) {
    if (target.kind !== 'forward') continue
    for (const { service } of target.services) used.add(service)
    if (target.mirror !== null) used.add(target.mirror.service)
  }
  return used
}

function checkAddresses(input: CheckInput, findings: Finding[]): void {
  const { admin, listeners } = input.document
  const seen = new Set<string>()
  for (const [index, { host, port }] of listeners.entries()) {
    const address = `${host}:${port}`
    if (seen.has(address))
      findings.push(errorAt(input.listenerPath(index), `another listener has ${address} already`))
    if (port !== 0) seen.add(address)
  }
  if (admin !== null && seen.has(`${admin.host}:${admin.port}`)) {
    const hasPlace = input.written(['admin', 'listen']) !== undefined
    findings.push(
      errorAt(
        hasPlace ? ['admin', 'listen'] : input.listenerPath(0),
        `the admin API listens on ${admin.host}:${admin.port} as well`,
        {
          expected: 'another port for one of them, or `admin: false`',
        },
      ),
    )
  }
}

function checkService(input: CheckInput, service: ServiceDocument, findings: Finding[]): void {
  const path = ['services', service.name]
  const seen = new Set<string>()
  for (const [index, { host, port }] of service.endpoints.entries()) {
    const address = `${host}:${port}`
    if (seen.has(address)) {
      findings.push(
        warningAt([...path, 'endpoints', index], `this endpoint stands here twice: ${address}`, {
          expected: 'a `weight` for a greater share',
        }),
      )
    }
    seen.add(address)
  }
  const zoned = service.endpoints.findIndex(({ zone }) => zone !== null)
  if (zoned >= 0 && typeof service.balance !== 'string') {
    findings.push(
      warningAt(
        [...path, 'endpoints', zoned, 'zone'],
        'a hash sends each key to one endpoint, in whatever zone that is',
      ),
    )
  }
  if (service.tls?.verify === false) {
    findings.push(
      warningAt(
        [...path, 'tls', 'verify'],
        'certificates are not verified: anyone between here and the service can read and change all',
        {
          expected: '`ca` with the authority that signed the certificate',
        },
      ),
    )
  }
  const secret = [...path, 'sticky', 'secret']
  if (service.sticky !== null && input.isText && !input.references.values.has(formatPath(secret))) {
    findings.push(
      warningAt(secret, 'a secret stands in the file itself', {
        expected: `a reference: \`\${env:NAME}\` or \`\${file:path}\``,
      }),
    )
  }
}

function checkTimeouts(input: CheckInput, findings: Finding[]): void {
  const services = new Map(input.document.services.map((service) => [service.name, service]))
  for (const service of services.values()) {
    const { exchangeMs } = service.timeouts
    const responseMs = patienceMs(service, null)
    if (
      input.written(['services', service.name]) === undefined ||
      exchangeMs === null ||
      exchangeMs >= responseMs
    )
      continue
    findings.push(
      shadowed(['services', service.name, 'timeouts', 'exchange'], exchangeMs, responseMs),
    )
  }
  for (const [index, { target }] of input.document.routes.entries()) {
    if (target.kind !== 'forward') continue
    for (const { service: name } of target.services) {
      const service = services.get(name)
      const { exchangeMs } = target.timeouts
      if (service === undefined || exchangeMs === null) continue
      const responseMs = patienceMs(service, target.timeouts.responseMs)
      if (exchangeMs < responseMs) {
        findings.push(
          shadowed(input.routePath(index, 'timeouts', 'exchange'), exchangeMs, responseMs),
        )
      }
    }
  }
}

/** How long one attempt may take to answer; `responseMs` is the route's own bound. */
function patienceMs({ timeouts }: ServiceDocument, responseMs: number | null): number {
  return Math.min(responseMs ?? timeouts.responseMs, timeouts.attemptMs ?? Number.POSITIVE_INFINITY)
}

function shadowed(
  path: readonly (string | number)[],
  exchangeMs: number,
  responseMs: number,
): Finding {
  const exchange = formatDurationMs(exchangeMs)
  const response = formatDurationMs(responseMs)
  return warningAt(
    path,
    `the whole exchange ends after ${exchange}, so the response timeout of ${response} never passes and nothing is retried after it`,
    {
      expected: `a response timeout below ${exchange}`,
    },
  )
}
