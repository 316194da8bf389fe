// A request that takes long is sent to another endpoint as well: the first good answer counts, the other
// attempt leaves nothing behind, and never is an outage made worse by it.
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { seededRandom } from '../../src/proxy/upstream/balancers/balancer.contract.ts'
import { Changes, eventually } from '../support/changes.ts'
import { HOST } from '../support/faults.ts'
import { ask, fleet, Load } from '../support/fleet.ts'
import { type Settings, TestGateway } from '../support/gateway.ts'
import { RecordingUpstream, type UpstreamConnection } from '../support/recording-upstream.ts'

/** A request that an endpoint received and has not answered. */
interface Arrival {
  readonly endpoint: number
  readonly connection: UpstreamConnection
  readonly target: string
}

/** Endpoints that answer only when a test says so, and how. */
class Desk {
  readonly arrivals: Arrival[] = []
  readonly upstreams: RecordingUpstream[] = []
  readonly #changes = new Changes()

  async open(count: number): Promise<void> {
    for (let endpoint = 0; endpoint < count; endpoint++) {
      const upstream = await RecordingUpstream.start(async (connection) => {
        for (let request = await connection.nextRequest(); request !== null; ) {
          this.arrivals.push({ endpoint, connection, target: request.target })
          this.#changes.notify()
          request = await connection.nextRequest()
        }
      })
      this.upstreams.push(upstream)
    }
  }

  /** The request that came as number `index`, over all endpoints. */
  arrival(index: number): Promise<Arrival> {
    return this.#changes.until(
      () => this.arrivals[index] ?? null,
      () => `request ${index}; there were ${this.arrivals.length}`,
    )
  }
}

const GET = `GET / HTTP/1.1\r\n${HOST}\r\n`
const UNWELL = 'HTTP/1.1 503 No\r\nContent-Length: 5\r\n\r\nsorry'
const HEDGE = { after: '20ms' }

function serviceOf(desk: Desk, service: Settings = {}): Settings {
  return {
    endpoints: desk.upstreams.map(({ url }) => url),
    balance: 'round-robin',
    ejection: false,
    hedge: HEDGE,
    ...service,
  }
}

async function start(t: TestContext, count: number, service: Settings = {}, more: Settings = {}) {
  const desk = new Desk()
  await desk.open(count)
  let gateway: TestGateway | null = null
  t.after(async () => {
    try {
      await gateway?.close()
    } finally {
      for (const upstream of desk.upstreams) await upstream.close()
    }
  })
  gateway = await TestGateway.to(serviceOf(desk, service), more)
  return { desk, gateway, client: await gateway.connect() }
}

function hedges(gateway: TestGateway): { sent: number; won: number; refused: number } {
  const count = (name: string): number => gateway.metric(`gatehouse_upstream_hedges${name}_total`)
  return { sent: count(''), won: count('_won'), refused: count('_refused') }
}

/** Nothing is under way any more, and nobody is counted anywhere. */
async function assertQuiet(gateway: TestGateway): Promise<void> {
  await gateway.settled()
  assert.equal(gateway.inFlight(), 0)
}

