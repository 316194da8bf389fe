// Checks of limits on requests in flight: bounds that others hide.
import { isIP } from 'node:net'
import { formatDurationMs } from '../../lib/units.ts'
import { type DataPath, type Finding, warningAt } from '../problem.ts'
import type { ServiceDocument } from '../schema.ts'

/** Checks one service. */
export function checkServiceConcurrency(service: ServiceDocument, findings: Finding[]): void {
  if (service.concurrency === null) return
  const path: DataPath = ['services', service.name, 'concurrency']
  checkConnections(service, path, findings)
  checkWait(service, path, findings)
}

/** A request in flight has a connection of its own. */
function checkConnections(service: ServiceDocument, path: DataPath, findings: Finding[]): void {
  const { concurrency, connections, endpoints } = service
  // A name may stand for any number of addresses.
  if (endpoints.some(({ host }) => isIP(host) === 0)) return
  const most = connections.max * endpoints.length
  const least = concurrency?.limit ?? concurrency?.adaptive?.min ?? 0
  if (least <= most) return
  findings.push(
    warningAt(
      path,
      `there are never more than ${most} connections to the service, so this limit of ${least} is never reached`,
      { expected: 'a lower limit, or a greater `connections.max`' },
    ),
  )
}

function checkWait(service: ServiceDocument, path: DataPath, findings: Finding[]): void {
  const { concurrency, timeouts } = service
  const waitMs = concurrency?.queueTimeoutMs ?? 0
  if (timeouts.exchangeMs === null || waitMs < timeouts.exchangeMs) return
  if (concurrency?.queueMax === 0) return
  const exchange = formatDurationMs(timeouts.exchangeMs)
  findings.push(
    warningAt(
      path,
      `a request may wait for ${formatDurationMs(waitMs)}, but the whole exchange ends after ${exchange}`,
      { expected: `a \`queue.timeout\` below ${exchange}` },
    ),
  )
}
