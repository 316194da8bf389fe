// What the configuration says of a service, as its threads use it.
import { pickerFactory } from '../proxy/upstream/balancers/registry.ts'
import type {
  Fallback,
  Service,
  ServiceCounters,
  ServiceSettings,
} from '../proxy/upstream/service.ts'
import { UpstreamTls } from '../proxy/upstream/upstream-tls.ts'
import type { ServiceDocument } from './schema.ts'

/** The part of the compiler's environment that services need. */
export interface ServiceEnvironment {
  service(name: string): Service
  serviceCounters(service: string): ServiceCounters
  readFile(path: string): string
}

/** Statuses of a gateway or a server that says it cannot serve: the endpoint's failure. */
const FAILURE_STATUSES = [502, 503, 504]

/**
 * Compiles one service.
 * @param zone the gateway's own.
 * @throws Error when one of its files cannot be used.
 */
export function compileService(
  service: ServiceDocument,
  environment: ServiceEnvironment,
  zone: string | null = null,
): ServiceSettings {
  const { breaker, connections, retries, timeouts } = service
  const failures = retries.statuses.filter((status) => status >= 500)
  return {
    name: service.name,
    pool: {
      connectionsMax: connections.max,
      queueMax: connections.queueMax,
      idleMs: connections.idleTimeoutMs,
      mustProve: service.identity !== null,
      timeouts: {
        connectMs: timeouts.connectMs,
        responseMs: timeouts.responseMs,
        idleMs: timeouts.idleMs,
      },
    },
    queueTimeoutMs: connections.queueTimeoutMs,
    attemptTimeoutMs: timeouts.attemptMs ?? 0,
    retries: {
      ...retries,
      statuses: new Set(retries.statuses),
      methods: new Set(retries.methods),
    },
    health: {
      ejection: service.ejection,
      panicBelow: service.panicBelow,
      slowStartMs: service.slowStartMs,
      zones: zone === null ? null : { own: zone, spillBelow: service.spillBelow },
    },
    failureStatuses: new Set([...FAILURE_STATUSES, ...failures]),
    deadline: service.deadline,
    breaker,
    fallback: breaker === null ? null : fallbackOf(breaker.fallback, environment),
    hostHeader: service.hostHeader,
    tls: service.tls === null ? null : new UpstreamTls(service.tls, environment.readFile),
    picker: pickerFactory(service.balance, service.sticky),
    counters: environment.serviceCounters(service.name),
  }
}

type FallbackDocument = NonNullable<ServiceDocument['breaker']>['fallback']

function fallbackOf(fallback: FallbackDocument, environment: ServiceEnvironment): Fallback | null {
  if (fallback === null || fallback.kind === 'reply') return fallback
  return { service: environment.service(fallback.service) }
}