describe('the first good answer counts', () => {
  test('the hedge wins: the connection of the first attempt is closed, and nobody gets its bytes', async (t) => {
    const { desk, gateway, client } = await start(t, 2)
    const answer = client.exchange(GET)
    const [first, second] = [await desk.arrival(0), await desk.arrival(1)]
    assert.notEqual(first.endpoint, second.endpoint)
    await first.connection.send('HTTP/1.1 200 OK\r\nContent-')
    await second.connection.answer('second')
    assert.equal((await answer).text, 'second')
    assert.notEqual(await first.connection.closed(), 'open')
    await assertQuiet(gateway)
    assert.deepEqual(hedges(gateway), { sent: 1, won: 1, refused: 0 })
    const next = client.exchange(GET)
    await (await desk.arrival(2)).connection.answer('third')
    assert.equal((await next).text, 'third')
  })

  test('the first attempt wins: the hedge is closed', async (t) => {
    const { desk, gateway, client } = await start(t, 2)
    const answer = client.exchange(GET)
    const [first, second] = [await desk.arrival(0), await desk.arrival(1)]
    await first.connection.answer('first')
    assert.equal((await answer).text, 'first')
    assert.notEqual(await second.connection.closed(), 'open')
    await assertQuiet(gateway)
    assert.deepEqual(hedges(gateway), { sent: 1, won: 0, refused: 0 })
    assert.equal(desk.arrivals.length, 2)
  })

  test('once it has begun it is the only one, however long its body takes', async (t) => {
    const { desk, gateway, client } = await start(t, 3, { hedge: { after: '20ms', max: 2 } })
    const answer = client.exchange(GET)
    const first = await desk.arrival(0)
    const second = await desk.arrival(1)
    await second.connection.send('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsec')
    assert.notEqual(await first.connection.closed(), 'open')
    await second.connection.send('ond')
    assert.equal((await answer).text, 'second')
    await assertQuiet(gateway)
  })

  test('of HEAD as well', async (t) => {
    const { desk, gateway, client } = await start(t, 2)
    const answer = client.exchange(GET.replace('GET', 'HEAD'), 'HEAD')
    await desk.arrival(0)
    const second = await desk.arrival(1)
    await second.connection.send('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n')
    assert.equal((await answer).status, 200)
    await assertQuiet(gateway)
  })

  test('two hedges go to two more endpoints, one after the other', async (t) => {
    const { desk, gateway, client } = await start(t, 4, { hedge: { after: '20ms', max: 2 } })
    const answer = client.exchange(GET)
    const third = await desk.arrival(2)
    assert.equal(new Set(desk.arrivals.map(({ endpoint }) => endpoint)).size, 3)
    await third.connection.answer('third')
    assert.equal((await answer).text, 'third')
    for (const { connection } of desk.arrivals.slice(0, 2)) {
      assert.notEqual(await connection.closed(), 'open')
    }
    await assertQuiet(gateway)
    assert.deepEqual(hedges(gateway), { sent: 2, won: 1, refused: 0 })
  })
})

