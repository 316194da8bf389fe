// Where the endpoints of a service come from. Whatever it is, the gateway knows it by one contract.
import type { ServiceDocument } from '../../config/schema.ts'
import type { TimerWheel } from '../../lib/timer-wheel.ts'
import type { EndpointSource } from '../../proxy/upstream/discovery/endpoint-source.ts'
import type { NameResolver, SrvResolver } from '../../proxy/upstream/discovery/resolver.ts'
import { srvSource } from '../../proxy/upstream/discovery/srv-source.ts'
import { fileSource } from './file-source.ts'
import { moduleSource } from './module-source.ts'

/** Whom names are asked of. */
export type EndpointResolver = NameResolver & SrvResolver

/** The source that the configuration of a service names. */
export function sourceOf(
  { discover, endpoints, dns, tls }: ServiceDocument,
  resolver: EndpointResolver,
  wheel: TimerWheel,
): EndpointSource {
  if (discover === null) return ({ publish }) => publish(endpoints)
  const scheme = tls === null ? 'http' : 'https'
  switch (discover.kind) {
    case 'srv': {
      const bounds = { ttlMinMs: dns.minTtlMs, ttlMaxMs: dns.maxTtlMs }
      return srvSource({ name: discover.name, ...bounds }, resolver, wheel)
    }
    case 'file':
      return fileSource({ path: discover.path, scheme }, wheel)
    case 'module':
      return moduleSource({ ...discover, scheme }, wheel)
  }
}

/** Two services with the same text here have the same endpoints. */
export function sourceKey({ discover, endpoints, dns, tls }: ServiceDocument): string {
  return JSON.stringify([discover, endpoints, discover?.kind === 'srv' ? dns : 0, tls === null])
}
