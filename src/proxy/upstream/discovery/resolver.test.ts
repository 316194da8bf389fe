import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import { type Behaviour, DnsServer } from './dns-server.test-support.ts'
import { fullNames, parseResolvConf } from './resolv-conf.ts'
import { type Resolution, type ResolverSettings, SystemResolver } from './resolver.ts'

let server: DnsServer
let folder: string

before(async () => {
  server = await DnsServer.start()
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-names-'))
})

after(async () => {
  await server.stop()
  await rm(folder, { recursive: true })
})

beforeEach(async () => {
  server.names.clear()
  server.asked.length = 0
  await writeFile(join(folder, 'hosts'), '127.0.0.1 localhost\n::1 localhost ip6-localhost\n')
  await writeFile(join(folder, 'resolv.conf'), '')
})

function interfacesWith(...addresses: string[]): ResolverSettings['interfaces'] & {} {
  return () =>
    addresses.map((address) => {
      const shared = { address, netmask: '', mac: '', cidr: null }
      const internal = address === '127.0.0.1' || address === '::1'
      return address.includes(':')
        ? { ...shared, internal, family: 'IPv6', scopeid: 0 }
        : { ...shared, internal, family: 'IPv4' }
    })
}

const DUAL_STACK = interfacesWith('127.0.0.1', '::1', '192.0.2.7', '2001:db8::7')

function resolverWith(settings: ResolverSettings = {}): SystemResolver {
  return new SystemResolver({
    hostsFile: join(folder, 'hosts'),
    resolvConf: join(folder, 'resolv.conf'),
    nameservers: [server.address],
    timeoutMs: 2000,
    tries: 4,
    interfaces: DUAL_STACK,
    ...settings,
  })
}

// Short enough not to wait for, where silence is all that will come.
const IMPATIENT = { timeoutMs: 100, tries: 1 }

/** What the server was asked, without repetitions of a question that a slow machine asked twice. */
function questions(): string[] {
  return server.asked.filter((question, index) => question !== server.asked[index - 1])
}

function ipsOf(resolution: Resolution): string[] {
  if (resolution.failure !== null) assert.fail(`${resolution.failure}: ${resolution.reason}`)
  return resolution.addresses.map(({ ip }) => ip).sort()
}

function addresses(ips: readonly string[], ttl = 30): Behaviour {
  return { kind: 'addresses', ips, ttl }
}

describe('resolver: what needs no name server', () => {
  test('literal addresses pass through and never expire', async () => {
    for (const [name, ip] of [
      ['192.0.2.1', '192.0.2.1'],
      ['2001:db8::1', '2001:db8::1'],
      ['[2001:db8::1]', '2001:db8::1'],
    ] as const) {
      assert.deepEqual(await resolverWith().resolve(name), {
        failure: null,
        addresses: [{ ip, ttlMs: Number.POSITIVE_INFINITY }],
      })
    }
  })

  test('localhost is what the hosts file says, and loopback when it says nothing', async () => {
    assert.deepEqual(ipsOf(await resolverWith().resolve('localhost')), ['127.0.0.1', '::1'])
    assert.deepEqual(ipsOf(await resolverWith().resolve('LocalHost.')), ['127.0.0.1', '::1'])
    await writeFile(join(folder, 'hosts'), '127.0.0.1 localhost\n')
    assert.deepEqual(ipsOf(await resolverWith().resolve('localhost')), ['127.0.0.1'])
    const bare = resolverWith({ hostsFile: join(folder, 'absent') })
    assert.deepEqual(ipsOf(await bare.resolve('localhost')), ['127.0.0.1', '::1'])
    assert.deepEqual(ipsOf(await bare.resolve('shop.localhost')), ['127.0.0.1', '::1'])
  })

  test('localhost has no ::1 on a machine without IPv6', async () => {
    const resolver = resolverWith({ interfaces: interfacesWith('127.0.0.1', '192.0.2.7') })
    assert.deepEqual(ipsOf(await resolver.resolve('localhost')), ['127.0.0.1'])
  })

  test('localhost resolves on this very machine', async () => {
    for (const ip of ipsOf(await new SystemResolver().resolve('localhost'))) {
      assert.ok(ip.startsWith('127.') || ip === '::1', ip)
    }
  })

  test('the hosts file comes first, with all addresses, and is read again when it changes', async () => {
    server.names.set('orders.shop', addresses(['192.0.2.99']))
    const hosts = join(folder, 'hosts')
    await writeFile(
      hosts,
      '10.0.0.1 Orders.Shop orders # a comment\n10.0.0.2\torders.shop\nnonsense',
    )
    const resolver = resolverWith()
    assert.deepEqual(ipsOf(await resolver.resolve('orders.shop')), ['10.0.0.1', '10.0.0.2'])
    assert.deepEqual(ipsOf(await resolver.resolve('ORDERS')), ['10.0.0.1'])
    await writeFile(hosts, '10.0.0.3 orders.shop\n')
    assert.deepEqual(ipsOf(await resolver.resolve('orders.shop')), ['10.0.0.3'])
    await rm(hosts)
    assert.deepEqual(ipsOf(await resolver.resolve('orders.shop')), ['192.0.2.99'])
  })
})