describe('an answer that would be tried again does not count while another attempt runs', () => {
  for (const [name, bad, good] of [
    ['of the first attempt', 0, 1],
    ['of the hedge', 1, 0],
  ] as const) {
    test(name, async (t) => {
      const { desk, gateway, client } = await start(t, 2)
      const answer = client.exchange(GET)
      await desk.arrival(1)
      await desk.arrivals[bad]!.connection.send(UNWELL)
      await eventually(
        () => gateway.inFlight() === 1,
        () => 'the bad answer to be let go',
      )
      await desk.arrivals[good]!.connection.answer('good')
      assert.equal((await answer).text, 'good')
      await assertQuiet(gateway)
      assert.equal(desk.arrivals.length, 2)
      // The connection with the answer that nobody got is as good as before.
      assert.equal(gateway.stats().upstreamConnectionsIdle, 2)
    })

    test(`${name}: nor does a connection that ends`, async (t) => {
      const { desk, gateway, client } = await start(t, 2)
      const answer = client.exchange(GET)
      await desk.arrival(1)
      desk.arrivals[bad]!.connection.reset()
      await eventually(
        () => gateway.inFlight() === 1,
        () => 'the failure to be seen',
      )
      await desk.arrivals[good]!.connection.answer('good')
      assert.equal((await answer).text, 'good')
      await assertQuiet(gateway)
      assert.equal(gateway.metric('gatehouse_upstream_retries_total'), 0)
    })
  }

  test('nor is its end waited for', async (t) => {
    const { desk, gateway, client } = await start(t, 2)
    const answer = client.exchange(GET)
    await desk.arrival(1)
    await desk.arrivals[0]!.connection.send(UNWELL.slice(0, -2))
    await eventually(
      () => gateway.inFlight() === 1,
      () => 'the bad answer to be let go',
    )
    await desk.arrivals[1]!.connection.answer('good')
    assert.equal((await answer).text, 'good')
    assert.notEqual(await desk.arrivals[0]!.connection.closed(), 'open')
  })

  test('both fail: a third endpoint is tried, as after any failure', async (t) => {
    const { desk, gateway, client } = await start(t, 3)
    const answer = client.exchange(GET)
    await desk.arrival(1)
    await desk.arrivals[0]!.connection.send(UNWELL)
    desk.arrivals[1]!.connection.reset()
    const third = await desk.arrival(2)
    assert.equal(new Set(desk.arrivals.map(({ endpoint }) => endpoint)).size, 3)
    await third.connection.answer('third')
    assert.equal((await answer).text, 'third')
    await assertQuiet(gateway)
    assert.equal(gateway.metric('gatehouse_upstream_retries_total'), 1)
  })

  test('both fail and no endpoint is left: the client gets the last failure', async (t) => {
    const { desk, gateway, client } = await start(t, 2)
    const answer = client.exchange(GET)
    await desk.arrival(1)
    desk.arrivals[0]!.connection.reset()
    await eventually(
      () => gateway.inFlight() === 1,
      () => 'the first failure to be seen',
    )
    await desk.arrivals[1]!.connection.send(UNWELL)
    const { status, text } = await answer
    assert.deepEqual([status, text], [503, 'sorry'])
    await assertQuiet(gateway)
  })

  test('an attempt that is over its time leaves the hedge to its own', async (t) => {
    const { desk, gateway, client } = await start(t, 2, {
      timeouts: { attempt: '300ms' },
      hedge: { after: '150ms' },
    })
    const answer = client.exchange(GET)
    await desk.arrival(1)
    await eventually(
      () => gateway.inFlight() === 1,
      () => 'the first attempt to end',
    )
    assert.notEqual(await desk.arrivals[0]!.connection.closed(), 'open')
    assert.equal((await answer).problem.code, 'upstream_timeout')
    await assertQuiet(gateway)
    assert.equal(gateway.metric('gatehouse_upstream_errors_total'), 2)
  })
})

describe('what is never hedged', { concurrency: 8 }, () => {
  async function assertOnce(t: TestContext, request: string, service: Settings, more = {}) {
    const { desk, gateway, client } = await start(
      t,
      2,
      { timeouts: { response: '300ms' }, ...service },
      more,
    )
    const answer = await client.exchange(request)
    assert.equal(answer.status, 504)
    assert.equal(desk.arrivals.length, 1)
    assert.deepEqual(hedges(gateway).sent, 0)
    return gateway
  }
  const once: Settings = { retries: { attempts: 0 } }

  for (const [name, request] of [
    ['POST', `POST / HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`],
    ['POST with an Idempotency-Key', `POST / HTTP/1.1\r\n${HOST}Idempotency-Key: a\r\n\r\n`],
    ['PUT', `PUT / HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\nx`],
    ['DELETE', `DELETE / HTTP/1.1\r\n${HOST}\r\n`],
    ['GET with a body', `GET / HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\nx`],
    ['an upgrade', `GET / HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`],
  ] as const) {
    test(name, async (t) => {
      await assertOnce(t, request, once)
    })
  }

  test('a request of a route where nothing is sent twice', async (t) => {
    await assertOnce(t, GET, {}, { routes: [{ path: '/*', to: 's', retries: false }] })
  })

  test('a request for which the budget has no room', async (t) => {
    const gateway = await assertOnce(t, GET, {
      retries: { attempts: 0, budget: { share: 0, minPerSecond: 0 } },
    })
    assert.equal(hedges(gateway).refused, 1)
  })

  test('a request that has only one endpoint to go to', async (t) => {
    const desk = new Desk()
    await desk.open(1)
    const gateway = await TestGateway.to(serviceOf(desk, { timeouts: { response: '200ms' } }))
    t.after(async () => {
      await gateway.close()
      for (const upstream of desk.upstreams) await upstream.close()
    })
    const client = await gateway.connect()
    assert.equal((await client.exchange(GET)).status, 504)
    assert.equal(desk.arrivals.length, 1)
  })

  test('a request that finds out whether the service works again', async (t) => {
    const { desk, client } = await start(t, 2, {
      timeouts: { response: '200ms' },
      retries: { attempts: 0 },
      hedge: { after: '100ms' },
      breaker: { requests: 1, open: '100ms', probes: 1 },
    })
    const failing = client.exchange(GET)
    await (await desk.arrival(0)).connection.send(UNWELL)
    assert.equal((await failing).status, 503)
    await eventually(
      async () => (await client.exchange(GET)).status === 504,
      () => 'a probe',
    )
    assert.equal(desk.arrivals.length, 2)
  })
})

