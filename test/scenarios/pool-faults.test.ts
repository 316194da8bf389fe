// Kept connections, retries and queues on real sockets: nobody waits for ever, nothing is left, and no
// order is placed twice.
import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { describe, test } from 'node:test'
import { eventually } from '../support/changes.ts'
import {
  assertFailure,
  closedPort,
  FAIL_GET,
  failing,
  GET,
  gatewayBefore,
  HOST,
  NO_RETRY,
  ORDER,
} from '../support/faults.ts'
import { pair } from '../support/gateway.ts'
import { answersOk, RecordingUpstream, type Script } from '../support/recording-upstream.ts'

describe('a kept connection that has died', () => {
  /** Serves one request per connection and is gone when the next one comes. */
  const goneAtTheSecond: Script = async (connection) => {
    await connection.request()
    await connection.answer('ok')
    await connection.nextRequest()
    connection.reset()
  }

  /** Serves a GET, and is gone once some of the next body has come; fresh ones are left to the test. */
  const goneWithinTheSecond: Script = async (connection) => {
    await connection.head()
    if (!connection.text.startsWith('GET')) return
    await connection.request()
    await connection.answer('ok')
    await connection.receives('PUT')
    await connection.receives('\r\n\r\n')
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

  test('is replaced with the same body, whatever was sent of it', async (t) => {
    const made = await pair(t, goneWithinTheSecond, NO_RETRY)
    const { upstream, client } = made
    for (const [pieces, body] of [
      [['5\r\nfirst\r\n', '6\r\nsecond\r\n', '0\r\n\r\n'], 'firstsecond'],
      [['5\r\nfirst\r\n6\r\nsecond\r\n', '5\r\nthird\r\n0\r\n\r\n'], 'firstsecondthird'],
    ] as const) {
      await client.exchange(GET)
      const count = upstream.connections.length
      client.send(`PUT / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`)
      for (const piece of pieces) {
        client.send(piece)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      const again = await upstream.connection(count)
      assert.equal((await again.request()).text, body)
      await again.answer('took it')
      assert.equal((await client.response('PUT')).text, 'took it')
      // The next round begins with a connection that nobody kept.
      again.reset()
    }
  })

  test('and a body too large to be kept is a 502, not half a body', async (t) => {
    const made = await pair(t, goneWithinTheSecond, NO_RETRY)
    const { upstream, client } = made
    await client.exchange(GET)
    client.send(`PUT / HTTP/1.1\r\n${HOST}Content-Length: 1000000\r\n\r\n${'x'.repeat(1_000_000)}`)
    const answer = await client.response('PUT')
    assert.equal(answer.status, 502)
    assert.equal(upstream.text.split('PUT /').length - 1, 1)
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
    const { gateway, client } = await gatewayBefore(t, service)
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
    const { gateway, client } = await gatewayBefore(t, service)
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
    const connections = { max: 1, queue: 1, queueTimeout: '1s' }
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
    await eventually(
      () => gateway.stats().upstreamWaiters === 1,
      () => 'the second request to wait',
    )
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
    await eventually(
      () => gateway.stats().upstreamWaiters === 1,
      () => 'the request to wait',
    )
    leaving.reset()
    await eventually(
      () => gateway.stats().upstreamWaiters === 0,
      () => 'the request to be forgotten',
    )
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
    const { gateway, client } = await gatewayBefore(t, service)
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
