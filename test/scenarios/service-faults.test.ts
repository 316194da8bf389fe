// What services do wrong, on real sockets: the client gets the right answer with its code, Proxy-Status
// names the reason, no order is placed twice, and afterwards nothing is left.
import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { ERRORS, type ErrorCode } from '../../src/errors.ts'
import { eventually } from '../support/changes.ts'
import { type Pair, pair, type Settings, TestGateway } from '../support/gateway.ts'
import { answersOk, RecordingUpstream, type Script } from '../support/recording-upstream.ts'
import { SilentPort } from '../support/silent-port.ts'
import type { WireResponse } from '../support/strict-http.ts'

const HOST = 'Host: shop.example\r\n'
const GET = `GET / HTTP/1.1\r\n${HOST}\r\n`
const ORDER = `POST /order HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\norder`
const OK = 'HTTP/1.1 200 OK\r\n'

/** The answer that Gatehouse makes for a failure, in every detail that clients rely on. */
function assertFailure(answer: WireResponse, code: ErrorCode): void {
  const { status, proxyStatus } = ERRORS[code]
  assert.equal(answer.problem.code, code)
  assert.equal(answer.status, status)
  assert.equal(answer.problem.status, status)
  assert.match(
    answer.header('proxy-status') ?? '',
    new RegExp(`^gatehouse; error=${proxyStatus}(;|$)`),
  )
  if (status === 503) assert.match(answer.header('retry-after') ?? '', /^[1-9][0-9]*$/)
}

/** The client's connection works on, and when it is gone nothing is left of it. */
async function assertAlive({ gateway, client }: Pair, next = GET): Promise<void> {
  assert.equal((await client.exchange(next)).status, 200)
  client.end()
  assert.equal(await client.closed(), 'fin')
  await gateway.idle()
}

/** A script whose connections for one target fail, and which serves all others. */
function failing(fail: Script): Script {
  return async (connection) => {
    await connection.head()
    if (connection.text.includes(' /fail ')) await fail(connection)
    else await answersOk(connection)
  }
}

const FAIL_GET = `GET /fail HTTP/1.1\r\n${HOST}\r\n`
const FAIL_POST = `POST /fail HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`
const NO_RETRY: Settings = { retries: { attempts: 0 } }

/** A port that nobody listens on. */
async function closedPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** A gateway in front of an address, with a client. */
async function before(t: TestContext, service: Settings, settings: Settings = {}) {
  const gateway = await TestGateway.to(service, settings)
  t.after(() => gateway.close())
  return { gateway, client: await gateway.connect() }
}

describe('connecting', () => {
  test('refused', async (t) => {
    const { gateway, client } = await before(t, { url: `http://127.0.0.1:${await closedPort()}` })
    assertFailure(await client.exchange(GET), 'connect_refused')
    assertFailure(await client.exchange(ORDER), 'connect_refused')
    client.end()
    await gateway.idle()
  })

  test('refused by one endpoint: another takes the request, orders too, for nothing was sent', async (t) => {
    const upstream = await RecordingUpstream.start(answersOk)
    t.after(() => upstream.close())
    const endpoints = [`http://127.0.0.1:${await closedPort()}`, upstream.url]
    const { gateway, client } = await before(t, { endpoints })
    for (let i = 0; i < 4; i++) {
      assert.equal((await client.exchange(GET)).text, 'ok')
      assert.equal((await client.exchange(ORDER)).text, 'ok')
    }
    client.end()
    await gateway.idle()
  })

  test('never answered', async (t) => {
    const silent = await SilentPort.open()
    t.after(() => silent.close())
    const service = { url: `http://127.0.0.1:${silent.port}`, timeouts: { connect: '200ms' } }
    const { gateway, client } = await before(t, { ...service, ...NO_RETRY })
    assertFailure(await client.exchange(GET), 'connect_timeout')
    client.end()
    await gateway.idle()
  })

  test('a client that leaves while its connection is being made', async (t) => {
    const silent = await SilentPort.open()
    t.after(() => silent.close())
    const service = { url: `http://127.0.0.1:${silent.port}`, timeouts: { connect: '500ms' } }
    const { gateway, client } = await before(t, { ...service, ...NO_RETRY })
    client.send(GET)
    client.reset()
    await gateway.idle()
  })
})