describe('resolver: name servers', () => {
  test('all addresses of both families, each with its time to live', async () => {
    server.names.set('api.shop.test', addresses(['192.0.2.1', '192.0.2.2', '2001:db8::1'], 17))
    const resolution = await resolverWith().resolve('api.shop.test')
    assert.deepEqual(ipsOf(resolution), ['192.0.2.1', '192.0.2.2', '2001:db8::1'])
    assert.ok(resolution.failure === null)
    for (const { ttlMs } of resolution.addresses) assert.equal(ttlMs, 17_000)
  })

  test('asks only for families that this machine can reach', async () => {
    server.names.set('api.shop.test', addresses(['192.0.2.1', '2001:db8::1']))
    const only4 = resolverWith({ interfaces: interfacesWith('::1', '192.0.2.7', 'fe80::1') })
    assert.deepEqual(ipsOf(await only4.resolve('api.shop.test')), ['192.0.2.1'])
    assert.deepEqual(questions(), ['A api.shop.test'])
    const only6 = resolverWith({ interfaces: interfacesWith('127.0.0.1', '2001:db8::7') })
    assert.deepEqual(ipsOf(await only6.resolve('api.shop.test')), ['2001:db8::1'])
  })

  test('every question goes out: nothing is remembered beyond the time to live', async () => {
    const resolver = resolverWith()
    server.names.set('api.shop.test', addresses(['192.0.2.1'], 3600))
    assert.deepEqual(ipsOf(await resolver.resolve('api.shop.test')), ['192.0.2.1'])
    server.names.set('api.shop.test', addresses(['192.0.2.2'], 3600))
    assert.deepEqual(ipsOf(await resolver.resolve('api.shop.test')), ['192.0.2.2'])
  })

  test('follows an alias; the shortest time to live on the way counts', async () => {
    server.names.set('www.shop.test', { kind: 'alias', target: 'edge.shop.test', ttl: 5 })
    server.names.set('edge.shop.test', addresses(['192.0.2.1'], 300))
    const resolution = await resolverWith().resolve('www.shop.test')
    assert.deepEqual(resolution, {
      failure: null,
      addresses: [{ ip: '192.0.2.1', ttlMs: 5000 }],
    })
  })

  test('an answer too long for UDP is fetched over TCP', async () => {
    const ips = Array.from({ length: 60 }, (_, index) => `192.0.2.${index + 1}`)
    server.names.set('many.shop.test', { kind: 'truncated', ips, ttl: 30 })
    const resolution = await resolverWith().resolve('many.shop.test')
    assert.deepEqual(ipsOf(resolution), [...ips].sort())
    assert.ok(server.asked.includes('A many.shop.test tcp'))
  })

  test('says whether there is no such name or nobody could tell', async () => {
    server.names.set('empty.test', addresses([]))
    server.names.set('broken.test', { kind: 'servfail' })
    server.names.set('refused.test', { kind: 'refused' })
    for (const [name, failure, reason] of [
      ['absent.test', 'nxdomain', 'absent.test: no such name'],
      ['empty.test', 'nxdomain', 'empty.test: no such name'],
      ['broken.test', 'temporary', 'broken.test: ESERVFAIL'],
      ['refused.test', 'temporary', 'refused.test: EREFUSED'],
    ] as const) {
      assert.deepEqual(await resolverWith().resolve(name), { failure, reason })
    }
    server.names.set('silent.test', { kind: 'silent' })
    const silence = { failure: 'temporary', reason: 'silent.test: ETIMEOUT' }
    assert.deepEqual(await resolverWith(IMPATIENT).resolve('silent.test'), silence)
  })

  test('an unreachable name server is a temporary failure', async () => {
    const gone = await DnsServer.start()
    const { address } = gone
    await gone.stop()
    const resolution = await resolverWith({ nameservers: [address] }).resolve('api.shop.test')
    assert.equal(resolution.failure, 'temporary')
  })

  test('close gives up what is being asked', async () => {
    server.names.set('silent.test', { kind: 'silent' })
    const resolver = resolverWith({ timeoutMs: 60_000 })
    const resolution = resolver.resolve('silent.test')
    while (server.asked.length < 2) await new Promise((resolve) => setImmediate(resolve))
    resolver.close()
    assert.equal((await resolution).failure, 'temporary')
  })
})

