// What clients do wrong, on real sockets: they vanish at any byte, read or write slowly, come in
// crowds. The service never sees half a request as a whole one, and afterwards nothing is left.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ErrorCode } from '../../src/errors.ts'
import { eventually } from '../support/changes.ts'
import { assertFailure, GET, HOST } from '../support/faults.ts'
import { pair, TestGateway } from '../support/gateway.ts'
import { IdleClients, openFilesMax } from '../support/idle-clients.ts'
import { answersOk, RecordingUpstream } from '../support/recording-upstream.ts'
import { readRequest, type WireResponse } from '../support/strict-http.ts'

const LENGTH = `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`
const CHUNKED = `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`

const MEGABYTE = Buffer.alloc(1_000_000)

/** A failure after which the connection ends. */
function assertLastFailure(answer: WireResponse, code: ErrorCode): void {
  assertFailure(answer, code)
  assert.equal(answer.header('connection'), 'close')
}

describe('a client that vanishes', () => {
  for (const [name, request] of [
    ['a GET', GET],
    ['a body with a length', LENGTH],
    ['a chunked body', CHUNKED],
  ] as const) {
    test(`at any byte of ${name}`, async (t) => {
      const { gateway, upstream } = await pair(t, answersOk)
      await gateway.disconnect()
      for (let cut = 0; cut < request.length; cut++) {
        for (const way of ['fin', 'reset'] as const) {
          upstream.mark()
          const client = await gateway.connect()
          client.send(request.slice(0, cut))
          if (way === 'fin') {
            client.end()
            await client.closed()
          } else {
            await client.sendSplit('')
            client.reset()
          }
          await gateway.idle()
          for (const bytes of upstream.since()) {
            assert.equal(readRequest(bytes, 0), null, `half a request became whole at ${cut}`)
          }
        }
      }
      const last = await gateway.connect()
      assert.equal((await last.exchange(request)).text, 'ok')
    })
  }

  test('at any byte of the answer', async (t) => {
    const answer = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'
    const { gateway, upstream } = await pair(t, () => {})
    await gateway.disconnect()
    for (let cut = 0; cut < answer.length; cut++) {
      const client = await gateway.connect()
      const known = upstream.connections.length
      client.send(GET)
      const connection = await upstream.connection(known)
      await connection.head()
      await connection.sendSplit(answer.slice(0, cut))
      client.reset()
      // Nobody waits for the rest: the service hears of it, and the connection is not used again.
      assert.notEqual(await connection.closed(), 'open')
      connection.end()
      await gateway.idle()
      assert.equal(gateway.stats().upstreamConnections, 0)
    }
  })

  test('while a large answer is on its way', async (t) => {
    const { gateway, upstream, client } = await pair(t, () => {})
    client.send(GET)
    const connection = await upstream.connection(0)
    await connection.head()
    client.pause()
    connection.socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n`)
    for (let i = 0; i < 50; i++) connection.socket.write(MEGABYTE)
    await eventually(
      () => connection.socket.bytesWritten - connection.socket.writableLength > 1_000_000,
      () => 'the answer to begin',
    )
    client.reset()
    assert.notEqual(await connection.closed(), 'open')
    connection.reset()
    await gateway.idle()
  })

  test('while its large body is on its way', async (t) => {
    const { gateway, upstream, client } = await pair(t, () => {})
    client.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 50000000\r\n\r\n`)
    const connection = await upstream.connection(0)
    connection.socket.pause()
    for (let i = 0; i < 50; i++) client.send(MEGABYTE)
    await eventually(
      () => client.socket.bytesWritten - client.socket.writableLength > 1_000_000,
      () => 'the body to begin',
    )
    client.reset()
    connection.socket.resume()
    assert.notEqual(await connection.closed(), 'open')
    connection.reset()
    await gateway.idle()
  })
})