describe('before the head', () => {
  for (const [name, code, fail] of [
    ['an end', 'upstream_closed', (connection) => connection.end()],
    ['a reset', 'upstream_reset', (connection) => connection.reset()],
    [
      'an end within the head',
      'upstream_closed',
      async (connection) => {
        await connection.send(`${OK}Content-L`)
        connection.end()
      },
    ],
    [
      'garbage',
      'upstream_invalid',
      (connection) => connection.send('\0\x01\x02\xff garbage\r\n\r\n'),
    ],
  ] as [string, ErrorCode, Script][]) {
    test(name, async (t) => {
      const made = await pair(t, failing(fail), NO_RETRY)
      assertFailure(await made.client.exchange(FAIL_GET), code)
      assertFailure(await made.client.exchange(FAIL_POST), code)
      await assertAlive(made)
    })
  }

  test('a stall', async (t) => {
    const service = { ...NO_RETRY, timeouts: { response: '150ms' } }
    const made = await pair(
      t,
      failing(() => {}),
      service,
    )
    assertFailure(await made.client.exchange(FAIL_GET), 'upstream_timeout')
    assert.notEqual(await made.upstream.connections[0]!.closed(), 'open')
    await assertAlive(made)
  })

  test('a stall within the head', async (t) => {
    const service = { ...NO_RETRY, timeouts: { response: '150ms' } }
    const made = await pair(
      t,
      failing((connection) => connection.send(`${OK}Content-`)),
      service,
    )
    assertFailure(await made.client.exchange(FAIL_GET), 'upstream_timeout')
    await assertAlive(made)
  })

  test('the bound of an exchange ends with it', async (t) => {
    const made = await pair(
      t,
      failing((connection) => connection.reset()),
      {
        ...NO_RETRY,
        timeouts: { exchange: '2m', response: '2m' },
      },
    )
    assertFailure(await made.client.exchange(FAIL_GET), 'upstream_reset')
    assertFailure(await made.client.exchange(FAIL_POST), 'upstream_reset')
    await assertAlive(made)
  })

  test('an exchange that takes longer than it may', async (t) => {
    const service = { timeouts: { exchange: '150ms' } }
    const made = await pair(
      t,
      failing(() => {}),
      service,
    )
    assertFailure(await made.client.exchange(FAIL_GET), 'exchange_timeout')
    await assertAlive(made)
  })
})

describe('within the body', () => {
  for (const [name, fail] of [
    [
      'an end within a length',
      async (connection) => {
        await connection.send(`${OK}Content-Length: 100\r\n\r\npart`)
        connection.end()
      },
    ],
    [
      'a reset within a length',
      async (connection) => {
        await connection.send(`${OK}Content-Length: 100\r\n\r\npart`)
        connection.reset()
      },
    ],
    [
      'an end within chunks',
      async (connection) => {
        await connection.send(`${OK}Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n`)
        connection.end()
      },
    ],
    [
      'a reset within chunks',
      async (connection) => {
        await connection.send(`${OK}Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n`)
        connection.reset()
      },
    ],
    [
      'garbage in the place of a chunk',
      async (connection) => {
        await connection.send(`${OK}Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\nrubbish\r\n`)
      },
    ],
    [
      'a stall',
      async (connection) => {
        await connection.send(`${OK}Content-Length: 100\r\n\r\npart`)
      },
    ],
    [
      'a reset of a body without a length',
      async (connection) => {
        await connection.send(`${OK}\r\npart`)
        connection.reset()
      },
    ],
  ] as [string, Script][]) {
    test(`${name} cuts the client off, and never ends its answer properly`, async (t) => {
      const begun = Promise.withResolvers<void>()
      const made = await pair(
        t,
        failing(async (connection) => {
          // The part is with the client before the rest goes wrong, so that no 502 is possible.
          const send = connection.send.bind(connection)
          connection.send = async (bytes) => {
            await send(bytes)
            await begun.promise
          }
          await fail(connection)
        }),
        { ...NO_RETRY, timeouts: { idle: '200ms' } },
      )
      made.client.send(FAIL_GET)
      if (name.startsWith('garbage')) begun.resolve()
      else {
        await made.client.receives('part')
        begun.resolve()
      }
      assert.notEqual(await made.client.closed(), 'open')
      const text = made.client.received.toString('latin1')
      assert.doesNotMatch(text, /\r\n0\r\n/)
      await made.gateway.idle()
      const next = await made.gateway.connect()
      assert.equal((await next.exchange(GET)).text, 'ok')
    })
  }
})

