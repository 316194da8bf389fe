// What the configuration says of a service, as its threads use it.
import { pickerFactory } from '../proxy/upstream/balancers/registry.ts'
import type { ServiceCounters, ServiceSettings } from '../proxy/upstream/service.ts'
import { UpstreamTls } from '../proxy/upstream/upstream-tls.ts'
import type { ServiceDocument } from './schema.ts'

/** The part of the compiler's environment that services need. */
export interface ServiceEnvironment {
  serviceCounters(service: string): ServiceCounters
  readFile(path: string): string
}

/** Compiles one service. @throws Error when one of its files cannot be used. */
export function compileService(
  service: ServiceDocument,
  environment: ServiceEnvironment,
): ServiceSettings {
  const { connections, timeouts } = service
  return {
    name: service.name,
    pool: {
      connectionsMax: connections.max,
      queueMax: connections.queueMax,
      idleMs: connections.idleTimeoutMs,
      timeouts: {
        connectMs: timeouts.connectMs,
        responseMs: timeouts.responseMs,
        idleMs: timeouts.idleMs,
      },
    },
    queueTimeoutMs: connections.queueTimeoutMs,
    retriesMax: service.retries.attempts,
    hostHeader: service.hostHeader,
    tls: service.tls === null ? null : new UpstreamTls(service.tls, environment.readFile),
    picker: pickerFactory(service.balance, service.sticky),
    counters: environment.serviceCounters(service.name),
  }
}