describe('a client that is slow', () => {
  const limits = { headTimeout: '400ms', bodyIdleTimeout: '400ms', keepAliveTimeout: '400ms' }

  test('with its head gets 408, however steadily it drips', async (t) => {
    const { gateway, client, upstream } = await pair(t, answersOk, {}, { limits })
    const drip = setInterval(() => client.send('a'), 20)
    t.after(() => clearInterval(drip))
    client.send('GET /')
    const answer = await client.response()
    clearInterval(drip)
    assertLastFailure(answer, 'head_timeout')
    assert.equal(await client.closed(), 'fin')
    client.end()
    await gateway.idle()
    assert.equal(upstream.connections.length, 0)
  })

  test('with a second head gets 408 as well', async (t) => {
    const { gateway, client } = await pair(t, answersOk, {}, { limits })
    assert.equal((await client.exchange(GET)).text, 'ok')
    client.send('GET / HTTP/1.1\r\n')
    assertLastFailure(await client.response(), 'head_timeout')
    client.end()
    await gateway.idle()
  })

  test('and says nothing at all is let go without an answer', async (t) => {
    const { gateway, client } = await pair(t, answersOk, {}, { limits })
    assert.equal(await client.closed(), 'fin')
    assert.equal(client.received.length, 0)
    client.end()
    await gateway.idle()
  })

  for (const [name, request] of [
    ['with a length', LENGTH.slice(0, -3)],
    ['in chunks', CHUNKED.slice(0, -10)],
  ] as const) {
    test(`with its body ${name} gets 408, and the service no end of it`, async (t) => {
      const { gateway, client, upstream } = await pair(t, answersOk, {}, { limits })
      client.send(request)
      assertLastFailure(await client.response('POST'), 'body_timeout')
      const connection = await upstream.connection(0)
      assert.notEqual(await connection.closed(), 'open')
      assert.equal(readRequest(connection.received, 0), null)
      client.end()
      await gateway.idle()
    })
  }

  test('but moves on with its body is served', async (t) => {
    const { client } = await pair(t, answersOk, {}, { limits })
    client.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 8\r\n\r\n`)
    for (const byte of 'eightchr') {
      await new Promise((resolve) => setTimeout(resolve, 80))
      client.send(byte)
    }
    assert.equal((await client.response('POST')).text, 'ok')
  })

  test('in reading is let go when it stands still', async (t) => {
    const { gateway, client, upstream } = await pair(t, () => {}, {}, { limits })
    client.send(GET)
    client.pause()
    const connection = await upstream.connection(0)
    await connection.head()
    connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n')
    connection.socket.write(Buffer.alloc(50_000_000))
    assert.notEqual(await connection.closed(), 'open')
    connection.reset()
    await gateway.idle()
    client.resume()
    assert.notEqual(await client.closed(), 'open')
    assert.ok(client.received.length < 50_000_000)
  })

  test('with the rest of a body that nobody needs any more is let go', async (t) => {
    const { gateway, client, upstream } = await pair(t, () => {})
    client.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 1000\r\n\r\nx`)
    const connection = await upstream.connection(0)
    await connection.head()
    await connection.send('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno')
    assert.equal((await client.response('POST')).status, 403)
    const drip = setInterval(() => client.send('x'), 100)
    t.after(() => clearInterval(drip))
    await client.closed()
    await gateway.idle()
  })

  test('in taking its refusal is let go after the linger', async (t) => {
    const { gateway, client } = await pair(t, answersOk)
    client.send('BAD\r\n\r\n')
    assert.equal((await client.response()).status, 400)
    // It neither closes nor stops; the gateway reads on for a while and then cuts it off.
    const chatter = setInterval(() => client.send('x'), 50)
    t.after(() => clearInterval(chatter))
    await gateway.idle()
  })
})

describe('crowds', () => {
  test('connections beyond the limit get 503 and are counted out again', async (t) => {
    const { gateway, client } = await pair(
      t,
      answersOk,
      {},
      { limits: { connections: 3, connectionsPerIp: 3 } },
    )
    assert.equal((await client.exchange(GET)).text, 'ok')
    const others = [await gateway.connect(), await gateway.connect()]
    const surplus = await gateway.connect()
    assertLastFailure(await surplus.response(), 'overloaded')
    assert.equal((await others[0]!.exchange(GET)).text, 'ok')
    await others[1]!.destroy()
    await eventually(
      () => gateway.stats().clientConnections === 2,
      () => 'the connection to be counted out',
    )
    const next = await gateway.connect()
    assert.equal((await next.exchange(GET)).text, 'ok')
  })

  test('10,000 idle connections: others are served, and each is closed in its time', async (t) => {
    // Where a process may not open as many, as many as it may.
    const count = Math.min(10_000, openFilesMax() - 500)
    const upstream = await RecordingUpstream.start(answersOk)
    const limits = { connections: count + 10, connectionsPerIp: count + 10 }
    const gateway = await TestGateway.to({ url: upstream.url }, { limits })
    t.after(async () => {
      await gateway.close()
      await upstream.close()
    })
    const crowd = await IdleClients.connect(gateway.port, count)
    t.after(() => crowd.vanish())
    await eventually(
      () => gateway.stats().clientConnections === count,
      () => `${gateway.stats().clientConnections} connections`,
    )
    const client = await gateway.connect()
    for (let i = 0; i < 10; i++) assert.equal((await client.exchange(GET)).text, 'ok')
    await client.destroy()
    await crowd.vanish()
    await gateway.idle()
  })

  test('idle connections are closed by their timers, all of them', async (t) => {
    const { gateway } = await pair(t, answersOk, {}, { limits: { headTimeout: '500ms' } })
    await gateway.disconnect()
    const crowd = await IdleClients.connect(gateway.port, 500)
    t.after(() => crowd.vanish())
    await crowd.allClosed()
    await gateway.idle()
  })
})
