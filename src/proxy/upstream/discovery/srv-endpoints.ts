// What SRV records say of endpoints (RFC 2782).
import type { SrvRecord } from './dns-message.ts'
import type { SourcedEndpoint } from './endpoint-source.ts'

/** What a weight above 0 counts beside one of 0, which is to have "a very small chance". */
const ABOVE_ZERO = 100

/** The endpoints of some records, in an order that does not depend on theirs. */
export function endpointsOf(records: readonly SrvRecord[]): SourcedEndpoint[] {
  const usable = records.filter(({ target, port }) => target !== '' && port > 0)
  const tiers = Map.groupBy(usable, ({ priority }) => priority)
  return [...tiers.values()]
    .flatMap(tierOf)
    .sort((a, b) => a.priority - b.priority || compare(a.host, b.host) || a.port - b.port)
}

/** All weights are 0, or none is, or those of 0 are all but left out. */
function tierOf(records: readonly SrvRecord[]): SourcedEndpoint[] {
  const isMixed = records.some(({ weight }) => weight === 0)
  return records.map(({ target, port, priority, weight }) => ({
    host: target,
    port,
    weight: weight === 0 ? 1 : isMixed ? weight * ABOVE_ZERO : weight,
    priority,
    zone: null,
  }))
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
