// Upgrades: which pass, and that behind a 101 every byte goes through in both directions, until both
// sides have said that they are done.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, type TestContext, test } from 'node:test'
import { eventually } from '../support/changes.ts'
import { pair, type Settings } from '../support/gateway.ts'
import type { RawClient } from '../support/raw-client.ts'
import type { UpstreamConnection } from '../support/recording-upstream.ts'
import { echoesWebSocket } from '../support/web-socket-echo.ts'

const HOST = 'Host: shop.example\r\n'
const GET = `GET / HTTP/1.1\r\n${HOST}\r\n`
const SWITCH =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'

function upgrade(token = 'websocket', version = '1.1'): string {
  return `GET /chat HTTP/${version}\r\n${HOST}Connection: Upgrade\r\nUpgrade: ${token}\r\nSec-WebSocket-Version: 13\r\n\r\n`
}

/** A tunnel that stands, with both ends of it. */
async function tunnel(t: TestContext, service: Settings = {}) {
  const made = await pair(t, () => {}, service)
  made.client.send(upgrade())
  const connection = await made.upstream.connection(0)
  await connection.request()
  await connection.send(SWITCH)
  const answer = await made.client.response()
  assert.equal(answer.status, 101)
  return { ...made, connection }
}

/** What the service has received behind the request head. */
function tunnelled(connection: UpstreamConnection): Buffer {
  return connection.received.subarray(connection.received.indexOf('\r\n\r\n') + 4)
}

/** The bytes from one code to before another. */
function latin1(from: number, to: number): string {
  return Buffer.from(Array.from({ length: to - from }, (_, i) => from + i)).toString('latin1')
}

/** Gives the gateway the time to do something rash while one side does not read. */
function pauseForTheSlow(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 50))
}

async function assertBothGone(client: RawClient, connection: UpstreamConnection): Promise<void> {
  assert.notEqual(await client.closed(), 'open')
  assert.notEqual(await connection.closed(), 'open')
}

describe('the handshake', () => {
  test('passes with its fields', async (t) => {
    const { upstream, client } = await pair(t, () => {})
    client.send(upgrade('WebSocket'))
    const connection = await upstream.connection(0)
    const request = await connection.request()
    assert.equal(request.header('connection')?.toLowerCase(), 'upgrade')
    assert.equal(request.header('upgrade')?.toLowerCase(), 'websocket')
    assert.equal(request.header('sec-websocket-version'), '13')
    await connection.send(
      SWITCH.replace('\r\n\r\n', '\r\nSec-WebSocket-Accept: x\r\nSet-Cookie: a=b\r\n\r\n'),
    )
    const answer = await client.response()
    assert.equal(answer.status, 101)
    assert.equal(answer.header('connection')?.toLowerCase(), 'upgrade')
    assert.equal(answer.header('upgrade')?.toLowerCase(), 'websocket')
    assert.equal(answer.header('sec-websocket-accept'), 'x')
    assert.equal(answer.header('set-cookie'), 'a=b')
  })

  test('that the service declines is an ordinary exchange', async (t) => {
    const { client } = await pair(t, async (connection) => {
      await connection.request()
      await connection.send('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno')
      await connection.request()
      await connection.answer('fine')
    })
    assert.equal((await client.exchange(upgrade())).text, 'no')
    assert.equal((await client.exchange(GET)).text, 'fine')
  })

  test('to another protocol than was asked for is a 502', async (t) => {
    const { upstream, client } = await pair(t, async (connection) => {
      await connection.request()
      await connection.send(SWITCH.replace('websocket', 'other'))
    })
    const answer = await client.exchange(upgrade())
    assert.equal(answer.status, 502)
    assert.equal(answer.problem.code, 'upstream_upgrade_failed')
    assert.match(answer.header('proxy-status') ?? '', /error=http_upgrade_failed/)
    assert.notEqual(await upstream.connections[0]!.closed(), 'open')
  })

  test('passes only for the protocols of the route', async (t) => {
    const routes = [{ path: '/*', to: 's', upgrade: ['mqtt'] }]
    const { upstream, client } = await pair(t, () => {}, {}, { routes })
    client.send(upgrade('mqtt'))
    const connection = await upstream.connection(0)
    assert.equal((await connection.request()).header('upgrade'), 'mqtt')
    await connection.answer('declined')
    await client.response()
    client.send(upgrade('websocket'))
    assert.equal((await connection.request()).header('upgrade'), null)
    await connection.answer('declined')
    await client.response()
  })

  test('of several tokens only the listed one passes', async (t) => {
    const { upstream, client } = await pair(t, () => {})
    client.send(upgrade('h2c, websocket, foo'))
    const connection = await upstream.connection(0)
    const request = await connection.request()
    assert.equal(request.header('upgrade'), 'websocket')
    await connection.answer('declined')
    await client.response()
  })

  test('is nothing in HTTP/1.0', async (t) => {
    const { upstream, client } = await pair(t, () => {})
    client.send(upgrade('websocket', '1.0'))
    const connection = await upstream.connection(0)
    assert.equal((await connection.request()).header('upgrade'), null)
    await connection.answer('fine')
    assert.equal((await client.response()).text, 'fine')
  })
})