describe('resolver: short names', () => {
  const KUBERNETES = 'search shop.svc.cluster.local svc.cluster.local\noptions ndots:5 timeout:1\n'

  test('a short name is looked for in the search domains, in their order', async () => {
    await writeFile(join(folder, 'resolv.conf'), KUBERNETES)
    server.names.set('orders.shop.svc.cluster.local', addresses(['10.1.0.1', '10.1.0.2']))
    server.names.set('orders.svc.cluster.local', addresses(['10.9.9.9']))
    assert.deepEqual(ipsOf(await resolverWith().resolve('orders')), ['10.1.0.1', '10.1.0.2'])
    server.names.set('users.billing.svc.cluster.local', addresses(['10.1.0.3']))
    assert.deepEqual(ipsOf(await resolverWith().resolve('users.billing')), ['10.1.0.3'])
  })

  test('below ndots the domains come first, from ndots on the name itself, with a dot only it', async () => {
    const resolver = resolverWith({ interfaces: interfacesWith('192.0.2.7') })
    await writeFile(join(folder, 'resolv.conf'), 'search a.test b.test.\noptions ndots:2\n')
    server.names.set('x.y', addresses(['192.0.2.1']))
    server.names.set('x.y.z', addresses(['192.0.2.2']))
    assert.deepEqual(ipsOf(await resolver.resolve('x.y')), ['192.0.2.1'])
    assert.deepEqual(ipsOf(await resolver.resolve('x.y.z')), ['192.0.2.2'])
    assert.deepEqual(ipsOf(await resolver.resolve('x.y.')), ['192.0.2.1'])
    const asked = ['x.y.a.test', 'x.y.b.test', 'x.y', 'x.y.z', 'x.y']
    assert.deepEqual(
      questions(),
      asked.map((name) => `A ${name}`),
    )
  })

  test('a domain whose server fails is passed over, but its failure is not forgotten', async () => {
    await writeFile(join(folder, 'resolv.conf'), 'search broken.test good.test\n')
    server.names.set('orders.broken.test', { kind: 'servfail' })
    const expected = { failure: 'temporary', reason: 'orders.broken.test: ESERVFAIL' }
    assert.deepEqual(await resolverWith().resolve('orders'), expected)
    server.names.set('orders.good.test', addresses(['192.0.2.1']))
    assert.deepEqual(ipsOf(await resolverWith().resolve('orders')), ['192.0.2.1'])
  })

  test('a server that does not answer ends the search: the name must not mean another', async () => {
    await writeFile(join(folder, 'resolv.conf'), 'search silent.test good.test\n')
    server.names.set('orders.silent.test', { kind: 'silent' })
    server.names.set('orders.good.test', addresses(['192.0.2.1']))
    const expected = { failure: 'temporary', reason: 'orders.silent.test: ETIMEOUT' }
    assert.deepEqual(await resolverWith(IMPATIENT).resolve('orders'), expected)
  })

  test('resolv.conf is read again when it changes', async () => {
    server.names.set('orders.a.test', addresses(['192.0.2.1']))
    server.names.set('orders.b.test', addresses(['192.0.2.2']))
    const resolver = resolverWith()
    await writeFile(join(folder, 'resolv.conf'), 'search a.test\n')
    assert.deepEqual(ipsOf(await resolver.resolve('orders')), ['192.0.2.1'])
    await writeFile(join(folder, 'resolv.conf'), 'search  b.test\n')
    assert.deepEqual(ipsOf(await resolver.resolve('orders')), ['192.0.2.2'])
  })
})

describe('resolv.conf', () => {
  test('reads servers, the last of search and domain, and options', () => {
    const text = [
      'nameserver 192.0.2.53 # first',
      'nameserver 2001:db8::53',
      '; nameserver 192.0.2.54',
      'domain old.test',
      'search A.test. b.test',
      'options ndots:3 timeout:7 attempts:99 rotate',
    ].join('\n')
    assert.deepEqual(parseResolvConf(text), {
      nameservers: ['192.0.2.53', '2001:db8::53'],
      search: ['A.test', 'b.test'],
      ndots: 3,
      timeoutMs: 7000,
      tries: 5,
    })
    assert.deepEqual(parseResolvConf('search a.test\ndomain b.test').search, ['b.test'])
  })

  test('an empty file asks for the name as it is', () => {
    const conf = parseResolvConf('')
    assert.deepEqual(fullNames('orders', conf), ['orders'])
    assert.equal(conf.ndots, 1)
  })
})
