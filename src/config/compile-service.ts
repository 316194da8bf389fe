// What the configuration says of a service, as its threads use it.
import type tls from 'node:tls'
import { pickerFactory } from '../proxy/upstream/balancers/registry.ts'
import type { ServiceCounters, ServiceSettings } from '../proxy/upstream/service.ts'
import type { ServiceDocument } from './schema.ts'

/** The part of the compiler's environment that services need. */
export interface ServiceEnvironment {
  serviceCounters(service: string): ServiceCounters
  readFile(path: string): string
}

/** Compiles one service. @throws Error when one of its files cannot be read. */
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
    tls: service.tls === null ? null : clientTls(service.tls, environment),
    picker: pickerFactory(service.balance, service.sticky),
    counters: environment.serviceCounters(service.name),
  }
}

type TlsDocument = NonNullable<ServiceDocument['tls']>

function clientTls(settings: TlsDocument, environment: ServiceEnvironment): tls.ConnectionOptions {
  const { ca, cert, key, serverName, verify } = settings
  return {
    ALPNProtocols: ['http/1.1'],
    minVersion: 'TLSv1.2',
    rejectUnauthorized: verify,
    ...(serverName === null ? {} : { servername: serverName }),
    ...(ca === null ? {} : { ca: environment.readFile(ca) }),
    ...(cert === null ? {} : { cert: environment.readFile(cert) }),
    ...(key === null ? {} : { key: environment.readFile(key) }),
  }
}