describe('a kept connection that has died', () => {
  /** Serves one request per connection and is gone when the next one comes. */
  const goneAtTheSecond: Script = async (connection) => {
    await connection.request()
    await connection.answer('ok')
    await connection.nextRequest()
    connection.reset()
  }

  test('is replaced for a request that can be sent again', async (t) => {
    const made = await pair(t, goneAtTheSecond, NO_RETRY)
    for (let i = 0; i < 5; i++) assert.equal((await made.client.exchange(GET)).text, 'ok')
    const body = `PUT / HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`
    assert.equal((await made.client.exchange(body)).text, 'ok')
    assert.match(made.upstream.connections.at(-1)!.text, /^PUT [\s\S]*\r\n\r\nhello$/)
    made.client.end()
    await made.gateway.idle()
  })

  test('never places an order twice', async (t) => {
    const made = await pair(t, goneAtTheSecond)
    assert.equal((await made.client.exchange(GET)).text, 'ok')
    const answer = await made.client.exchange(ORDER)
    assert.equal(answer.status, 502)
    assert.ok(['upstream_reset', 'upstream_closed'].includes(String(answer.problem.code)))
    assert.equal(made.upstream.text.split('POST /order').length - 1, 1)
    made.client.end()
    await made.gateway.idle()
  })

  for (const [name, order] of [
    ['without a body', `POST /order HTTP/1.1\r\n${HOST}\r\n`],
    ['of no length', `POST /order HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`],
    ['in no chunks', `POST /order HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['by PATCH', `PATCH /order HTTP/1.1\r\n${HOST}\r\n`],
    ['by a method that nobody knows', `BUY /order HTTP/1.1\r\n${HOST}\r\n`],
  ] as const) {
    test(`never places an order ${name} twice`, async (t) => {
      const made = await pair(t, goneAtTheSecond)
      assert.equal((await made.client.exchange(GET)).text, 'ok')
      assert.equal((await made.client.exchange(order)).status, 502)
      assert.equal(made.upstream.text.split(' /order').length - 1, 1)
    })
  }

  test('that closed while it was idle is noticed, and orders go over a fresh one', async (t) => {
    const made = await pair(t, async (connection) => {
      await connection.request()
      await connection.answer('ok')
      connection.end()
    })
    for (let i = 0; i < 3; i++) {
      assert.equal((await made.client.exchange(ORDER)).text, 'ok')
      const connection = made.upstream.connections[i]!
      assert.notEqual(await connection.closed(), 'open')
    }
    assert.equal(made.upstream.text.split('POST /order').length - 1, 3)
  })

  test('a close that crosses the request on its way', async (t) => {
    // FIN goes out at the very moment at which the answer does: the next request meets it half-way.
    const made = await pair(t, async (connection) => {
      await connection.request()
      connection.socket.cork()
      void connection.answer('ok')
      connection.end()
      connection.socket.uncork()
    })
    for (let i = 0; i < 20; i++) assert.equal((await made.client.exchange(GET)).text, 'ok')
    made.client.end()
    await made.gateway.idle()
  })
})

describe('retries', () => {
  test('an order that was sent is never sent again, wherever the connection breaks', async (t) => {
    const upstream = await RecordingUpstream.start(async (connection) => {
      await connection.request()
      connection.reset()
    })
    const other = await RecordingUpstream.start(answersOk)
    t.after(() => Promise.all([upstream.close(), other.close()]))
    const service = {
      endpoints: [upstream.url, other.url],
      retries: { attempts: 3 },
      balance: 'round-robin',
    }
    const { gateway, client } = await before(t, service)
    let failed = 0
    for (let i = 0; i < 6; i++) {
      const answer = await client.exchange(ORDER)
      if (answer.status === 502) failed++
      else assert.equal(answer.text, 'ok')
    }
    const orders = (upstream.text + other.text).split('POST /order').length - 1
    assert.equal(orders, 6)
    assert.equal(failed, 3)
    client.end()
    await gateway.idle()
  })

  test('a GET goes to another endpoint, with its body', async (t) => {
    const upstream = await RecordingUpstream.start(async (connection) => {
      await connection.request()
      connection.reset()
    })
    const other = await RecordingUpstream.start(answersOk)
    t.after(() => Promise.all([upstream.close(), other.close()]))
    const service = { endpoints: [upstream.url, other.url], balance: 'round-robin' }
    const { gateway, client } = await before(t, service)
    for (let i = 0; i < 6; i++) {
      const answer = await client.exchange(
        `PUT / HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`,
      )
      assert.equal(answer.text, 'ok')
    }
    assert.equal(other.text.split('\r\n\r\nhello').length - 1, 6)
    client.end()
    await gateway.idle()
  })
})

describe('the pool', () => {
  test('a queue that is full, and one that waits too long', async (t) => {
    const connections = { max: 1, queue: 1, queueTimeout: '200ms' }
    const made = await pair(
      t,
      failing(() => {}),
      { connections, ...NO_RETRY },
    )
    const { gateway, client, upstream } = made
    client.send(FAIL_GET)
    await (await upstream.connection(0)).head()
    const waiting = await gateway.connect()
    waiting.send(GET)
    const surplus = await gateway.connect()
    await new Promise((resolve) => setTimeout(resolve, 20))
    assertFailure(await surplus.exchange(GET), 'queue_full')
    assertFailure(await waiting.response(), 'queue_timeout')
    client.reset()
    waiting.end()
    surplus.end()
    await gateway.idle()
  })

  test('who waits is served when the connection is free, or another can be opened', async (t) => {
    const made = await pair(
      t,
      async (connection) => {
        for (let i = 0; ; i++) {
          if ((await connection.nextRequest()) === null) return
          await connection.answer('ok')
          // Every third answer is the last of its connection.
          if (i === 2) connection.end()
        }
      },
      { connections: { max: 2, queue: 100 } },
    )
    const clients = await Promise.all(Array.from({ length: 30 }, () => made.gateway.connect()))
    const answers = await Promise.all(clients.map((client) => client.exchange(GET)))
    for (const answer of answers) assert.equal(answer.text, 'ok')
    await made.gateway.disconnect()
    await made.gateway.idle()
  })

  test('a client that leaves the queue makes no request', async (t) => {
    const made = await pair(
      t,
      failing(() => {}),
      { connections: { max: 1 } },
    )
    const { gateway, client, upstream } = made
    client.send(FAIL_GET)
    const connection = await upstream.connection(0)
    await connection.head()
    const leaving = await gateway.connect()
    leaving.send(`GET /left HTTP/1.1\r\n${HOST}\r\n`)
    await new Promise((resolve) => setTimeout(resolve, 20))
    leaving.reset()
    await new Promise((resolve) => setTimeout(resolve, 20))
    await connection.answer('ok')
    assert.equal((await client.response()).text, 'ok')
    client.end()
    await gateway.idle()
    assert.doesNotMatch(upstream.text, /left/)
  })

  test('who waits and then finds the service gone gets its answer', async (t) => {
    const port = await closedPort()
    const server = createServer((socket) => {
      socket.on('error', () => {})
      // The first request is never answered: its connection ends, and with it the service.
      socket.once('data', () => {
        server.close()
        setTimeout(() => socket.destroy(), 50)
      })
    })
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    const service = { url: `http://127.0.0.1:${port}`, connections: { max: 1 }, ...NO_RETRY }
    const { gateway, client } = await before(t, service)
    client.send(GET)
    await eventually(
      () => gateway.stats().upstreamConnections === 1,
      () => 'the first connection',
    )
    const waiting = await gateway.connect()
    waiting.send(GET)
    assert.equal((await client.response()).status, 502)
    assertFailure(await waiting.response(), 'connect_refused')
    await gateway.disconnect()
    await gateway.idle()
  })

  test('an unused connection is closed after its time', async (t) => {
    const made = await pair(t, answersOk, { connections: { idle: '100ms' } })
    await made.client.exchange(GET)
    assert.notEqual(await made.upstream.connections[0]!.closed(), 'open')
    assert.equal((await made.client.exchange(GET)).text, 'ok')
  })
})
