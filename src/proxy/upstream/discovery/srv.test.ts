import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import fc from 'fast-check'
import { propertyOptions } from '../../../../test/support/property.ts'
import { ManualClock } from '../../../lib/clock.ts'
import { TimerWheel } from '../../../lib/timer-wheel.ts'
import { readSrvAnswer, type SrvRecord, srvQuestion } from './dns-message.ts'
import { type Behaviour, DnsServer } from './dns-server.test-support.ts'
import { ENDPOINTS_MAX, type SourcedEndpoint } from './endpoint-source.ts'
import { type SrvResolution, type SrvResolver, SystemResolver } from './resolver.ts'
import { endpointsOf } from './srv-endpoints.ts'
import { srvSource } from './srv-source.ts'

const NAME = '_http._tcp.orders.test'
let server: DnsServer

before(async () => {
  server = await DnsServer.start()
})

after(() => server.stop())

beforeEach(() => {
  server.names.clear()
  server.asked.length = 0
})

function resolver(nameservers = [server.address], timeoutMs = 5000): SystemResolver {
  const files = { hostsFile: '/dev/null', resolvConf: '/dev/null' }
  return new SystemResolver({ ...files, nameservers, timeoutMs, tries: 1 })
}

function services(records: string[], ttl = 30): Behaviour {
  return { kind: 'services', records, ttl }
}

