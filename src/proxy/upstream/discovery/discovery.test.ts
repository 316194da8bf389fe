import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { ManualClock } from '../../../lib/clock.ts'
import { TimerWheel } from '../../../lib/timer-wheel.ts'
import { type AddressChange, Discovery } from './discovery.ts'
import { DnsServer } from './dns-server.test-support.ts'
import { type NameResolver, type Resolution, SystemResolver } from './resolver.ts'

const NAME = 'api.shop.test'
let server: DnsServer

before(async () => {
  server = await DnsServer.start()
})

after(() => server.stop())

beforeEach(() => server.names.clear())

/** A watch on NAME with time in the test's hands, and all that it reported. */
class Watch {
  readonly clock = new ManualClock()
  readonly wheel = new TimerWheel(this.clock, { manual: true })
  readonly changes: AddressChange[] = []
  readonly failures: string[] = []
  readonly discovery: Discovery
  #looks = 0
  #onLook: (() => void) | null = null

  constructor(host = NAME, resolver: NameResolver = dnsResolver()) {
    const counting: NameResolver = {
      resolve: async (name): Promise<Resolution> => {
        const resolution = await resolver.resolve(name)
        // After the discovery has taken it.
        setImmediate(() => {
          this.#looks += 1
          this.#onLook?.()
        })
        return resolution
      },
    }
    const settings = { host, ttlMinMs: 1000, ttlMaxMs: 60_000 }
    this.discovery = new Discovery(settings, counting, this.wheel, {
      onChange: (change) => this.changes.push(change),
      onFailure: (failure, reason) => this.failures.push(`${failure}: ${reason}`),
    })
  }

  async start(): Promise<void> {
    await Promise.all([this.discovery.start(), this.#nextLook()])
  }

  /** Lets time pass; true when that led to another look-up, which is then done. */
  async pass(ms: number): Promise<boolean> {
    const looked = this.#nextLook()
    const armed = this.discovery.armed
    this.clock.advance(ms)
    this.wheel.advance(this.clock.now())
    if (!armed || this.discovery.armed) return false
    await looked
    return true
  }

  #nextLook(): Promise<void> {
    const looks = this.#looks
    return new Promise((resolve) => {
      this.#onLook = () => {
        if (this.#looks > looks) resolve()
      }
    })
  }
}

function dnsResolver(timeoutMs = 2000, tries = 4): SystemResolver {
  return new SystemResolver({
    hostsFile: '/dev/null',
    resolvConf: '/dev/null',
    nameservers: [server.address],
    timeoutMs,
    tries,
  })
}

function setAddresses(ips: readonly string[], ttl: number): void {
  server.names.set(NAME, { kind: 'addresses', ips, ttl })
}

describe('discovery', () => {
  test('reports all addresses at first, and later only what changed', async () => {
    setAddresses(['192.0.2.2', '192.0.2.1'], 30)
    const watch = new Watch()
    await watch.start()
    assert.deepEqual(watch.changes, [
      {
        addresses: ['192.0.2.1', '192.0.2.2'],
        added: ['192.0.2.1', '192.0.2.2'],
        removed: [],
      },
    ])
    assert.equal(await watch.pass(29_000), false)
    setAddresses(['192.0.2.2', '192.0.2.3'], 30)
    assert.equal(await watch.pass(1500), true)
    assert.deepEqual(watch.changes.slice(1), [
      { addresses: ['192.0.2.2', '192.0.2.3'], added: ['192.0.2.3'], removed: ['192.0.2.1'] },
    ])
    watch.discovery.stop()
  })

  test('the same set in another order is no change', async () => {
    setAddresses(['192.0.2.1', '192.0.2.2'], 5)
    const watch = new Watch()
    await watch.start()
    setAddresses(['192.0.2.2', '192.0.2.1'], 5)
    assert.equal(await watch.pass(5500), true)
    assert.equal(watch.changes.length, 1)
    watch.discovery.stop()
  })

  test('times to live are kept within the bounds', async () => {
    setAddresses(['192.0.2.1'], 0)
    const watch = new Watch()
    await watch.start()
    assert.equal(await watch.pass(900), false)
    setAddresses(['192.0.2.1'], 86_400)
    assert.equal(await watch.pass(200), true)
    assert.equal(await watch.pass(59_000), false)
    assert.equal(await watch.pass(1500), true)
    watch.discovery.stop()
  })

  test('SERVFAIL and silence keep the addresses, and the questions become rarer', async () => {
    setAddresses(['192.0.2.1'], 5)
    const [patient, impatient] = [dnsResolver(), dnsResolver(100, 1)]
    const watch = new Watch(NAME, {
      resolve: (name) =>
        (server.names.get(NAME)?.kind === 'silent' ? impatient : patient).resolve(name),
    })
    await watch.start()
    server.names.set(NAME, { kind: 'servfail' })
    assert.equal(await watch.pass(5500), true)
    server.names.set(NAME, { kind: 'silent' })
    assert.equal(await watch.pass(400), false)
    assert.equal(await watch.pass(200), true)
    assert.equal(await watch.pass(900), false)
    assert.equal(await watch.pass(200), true)
    assert.equal(watch.discovery.failures, 3)
    assert.deepEqual(watch.failures, [
      `temporary: ${NAME}: ESERVFAIL`,
      `temporary: ${NAME}: ETIMEOUT`,
      `temporary: ${NAME}: ETIMEOUT`,
    ])
    assert.deepEqual(watch.discovery.addresses, ['192.0.2.1'])
    assert.equal(watch.changes.length, 1)
    setAddresses(['192.0.2.2'], 5)
    assert.equal(await watch.pass(2500), true)
    assert.deepEqual(watch.discovery.addresses, ['192.0.2.2'])
    assert.equal(watch.discovery.failures, 0)
    watch.discovery.stop()
  })

  test('NXDOMAIN drops all addresses, and they come back with the name', async () => {
    setAddresses(['192.0.2.1', '192.0.2.2'], 5)
    const watch = new Watch()
    await watch.start()
    server.names.delete(NAME)
    assert.equal(await watch.pass(5500), true)
    assert.deepEqual(watch.changes[1], {
      addresses: [],
      added: [],
      removed: ['192.0.2.1', '192.0.2.2'],
    })
    setAddresses(['192.0.2.1'], 5)
    assert.equal(await watch.pass(600), true)
    assert.deepEqual(watch.discovery.addresses, ['192.0.2.1'])
    watch.discovery.stop()
  })

  test('a name that fails at first is found later', async () => {
    server.names.set(NAME, { kind: 'servfail' })
    const watch = new Watch()
    await watch.start()
    assert.deepEqual(watch.changes, [])
    setAddresses(['192.0.2.1'], 5)
    assert.equal(await watch.pass(600), true)
    assert.deepEqual(watch.discovery.addresses, ['192.0.2.1'])
    watch.discovery.stop()
  })

  test('a literal address is asked for once', async () => {
    const watch = new Watch('192.0.2.1')
    await watch.start()
    assert.deepEqual(watch.discovery.addresses, ['192.0.2.1'])
    assert.equal(watch.wheel.size, 0)
  })

  test('after stop nothing is asked or reported, even if an answer is on its way', async () => {
    setAddresses(['192.0.2.1'], 5)
    const watch = new Watch()
    const started = watch.start()
    watch.discovery.stop()
    await started
    assert.deepEqual(watch.changes, [])
    assert.equal(watch.wheel.size, 0)
  })
})
