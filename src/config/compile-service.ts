// What the configuration says of a service, as its threads use it.
import type { AttemptTerms } from '../proxy/pipeline/attempt-bounds.ts'
import { pickerFactory } from '../proxy/upstream/balancers/registry.ts'
import type {
  Fallback,
  Service,
  ServiceCounters,
  ServiceSettings,
} from '../proxy/upstream/service.ts'
import { UpstreamTls } from '../proxy/upstream/upstream-tls.ts'
import type { ForwardDocument, ServiceDocument } from './schema.ts'

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
  const { breaker, connections, retries } = service
  const failures = retries.statuses.filter((status) => status >= 500)
  const terms = attemptTerms(service, null)
  return {
    name: service.name,
    pool: {
      connectionsMax: connections.max,
      queueMax: connections.queueMax,
      idleMs: connections.idleTimeoutMs,
      mustProve: service.identity !== null,
      timeouts: terms.timeouts,
    },
    queueTimeoutMs: connections.queueTimeoutMs,
    attemptTimeoutMs: terms.attemptTimeoutMs,
    retries: terms.retries,
    hedge: service.hedge,
    health: {
      ejection: service.ejection,
      panicBelow: service.panicBelow,
      slowStartMs: service.slowStartMs,
      zones: zone === null ? null : { own: zone, spillBelow: service.spillBelow },
    },
    failureStatuses: new Set([...FAILURE_STATUSES, ...failures]),
    deadline: service.deadline,
    breaker,
    concurrency: service.concurrency,
    fallback: breaker === null ? null : fallbackOf(breaker.fallback, environment),
    hostHeader: service.hostHeader,
    tls: service.tls === null ? null : new UpstreamTls(service.tls, environment.readFile),
    picker: pickerFactory(service.balance, service.sticky),
    counters: environment.serviceCounters(service.name),
  }
}

/** What a route, or null for none, asks of the attempts at a service. */
export function attemptTerms(
  { retries, timeouts }: ServiceDocument,
  route: Pick<ForwardDocument, 'retries' | 'timeouts'> | null,
): AttemptTerms {
  const own = route?.timeouts
  const isOff = route?.retries === false
  const merged = isOff ? { ...retries, attemptsMax: 0 } : { ...retries, ...route?.retries }
  return {
    timeouts: {
      connectMs: timeouts.connectMs,
      responseMs: own?.responseMs ?? timeouts.responseMs,
      idleMs: own?.idleMs ?? timeouts.idleMs,
    },
    attemptTimeoutMs: own?.attemptMs ?? timeouts.attemptMs ?? 0,
    retries: { ...merged, statuses: new Set(merged.statuses), methods: new Set(merged.methods) },
    mayHedge: !isOff,
  }
}

type FallbackDocument = NonNullable<ServiceDocument['breaker']>['fallback']

function fallbackOf(fallback: FallbackDocument, environment: ServiceEnvironment): Fallback | null {
  if (fallback === null || fallback.kind === 'reply') return fallback
  return { service: environment.service(fallback.service) }
}