describe('whatever ends the exchange ends all of its attempts', () => {
  test('the client goes away with two of them under way', async (t) => {
    const { desk, gateway, client } = await start(t, 2)
    client.send(GET)
    await desk.arrival(1)
    assert.equal(gateway.inFlight(), 2)
    client.reset()
    for (const { connection } of desk.arrivals) assert.notEqual(await connection.closed(), 'open')
    await gateway.idle()
    assert.equal(gateway.inFlight(), 0)
  })

  test('its deadline passes', async (t) => {
    const { desk, gateway, client } = await start(t, 2, { deadline: { header: 'grpc-timeout' } })
    const answer = client.exchange(`GET / HTTP/1.1\r\n${HOST}grpc-timeout: 300m\r\n\r\n`)
    await desk.arrival(1)
    assert.equal((await answer).problem.code, 'deadline_exceeded')
    await assertQuiet(gateway)
    const told = desk.arrivals.map(({ connection }) =>
      Number(/grpc-timeout: (\d+)m/.exec(connection.text)![1]),
    )
    assert.ok(told[1]! < told[0]!, `${told}`)
  })

  test('its own time is over', async (t) => {
    const { desk, gateway, client } = await start(t, 2, { timeouts: { exchange: '300ms' } })
    const answer = client.exchange(GET)
    await desk.arrival(1)
    assert.equal((await answer).problem.code, 'exchange_timeout')
    await assertQuiet(gateway)
    assert.equal(gateway.metric('gatehouse_upstream_errors_total'), 2)
  })
})

