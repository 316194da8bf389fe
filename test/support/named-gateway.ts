// Gatehouse in this process with names of the test's own.
import { loadObject } from '../../src/config/load-object.ts'
import { createDataPlane } from '../../src/gateway/data-plane.ts'
import { EndpointDirectory } from '../../src/gateway/endpoint-directory.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { createSharedState } from '../../src/gateway/shared-state.ts'
import type { DnsServer } from '../../src/proxy/upstream/discovery/dns-server.test-support.ts'
import { SystemResolver } from '../../src/proxy/upstream/discovery/resolver.ts'
import type { Settings } from './gateway.ts'

const SILENT = { info() {}, warn() {}, error() {}, line() {} }

/** A started gateway that asks `dns` for all names, and the problems that it tells. */
export async function namedGateway(
  settings: Settings,
  dns: DnsServer,
): Promise<{ gateway: Gateway; port: number; problems: string[] }> {
  const { document, policies } = await loadObject({
    listen: 'http://127.0.0.1:0',
    admin: false,
    ...settings,
  } as never)
  const shared = createSharedState(1)
  const byName = new Map(policies.map((policy) => [policy.name, policy]))
  const plane = createDataPlane({ shared, threadIndex: 0, policies: byName, log: SILENT })
  const problems: string[] = []
  const directory = new EndpointDirectory(
    shared.endpoints,
    new SystemResolver({
      hostsFile: '/dev/null',
      resolvConf: '/dev/null',
      nameservers: [dns.address],
      timeoutMs: 2000,
      tries: 1,
    }),
    (update) => plane.updateEndpoints(update),
    (message) => problems.push(message),
  )
  const gateway = new Gateway(plane, shared, directory, document, {})
  await gateway.start()
  return { gateway, port: gateway.addresses[0]!.port, problems }
}