describe('SRV records', () => {
  test('are read with their time to live, also through an alias', async () => {
    server.names.set(NAME, services(['10 5 8001 A.shop.test', '20 0 8002 b.shop.test'], 30))
    server.names.set('alias.test', { kind: 'alias', target: NAME, ttl: 7 })
    const records = [
      { priority: 10, weight: 5, port: 8001, target: 'a.shop.test' },
      { priority: 20, weight: 0, port: 8002, target: 'b.shop.test' },
    ]
    assert.deepEqual(await resolver().resolveSrv(NAME), { failure: null, records, ttlMs: 30_000 })
    assert.deepEqual(await resolver().resolveSrv('alias.test'), {
      failure: null,
      records,
      ttlMs: 7000,
    })
  })

  test('come over TCP when they do not fit', async () => {
    const long = 'x'.repeat(40)
    server.names.set(
      NAME,
      services(Array.from({ length: 60 }, (_, i) => `1 1 80 ${long}${i}.test`)),
    )
    const answer = await resolver().resolveSrv(NAME)
    assert.ok(answer.failure === null)
    assert.equal(answer.records.length, 60)
    assert.deepEqual(server.asked, [`SRV ${NAME}`, `SRV ${NAME} tcp`])
  })

  for (const [what, behaviour, failure, code] of [
    ['a name that is not there', null, 'nxdomain', 'no such name'],
    ['a name without such records', services([]), 'nxdomain', 'no such name'],
    ['a server in trouble', { kind: 'servfail' }, 'temporary', 'ESERVFAIL'],
    ['a server that refuses', { kind: 'refused' }, 'temporary', 'EREFUSED'],
    [
      'an answer that leads out of itself',
      { kind: 'raw', answers: 3, bytes: Buffer.from([0xc0, 0x0c, 0]) },
      'temporary',
      'EBADRESP',
    ],
  ] as const) {
    test(`${what} is ${failure}`, async () => {
      if (behaviour !== null) server.names.set(NAME, behaviour)
      const answer = await resolver().resolveSrv(NAME)
      assert.equal(answer.failure, failure)
      assert.ok(answer.failure !== null && answer.reason.includes(code), JSON.stringify(answer))
    })
  }

  test('are asked of the next name server when one is silent', async () => {
    const silent = await DnsServer.start()
    silent.names.set(NAME, { kind: 'silent' })
    server.names.set(NAME, services(['1 1 80 a.test']))
    const answer = await resolver([silent.address, server.address], 200).resolveSrv(NAME)
    await silent.stop()
    assert.equal(answer.failure, null)
  })

  test('a resolver that is closed waits for nobody', async () => {
    server.names.set(NAME, { kind: 'silent' })
    const closed = resolver([server.address], 600_000)
    const answer = closed.resolveSrv(NAME)
    while (server.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    closed.close()
    assert.equal((await answer).failure, 'temporary')
  })

  test('no bytes of a name server do more than fail', () => {
    const question = srvQuestion(NAME, 7)!
    const head = Buffer.from(question)
    head.writeUInt16BE(0x8180, 2)
    const answers = fc.tuple(
      fc.nat({ max: 8 }),
      fc.array(
        fc.oneof(fc.uint8Array({ maxLength: 12 }), fc.constant(Uint8Array.of(0xc0, 0x0c, 0, 33))),
      ),
    )
    fc.assert(
      fc.property(answers, ([count, pieces]) => {
        head.writeUInt16BE(count, 6)
        const answer = readSrvAnswer(Buffer.concat([head, ...pieces]), question)
        assert.ok(answer?.kind === 'records' || answer?.kind === 'failed')
      }),
      propertyOptions(500),
    )
  })

  test('what is no answer to the question is not read', () => {
    const question = srvQuestion(NAME, 7)!
    const answer = Buffer.from(question)
    assert.equal(readSrvAnswer(answer, question), null, 'the question itself')
    answer.writeUInt16BE(0x8180, 2)
    assert.equal(readSrvAnswer(answer, question)?.kind, 'failed')
    answer.writeUInt16BE(8, 0)
    assert.equal(readSrvAnswer(answer, question), null, 'another id')
    const other = Buffer.from(srvQuestion('_http._tcp.others.test', 7)!)
    other.writeUInt16BE(0x8180, 2)
    assert.equal(readSrvAnswer(other, question), null, 'another name')
    assert.equal(srvQuestion(`${'x'.repeat(64)}.test`, 1), null)
    assert.equal(srvQuestion('a..b', 1), null)
  })
})

describe('endpoints of SRV records', () => {
  const record = (priority: number, weight: number, port = 80, target = 'a.test'): SrvRecord => {
    return { priority, weight, port, target }
  }
  const weights = (records: SrvRecord[]) => endpointsOf(records).map(({ weight }) => weight)

  test('priorities are tiers, and the order is always the same', () => {
    const records = [record(20, 1), record(10, 1, 81), record(10, 1, 80, 'b.test'), record(10, 1)]
    const expected = [
      ['a.test', 80, 10],
      ['a.test', 81, 10],
      ['b.test', 80, 10],
      ['a.test', 80, 20],
    ]
    for (const turned of [records, records.toReversed()]) {
      const places = endpointsOf(turned).map(({ host, port, priority }) => [host, port, priority])
      assert.deepEqual(places, expected)
    }
  })

  test('a weight of 0 has a very small chance beside others, and the same as all where all are 0', () => {
    assert.deepEqual(weights([record(1, 3), record(1, 5, 81)]), [3, 5])
    assert.deepEqual(weights([record(1, 0), record(1, 0, 81)]), [1, 1])
    assert.deepEqual(weights([record(1, 0), record(1, 2, 81), record(2, 0, 82)]), [1, 200, 1])
  })

  test('a record without a target or port is none', () => {
    assert.deepEqual(endpointsOf([record(1, 1, 80, ''), record(1, 1, 0)]), [])
  })
})

describe('a source of SRV records', () => {
  /** A source with time and answers in the test's hands. */
  class Watch {
    readonly clock = new ManualClock()
    readonly wheel = new TimerWheel(this.clock, { manual: true })
    readonly abort = new AbortController()
    readonly published: (readonly SourcedEndpoint[])[] = []
    readonly failures: string[] = []
    answer: SrvResolution = { failure: 'temporary', reason: 'not yet' }
    asked = 0

    constructor() {
      const asked: SrvResolver = {
        resolveSrv: async () => {
          this.asked += 1
          return this.answer
        },
      }
      const settings = { name: NAME, ttlMinMs: 1000, ttlMaxMs: 60_000 }
      srvSource(
        settings,
        asked,
        this.wheel,
      )({
        signal: this.abort.signal,
        publish: (endpoints) => this.published.push(endpoints),
        fail: (reason) => this.failures.push(reason),
      })
    }

    /** With the first question, which nobody could answer, behind it. */
    static async start(): Promise<Watch> {
      const watch = new Watch()
      await new Promise((resolve) => setImmediate(resolve))
      return watch
    }

    found(ttlMs: number, ...records: SrvRecord[]): void {
      this.answer = { failure: null, records, ttlMs }
    }

    async pass(ms: number): Promise<number> {
      const before = this.asked
      this.clock.advance(ms)
      this.wheel.advance(this.clock.now())
      await new Promise((resolve) => setImmediate(resolve))
      return this.asked - before
    }
  }

  const A: SrvRecord = { priority: 1, weight: 1, port: 80, target: 'a.test' }
  const B: SrvRecord = { priority: 1, weight: 1, port: 80, target: 'b.test' }
  const hosts = ({ published }: Watch) => published.map((list) => list.map(({ host }) => host))

  test('publishes what changed, when its time to live, within bounds, is over', async () => {
    const watch = await Watch.start()
    watch.found(0, B, A)
    assert.equal(await watch.pass(600), 1)
    assert.equal(await watch.pass(900), 0)
    watch.found(86_400_000, A, B)
    assert.equal(await watch.pass(200), 1)
    assert.equal(await watch.pass(59_000), 0)
    watch.found(5000, B)
    assert.equal(await watch.pass(1500), 1)
    assert.deepEqual(hosts(watch), [['a.test', 'b.test'], ['b.test']])
    watch.abort.abort()
    assert.equal(watch.wheel.size, 0)
  })

  test('keeps what it knew while nobody can say, and drops it when there is none', async () => {
    const watch = await Watch.start()
    watch.found(5000, A)
    await watch.pass(600)
    watch.answer = { failure: 'temporary', reason: 'ESERVFAIL' }
    await watch.pass(5500)
    await watch.pass(600)
    assert.deepEqual(hosts(watch), [['a.test']])
    watch.answer = { failure: 'nxdomain', reason: 'ENOTFOUND' }
    await watch.pass(1500)
    assert.deepEqual(hosts(watch), [['a.test'], []])
    watch.found(5000, A)
    await watch.pass(3000)
    assert.deepEqual(hosts(watch), [['a.test'], [], ['a.test']])
    watch.abort.abort()
  })

  test('a target of "." says that there is no such service', async () => {
    const watch = await Watch.start()
    watch.found(5000, A)
    await watch.pass(600)
    watch.found(5000, { priority: 0, weight: 0, port: 0, target: '' })
    await watch.pass(5500)
    assert.deepEqual(hosts(watch), [['a.test'], []])
    assert.match(watch.failures.at(-1)!, /the service is not available there/)
    watch.abort.abort()
  })

  test('more records than a service may have endpoints change nothing', async () => {
    const watch = await Watch.start()
    watch.found(5000, A)
    await watch.pass(600)
    watch.found(5000, ...Array.from({ length: ENDPOINTS_MAX + 1 }, () => B))
    await watch.pass(5500)
    assert.deepEqual(hosts(watch), [['a.test']])
    assert.match(watch.failures.at(-1)!, /1001 records; at most 1000/)
    watch.abort.abort()
  })
})