describe('a hedge that waits for a connection', () => {
  const single: Settings = { connections: { max: 1 } }
  const ORDER = `POST /order HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`

  test('gives its place in the queue up when the first attempt is answered', async (t) => {
    const { desk, gateway, client } = await start(t, 2, single)
    const other = await gateway.connect()
    const order = other.exchange(ORDER)
    const busy = await desk.arrival(0)
    const answer = client.exchange(GET)
    const first = await desk.arrival(1)
    assert.notEqual(first.endpoint, busy.endpoint)
    await eventually(
      () => gateway.stats().upstreamWaiters === 1,
      () => 'the hedge to wait',
    )
    await first.connection.answer('first')
    assert.equal((await answer).text, 'first')
    assert.equal(gateway.stats().upstreamWaiters, 0)
    assert.equal(gateway.inFlight(), 1)
    await busy.connection.answer('ordered')
    assert.equal((await order).text, 'ordered')
    await assertQuiet(gateway)
    assert.equal(desk.arrivals.length, 2)
  })

  test('wins all the same if it gets one in time', async (t) => {
    const { desk, gateway, client } = await start(t, 2, single)
    const other = await gateway.connect()
    const order = other.exchange(ORDER)
    const busy = await desk.arrival(0)
    const answer = client.exchange(GET)
    await desk.arrival(1)
    await eventually(
      () => gateway.stats().upstreamWaiters === 1,
      () => 'the hedge to wait',
    )
    await busy.connection.answer('ordered')
    assert.equal((await order).text, 'ordered')
    const hedge = await desk.arrival(2)
    assert.equal(hedge.connection, busy.connection)
    await hedge.connection.answer('hedge')
    assert.equal((await answer).text, 'hedge')
    await assertQuiet(gateway)
  })

  test('goes on alone when the queue is too long for the first attempt', async (t) => {
    const connections = { max: 1, queueTimeout: '250ms' }
    const { desk, gateway, client } = await start(t, 2, { connections, retries: { attempts: 0 } })
    const other = await gateway.connect()
    const order = other.exchange(ORDER)
    const busy = await desk.arrival(0)
    // In turn: this one goes to the other endpoint, the next one to the busy one.
    const before = client.exchange(ORDER)
    await (await desk.arrival(1)).connection.answer('before')
    assert.equal((await before).text, 'before')
    const answer = client.exchange(GET)
    const hedge = await desk.arrival(2)
    assert.notEqual(hedge.endpoint, busy.endpoint)
    await eventually(
      () => gateway.metric('gatehouse_upstream_queue_timeouts_total') === 1,
      () => 'the first attempt to give up',
    )
    await hedge.connection.answer('hedge')
    assert.equal((await answer).text, 'hedge')
    await busy.connection.answer('ordered')
    await order
    await assertQuiet(gateway)
  })

  test('ends with the deadline of the request, though the first attempt gave up its place', async (t) => {
    const connections = { max: 1, queueTimeout: '100ms' }
    const deadline = { header: 'X-Deadline', unit: 'ms' }
    const { desk, gateway, client } = await start(t, 2, { connections, deadline })
    const other = await gateway.connect()
    const order = other.exchange(ORDER)
    const busy = await desk.arrival(0)
    const before = client.exchange(ORDER)
    await (await desk.arrival(1)).connection.answer('before')
    await before
    const answer = client.exchange(`GET / HTTP/1.1\r\n${HOST}X-Deadline: 1500\r\n\r\n`)
    const hedge = await desk.arrival(2)
    assert.notEqual(hedge.endpoint, busy.endpoint)
    assert.equal((await answer).problem.code, 'deadline_exceeded')
    assert.notEqual(await hedge.connection.closed(), 'open')
    await busy.connection.answer('ordered')
    await order
    await assertQuiet(gateway)
  })
})

test('a reload between an attempt and its hedge changes nothing for them', async (t) => {
  const { desk, gateway, client } = await start(t, 2)
  const answer = client.exchange(GET)
  await desk.arrival(1)
  await gateway.apply({
    services: { s: serviceOf(desk, { hedge: undefined }) },
    routes: [{ path: '/*', to: 's' }],
  })
  await desk.arrivals[1]!.connection.answer('hedge')
  assert.equal((await answer).text, 'hedge')
  await assertQuiet(gateway)
})

test('a hedge whose kept connection has died is sent on another one', async (t) => {
  const { desk, gateway, client } = await start(t, 2)
  // One kept connection at each endpoint.
  for (let i = 0; i < 2; i++) {
    const answer = client.exchange(`POST / HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`)
    await (await desk.arrival(i)).connection.answer('ok')
    await answer
  }
  const answer = client.exchange(GET)
  const second = await desk.arrival(3)
  second.connection.reset()
  const third = await desk.arrival(4)
  assert.equal(third.endpoint, second.endpoint)
  await third.connection.answer('hedge')
  assert.equal((await answer).text, 'hedge')
  await assertQuiet(gateway)
})

test('an attempt whose kept connection has died, and that may not be repeated, leaves it to the hedge', async (t) => {
  const { desk, gateway, client } = await start(t, 2, { retries: { methods: ['PUT'] } })
  for (let i = 0; i < 2; i++) {
    const answer = client.exchange(`POST / HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`)
    await (await desk.arrival(i)).connection.answer('ok')
    await answer
  }
  const answer = client.exchange(GET)
  const [first, second] = [await desk.arrival(2), await desk.arrival(3)]
  first.connection.reset()
  await eventually(
    () => gateway.metric('gatehouse_upstream_errors_total') === 1,
    () => 'the first attempt to fail',
  )
  await second.connection.answer('hedge')
  assert.equal((await answer).text, 'hedge')
  await assertQuiet(gateway)
})

