// Endpoints that name servers give, and what becomes of those that go.
import assert from 'node:assert/strict'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { DnsServer } from '../../src/proxy/upstream/discovery/dns-server.test-support.ts'
import { eventually } from '../support/changes.ts'
import { answering, becomes, instances, start } from '../support/changing-gateway.ts'
import { ask } from '../support/fleet.ts'
import type { Settings } from '../support/gateway.ts'
import { namedGateway } from '../support/named-gateway.ts'
import { TestFolder } from '../support/tls.ts'

describe('SRV records', () => {
  async function named(t: TestContext, service: Settings = {}) {
    const dns = await DnsServer.start()
    t.after(() => dns.stop())
    const target = (kind: string) =>
      dns.names.set(`${kind}.test`, { kind: 'addresses', ips: ['127.0.0.1'], ttl: 1 })
    for (const kind of ['a', 'b', 'c']) target(kind)
    const records = (...list: string[]) =>
      dns.names.set('_http._tcp.s.test', { kind: 'services', records: list, ttl: 0 })
    const open = async () => {
      const settings = {
        services: {
          s: {
            discover: { srv: '_http._tcp.s.test' },
            balance: 'round-robin',
            dns: { minTtl: '100ms', maxTtl: '300ms' },
            ...service,
          },
        },
        routes: [{ path: '/*', to: 's' }],
      }
      const started = await namedGateway(settings, dns)
      t.after(() => started.gateway.close())
      return started
    }
    return { dns, records, open }
  }

  test('give targets with their ports, shares and tiers, and are followed', async (t) => {
    const [one, two, spare] = await instances(t, 3)
    const { dns, records, open } = await named(t)
    records(`10 2 ${one!.port} a.test`, `10 1 ${two!.port} b.test`, `20 1 ${spare!.port} c.test`)
    const { port, problems } = await open()
    for (let i = 0; i < 30; i++) await ask(port)
    // An answer to a look-up that comes in between begins the turns anew: one request more or less.
    const shares = [one!.requests, two!.requests, spare!.requests]
    assert.ok(Math.abs(one!.requests - 20) <= 1, `${shares}`)
    assert.equal(two!.requests, 30 - one!.requests, `${shares}`)

    records(`20 1 ${spare!.port} c.test`)
    await becomes(port, [spare!])
    // Nobody can say: what was known stays.
    dns.names.set('_http._tcp.s.test', { kind: 'servfail' })
    await eventually(
      () => problems.length > 1,
      () => 'failed look-ups',
    )
    assert.deepEqual(await answering(port), [String(spare!.port)])
    assert.match(problems[0]!, /^the endpoints of s: temporary: .*ESERVFAIL/)
    dns.names.delete('_http._tcp.s.test')
    await becomes(port, ['503'])
    assert.equal((await ask(port)).code, 'no_endpoint')
    records(`1 1 ${two!.port} b.test`)
    await becomes(port, [two!])
    records('0 0 0 .')
    await becomes(port, ['503'])
  })

  test('to a target that nobody can say where it is change nothing yet', async (t) => {
    const [one, two] = await instances(t, 2)
    const { dns, records, open } = await named(t)
    records(`1 1 ${one!.port} a.test`)
    const { port, problems } = await open()
    assert.deepEqual(await answering(port), [String(one!.port)])
    dns.names.set('b.test', { kind: 'servfail' })
    records(`1 1 ${two!.port} b.test`)
    await eventually(
      () => problems.filter((problem) => problem.includes('b.test')).length > 1,
      () => 'look-ups of the new target',
    )
    assert.deepEqual(await answering(port), [String(one!.port)])
    dns.names.set('b.test', { kind: 'addresses', ips: ['127.0.0.1'], ttl: 60 })
    await becomes(port, [two!])
  })
})

test('an endpoint that is gone finishes what it has, keeps no connection, and gets nothing new', async (t) => {
  const [other] = await instances(t, 1)
  const held: http.ServerResponse[] = []
  let connections = 0
  const server = http.createServer((request, response) => {
    if (request.url === '/slow') held.push(response)
    else response.end('leaving')
  })
  server.keepAliveTimeout = 600_000
  server.on('connection', (socket) => {
    connections += 1
    socket.on('close', () => {
      connections -= 1
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const leaving = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const folder = new TestFolder(t)
  folder.write('endpoints.yaml', `- ${leaving}\n`)
  const { port } = await start(t, { discover: { file: './endpoints.yaml' } }, folder.path)
  const slow = ask(port, { path: '/slow' })
  await eventually(
    () => held.length === 1,
    () => 'the slow request',
  )
  assert.equal((await ask(port)).text, 'leaving')
  assert.equal(connections, 2)
  folder.write('endpoints.yaml', `- ${other!.url}\n`)
  await eventually(
    () => connections === 1,
    () => 'the idle connection to close',
  )
  assert.deepEqual(await answering(port), [String(other!.port)])
  held[0]!.end('finished')
  assert.equal((await slow).text, 'finished')
  await eventually(
    () => connections === 0,
    () => 'the last connection to close',
  )
})