describe('the tunnel', () => {
  test('passes every byte in both directions', async (t) => {
    const { client, connection } = await tunnel(t)
    const up = randomBytes(300_000)
    const down = randomBytes(300_000)
    client.send(up)
    connection.socket.write(down)
    assert.deepEqual(await client.bytes(down.length), down)
    await eventually(
      () => tunnelled(connection).length >= up.length,
      () => `${tunnelled(connection).length} of ${up.length} bytes`,
    )
    assert.deepEqual(tunnelled(connection), up)
  })

  test('passes what comes with the 101, and what the client sent before it', async (t) => {
    const { upstream, client } = await pair(t, () => {})
    client.send(`${upgrade()}early \xff\0`)
    const connection = await upstream.connection(0)
    await connection.head()
    await connection.send(`${SWITCH}first \xfe\0`)
    assert.equal((await client.response()).status, 101)
    await client.receives('first \xfe\0')
    await connection.receives('early \xff\0')
    client.send('more')
    await connection.receives('early \xff\0more')
  })

  test('passes single bytes in turn', async (t) => {
    const { client, connection } = await tunnel(t)
    for (let i = 0; i < 256; i++) {
      const byte = String.fromCharCode(i)
      client.send(byte)
      await connection.receives(`\r\n\r\n${latin1(0, i + 1)}`)
      await connection.send(byte)
      assert.equal((await client.bytes(i + 1)).toString('latin1'), latin1(0, i + 1))
    }
  })

  test('a client that is done still hears the service', async (t) => {
    const { gateway, client, connection } = await tunnel(t)
    client.send('last words')
    client.end()
    assert.equal(await connection.closed(), 'fin')
    assert.equal(tunnelled(connection).toString(), 'last words')
    await connection.send('a late answer')
    await client.receives('a late answer')
    connection.end()
    assert.equal(await client.closed(), 'fin')
    await gateway.idle()
  })

  test('a service that is done still hears the client', async (t) => {
    const { gateway, client, connection } = await tunnel(t)
    await connection.send('last words')
    connection.end()
    assert.equal(await client.closed(), 'fin')
    assert.equal(client.unread.toString(), 'last words')
    client.send('a late answer')
    await connection.receives('a late answer')
    client.end()
    assert.equal(await connection.closed(), 'fin')
    await gateway.idle()
  })

  for (const size of [1000, 100_000, 1_000_000, 8_000_000]) {
    test(`no byte of ${size} is lost when both sides end while the client is slow`, async (t) => {
      const { gateway, client, connection } = await tunnel(t)
      client.pause()
      client.end()
      const data = randomBytes(size)
      connection.socket.write(data)
      connection.end()
      await connection.closed()
      await pauseForTheSlow()
      client.resume()
      assert.equal(await client.closed(), 'fin')
      assert.equal(client.unread.length, data.length)
      assert.deepEqual(client.unread, data)
      await gateway.idle()
    })

    test(`no byte of ${size} is lost when both sides end while the service is slow`, async (t) => {
      const { gateway, client, connection } = await tunnel(t)
      connection.socket.pause()
      connection.end()
      const data = randomBytes(size)
      client.send(data)
      client.end()
      await client.closed()
      await pauseForTheSlow()
      connection.socket.resume()
      assert.equal(await connection.closed(), 'fin')
      assert.equal(tunnelled(connection).length, data.length)
      assert.deepEqual(tunnelled(connection), data)
      await gateway.idle()
    })
  }

  test('a reset on one side ends the other', async (t) => {
    const byClient = await tunnel(t)
    byClient.client.reset()
    assert.notEqual(await byClient.connection.closed(), 'open')
    await byClient.gateway.idle()
    const byService = await tunnel(t)
    byService.connection.reset()
    assert.notEqual(await byService.client.closed(), 'open')
    await byService.client.destroy()
    await byService.gateway.idle()
  })

  test('silence ends it after the idle time, traffic in either direction keeps it', async (t) => {
    const { gateway, client, connection } = await tunnel(t, { timeouts: { idle: '600ms' } })
    for (let i = 0; i < 4; i++) {
      await new Promise((resolve) => setTimeout(resolve, 200))
      if (i % 2 === 0) client.send('x')
      else await connection.send('y')
    }
    assert.equal(client.ending, 'open')
    for (let i = 0; i < 4; i++) {
      await new Promise((resolve) => setTimeout(resolve, 200))
      client.send('x')
    }
    assert.equal(client.ending, 'open')
    await assertBothGone(client, connection)
    await client.destroy()
    await gateway.idle()
  })

  test('back-pressure: a service that does not read stops the client', async (t) => {
    const { client, connection } = await tunnel(t)
    connection.socket.pause()
    const piece = Buffer.alloc(1_000_000, 'x')
    for (let i = 0; i < 40; i++) client.send(piece)
    let before = -1
    await eventually(
      () => {
        const stands = client.socket.bytesWritten - client.socket.writableLength === before
        before = client.socket.bytesWritten - client.socket.writableLength
        return stands
      },
      () => 'the client to be stopped',
    )
    assert.ok(
      client.socket.writableLength > 10_000_000,
      `${client.socket.writableLength} bytes wait`,
    )
    connection.socket.resume()
    await eventually(
      () => tunnelled(connection).length === 40_000_000,
      () => `${tunnelled(connection).length} bytes`,
    )
  })
})

test('a real WebSocket client talks through it', async (t) => {
  const { gateway, client } = await pair(t, echoesWebSocket)
  await client.destroy()
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/chat`)
  const received: string[] = []
  await new Promise<void>((resolve, reject) => {
    socket.onerror = () => reject(new Error('the WebSocket failed'))
    socket.onopen = () => socket.send('one')
    socket.onmessage = (event) => {
      received.push(String(event.data))
      if (received.length === 3) socket.close(1000)
      else socket.send(`after ${received.length}`)
    }
    socket.onclose = () => resolve()
  })
  assert.deepEqual(received, ['one', 'after 1', 'after 2'])
  await gateway.idle()
})