describe('by a percentile', () => {
  test('nothing is hedged before enough is known, and then what is slower than most', async (t) => {
    const instances = await fleet(3)
    const service = {
      endpoints: instances.map(({ url }) => url),
      balance: 'round-robin',
      ejection: false,
      hedge: { after: 'p90' },
      retries: { budget: { share: 1 } },
    }
    const gateway = await TestGateway.to(service)
    t.after(async () => {
      await gateway.close()
      for (const instance of instances) await instance.close()
    })
    const warm = new Load(gateway.port, 6)
    await instances[0]!.become('slow')
    for (let i = 0; i < 3; i++) assert.equal((await ask(gateway.port)).status, 200)
    assert.equal(hedges(gateway).sent, 0)
    await instances[0]!.become('ok')
    await warm.more(300)
    await warm.stop()
    await instances[0]!.become('stall')
    for (let i = 0; i < 6; i++) assert.equal((await ask(gateway.port)).status, 200)
    assert.ok(hedges(gateway).won >= 2)
  })
})

for (const balance of [
  'round-robin',
  'least-connections',
  'p2c',
  'random',
  { hash: { by: 'path' } },
]) {
  test(`with ${JSON.stringify(balance)} an endpoint that hangs is seen by no client`, async (t) => {
    const instances = await fleet(3)
    const gateway = await TestGateway.to({
      endpoints: instances.map(({ url }) => url),
      balance,
      hedge: { after: '50ms' },
      retries: { attempts: 0, budget: { share: 1 } },
    })
    t.after(async () => {
      await gateway.close()
      for (const instance of instances) await instance.close()
    })
    await instances[1]!.become('stall')
    const paths = Array.from({ length: 40 }, (_, index) => `/${index}`)
    const answers = await Promise.all(paths.map((path) => ask(gateway.port, { path })))
    assert.ok(answers.every(({ status }) => status === 200))
    assert.ok(instances[1]!.requests > 0)
    await gateway.settled()
    assert.equal(gateway.inFlight(), 0)
    assert.equal(gateway.metric('gatehouse_upstream_errors_total'), 0)
  })
}

test('whatever endpoints and clients do, nothing is left of it', async (t) => {
  const random = seededRandom(4711)
  const instances = await fleet(3)
  const gateway = await TestGateway.to({
    endpoints: instances.map(({ url }) => url),
    connections: { max: 6 },
    timeouts: { attempt: '100ms', exchange: '400ms', response: '300ms' },
    retries: { attempts: 2, on: ['connect', 'reset', 'timeout', 500, 503], budget: { share: 1 } },
    hedge: { after: '10ms', max: 2 },
    breaker: { open: '100ms', requests: 50, ratio: 0.9 },
  })
  t.after(async () => {
    await gateway.close()
    for (const instance of instances) await instance.close()
  })
  const modes = ['ok', 'ok', 'refuse', 'reset', 'stall', '500', '503', 'slow'] as const
  const load = new Load(gateway.port, 8)
  // On a machine that is slow enough all hedges may lose for a while.
  for (let round = 0; round < 25 || hedges(gateway).won === 0; round++) {
    for (const instance of instances) {
      await instance.become(modes[Math.floor(random() * modes.length)]!)
    }
    const leaving = await Promise.all(Array.from({ length: 4 }, () => gateway.connect()))
    for (const client of leaving) client.send(GET)
    await load.more(Math.floor(random() * 20))
    for (const client of leaving) client.reset()
  }
  await load.stop()
  await gateway.disconnect()
  await gateway.settled()
  assert.equal(gateway.inFlight(), 0)
  for (const instance of instances) await instance.become('ok')
  await eventually(
    async () => (await ask(gateway.port)).status === 200,
    () => 'the service to be used again',
  )
})
