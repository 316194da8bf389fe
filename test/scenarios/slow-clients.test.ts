// Clients that take their time on purpose: with a body, with reading, by the thousand. Each is let go
// in time, honest clients are served meanwhile, and afterwards nothing is left.
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { z } from 'zod'
import { createGateway, type Gateway } from '../../src/gateway/gateway.ts'
import { definePolicy } from '../../src/index.ts'
import { eventually, nextTurn } from '../support/changes.ts'
import { assertFailure, GET, HOST } from '../support/faults.ts'
import { pair, type Settings } from '../support/gateway.ts'
import { IdleClients, openFilesMax } from '../support/idle-clients.ts'
import { RawClient } from '../support/raw-client.ts'
import { answersOk } from '../support/recording-upstream.ts'

/** Calls back every so often until the test, or what it returns, ends it. */
function repeat(t: TestContext, everyMs: number, act: () => void): () => void {
  const timer = setInterval(act, everyMs)
  t.after(() => clearInterval(timer))
  return () => clearInterval(timer)
}

function post(fields: string): string {
  return `POST / HTTP/1.1\r\n${HOST}${fields}\r\n\r\n`
}

describe('a body that drips', { concurrency: true }, () => {
  const limits = { bodyRate: '1kb', bodyRateGrace: '500ms', bodyIdleTimeout: '10s' }

  for (const [name, head, piece] of [
    ['with a length', post('Content-Length: 1000000'), 'x'],
    ['in chunks', post('Transfer-Encoding: chunked'), '1\r\nx\r\n'],
  ] as const) {
    test(`${name} gets 408, though it never pauses`, async (t) => {
      const { gateway, client, upstream } = await pair(t, answersOk, {}, { limits })
      client.send(head)
      const stop = repeat(t, 20, () => client.send(piece))
      assertFailure(await client.response('POST'), 'body_timeout')
      stop()
      assert.notEqual(await (await upstream.connection(0)).closed(), 'open')
      client.end()
      await gateway.idle()
    })
  }

  test('just fast enough is served, however long it takes', async (t) => {
    const { client } = await pair(t, answersOk, {}, { limits })
    const pieces = 40
    client.send(post(`Content-Length: ${pieces * 100}`))
    let sent = 0
    const stop = repeat(t, 40, () => {
      client.send('x'.repeat(100))
      if (++sent === pieces) stop()
    })
    assert.equal((await client.response('POST')).text, 'ok')
  })

  test('is served where no rate is asked for', async (t) => {
    const { client } = await pair(t, answersOk, {}, { limits: { ...limits, bodyRate: '0b' } })
    client.send(post('Content-Length: 30'))
    const stop = repeat(t, 50, () => client.send('x'))
    assert.equal((await client.response('POST')).text, 'ok')
    stop()
  })

  test('after a service that was slow to take the rest has its time all the same', async (t) => {
    const size = 12_000_000
    const { client, upstream } = await pair(t, () => {}, {}, { limits })
    client.send(post(`Content-Length: ${size}`))
    const connection = await upstream.connection(0)
    await connection.head()
    connection.socket.pause()
    client.send(Buffer.alloc(size - 10))
    // Longer than the grace: what the service does not take, the client cannot send.
    await new Promise((resolve) => setTimeout(resolve, 1500))
    connection.socket.resume()
    client.send(Buffer.alloc(10))
    assert.equal((await connection.request()).body.length, size)
    await connection.answer('all of it')
    assert.equal((await client.response('POST')).text, 'all of it')
  })
})

/** Answers `/big` itself, with as many bytes as its settings say, and counts how often. */
let bigAnswers = 0
const answersBig = definePolicy({
  name: 'answers-big',
  summary: 'Answers with many bytes.',
  settings: z.strictObject({ bytes: z.int() }),
  examples: [{ bytes: 1 }],
  create({ bytes }, environment) {
    const reply = environment.reply(200, {}, Buffer.alloc(bytes, 'b'))
    return {
      onRequest: () => {
        bigAnswers++
        return reply
      },
    }
  },
})

async function big(t: TestContext, bytes: number, limits: Settings): Promise<Gateway> {
  bigAnswers = 0
  const gateway = await createGateway(
    {
      listen: 'http://127.0.0.1:0',
      limits: { headTimeout: '2m', ...limits },
      use: [{ 'answers-big': { bytes } }],
      routes: [{ respond: { status: 204 } }],
    } as never,
    { policies: [answersBig] },
  )
  await gateway.start()
  t.after(() => gateway.close())
  return gateway
}

async function callerOf(t: TestContext, gateway: Gateway): Promise<RawClient> {
  const caller = await RawClient.connect(gateway.addresses[0]!.port)
  t.after(() => caller.destroy())
  return caller
}

async function allGone(gateway: Gateway): Promise<void> {
  await eventually(
    () => gateway.stats().clientConnections === 0 && gateway.stats().timers === 0,
    () => `nothing to be left: ${JSON.stringify(gateway.stats())}`,
  )
}

describe('an answer that is read', () => {
  test('a byte at a time is cut off, though the reader never stops', async (t) => {
    const gateway = await big(t, 50_000_000, { bodyIdleTimeout: '500ms', bodyRateGrace: '500ms' })
    const caller = await callerOf(t, gateway)
    caller.pause()
    caller.send(GET)
    repeat(t, 20, () => caller.socket.read(1))
    await allGone(gateway)
  })

  test('slowly, but steadily, is read to its end, longer than any pause may be', async (t) => {
    const size = 24_000_000
    const gateway = await big(t, size, { bodyIdleTimeout: '1s', bodyRateGrace: '500ms' })
    const caller = await callerOf(t, gateway)
    caller.pause()
    caller.send(GET)
    // Takes a megabyte at a time, ten times a second.
    let room = 0
    caller.socket.on('data', (data: Buffer) => {
      room -= data.length
      if (room <= 0) caller.pause()
    })
    repeat(t, 100, () => {
      room = 1_000_000
      caller.resume()
    })
    assert.equal((await caller.response()).body.length, size)
  })

  test('below the rate, piece by piece, is cut off', async (t) => {
    const limits = { bodyIdleTimeout: '2s', bodyRate: '1mb', bodyRateGrace: '500ms' }
    const gateway = await big(t, 50_000_000, limits)
    const caller = await callerOf(t, gateway)
    caller.pause()
    caller.send(GET)
    repeat(t, 100, () => caller.socket.read(1000))
    await allGone(gateway)
  })

  for (const ending of ['reads at last', 'never reads'] as const) {
    test(`by nobody holds up the requests behind it: the client ${ending}`, async (t) => {
      const size = 65_536
      const count = 1000
      const gateway = await big(t, size, { bodyIdleTimeout: '700ms' })
      const caller = await callerOf(t, gateway)
      caller.pause()
      for (let i = 0; i < count / 100; i++) caller.send(GET.repeat(100))
      if (ending === 'never reads') {
        await allGone(gateway)
        // What the kernels hold between them, and no more: the rest was never begun.
        assert.ok(bigAnswers < count / 2, `${bigAnswers} answers were made`)
      } else {
        await eventually(
          () => bigAnswers > 0,
          () => 'the first answer',
        )
        caller.resume()
        await caller.bytes(size * count)
        await eventually(
          () => bigAnswers === count,
          () => `${bigAnswers} answers`,
        )
      }
    })
  }

  test('by nobody, while the same client sends on, is cut off', async (t) => {
    const limits = { bodyIdleTimeout: '700ms' }
    // The service sends back what it gets, and takes no more than it can send.
    const { gateway, client } = await pair(
      t,
      async (connection) => {
        await connection.head()
        connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 900000000\r\n\r\n')
        connection.socket.pipe(connection.socket)
      },
      {},
      { limits },
    )
    client.pause()
    client.send(post('Content-Length: 900000000'))
    const stop = repeat(t, 5, () => {
      if (client.socket.writableLength < 1_000_000) client.send(Buffer.alloc(1_000_000))
    })
    await eventually(
      () => gateway.stats().clientConnections === 0,
      () => 'the client to be let go',
    )
    stop()
  })

  test('late, does not free the client from sending its body', async (t) => {
    const { gateway, client, upstream } = await pair(
      t,
      () => {},
      {},
      { limits: { bodyIdleTimeout: '2s' } },
    )
    client.pause()
    client.send(`${post('Content-Length: 10')}half`)
    const connection = await upstream.connection(0)
    await connection.receives('half')
    const size = 20_000_000
    connection.socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size + 1}\r\n\r\n`)
    connection.socket.write(Buffer.alloc(size))
    // Until the gateway has more than it can write.
    for (let i = 0; i < 50; i++) await nextTurn()
    client.resume()
    await client.bytes(size)
    assert.notEqual(await connection.closed(), 'open')
    assert.equal(gateway.stats().exchanges, 0)
  })
})

describe('crowds', { concurrency: true }, () => {
  test('of slow heads: an honest client is served, and each of them gets 408', async (t) => {
    const limits = { headTimeout: '2s' }
    const { gateway } = await pair(t, answersOk, {}, { limits })
    const crowd: RawClient[] = []
    for (let i = 0; i < 200; i++) crowd.push(await gateway.connect())
    for (const slow of crowd) slow.send('GET / HTTP/1.1\r\n')
    const stop = repeat(t, 50, () => {
      for (const slow of crowd) slow.send('X: y\r\n')
    })
    for (let i = 0; i < 5; i++) {
      const honest = await gateway.connect()
      assert.equal((await honest.exchange(GET)).text, 'ok')
      await honest.destroy()
    }
    for (const slow of crowd) assertFailure(await slow.response(), 'head_timeout')
    stop()
    await gateway.disconnect()
    await gateway.idle()
  })

  test('of endless heads: each gets 431, an honest client is served', async (t) => {
    const { gateway, client } = await pair(t, answersOk)
    const crowd: RawClient[] = []
    for (let i = 0; i < 50; i++) crowd.push(await gateway.connect())
    const line = `X-Flood: ${'f'.repeat(990)}\r\n`
    for (const [index, flood] of crowd.entries()) {
      flood.send('GET / HTTP/1.1\r\n')
      const lines = index % 2 === 0 ? line.repeat(60) : 'X: y\r\n'.repeat(500)
      for (let i = 0; i < 20; i++) flood.send(lines)
    }
    for (let i = 0; i < 5; i++) assert.equal((await client.exchange(GET)).text, 'ok')
    for (const flood of crowd) assertFailure(await flood.response(), 'head_too_large')
    await gateway.disconnect()
    await gateway.idle()
  })

  test('from one address: it gets its share, and leaves the others theirs', async (t) => {
    const limits = { connections: 10, connectionsPerIp: 3 }
    const { gateway, client } = await pair(t, answersOk, {}, { limits })
    assert.equal((await client.exchange(GET)).text, 'ok')
    const more = [await gateway.connect(), await gateway.connect()]
    for (const caller of more) assert.equal((await caller.exchange(GET)).text, 'ok')
    for (let i = 0; i < 3; i++) {
      const surplus = await gateway.connect()
      assertFailure(await surplus.response(), 'too_many_connections')
      assert.notEqual(await surplus.closed(), 'open')
      surplus.end()
    }
    const other = await gateway.connect({ localAddress: '127.0.0.2' })
    assert.equal((await other.exchange(GET)).text, 'ok')
    await more[0]!.destroy()
    await eventually(
      async () => (await (await gateway.connect()).exchange(GET)).status === 200,
      () => 'the place to be free again',
    )
  })

  test('from a trusted proxy are no crowd of one', async (t) => {
    const settings = {
      limits: { connections: 10, connectionsPerIp: 1 },
      listen: { url: 'http://127.0.0.1:0', trustedProxies: ['127.0.0.1'] },
    }
    const { gateway } = await pair(t, answersOk, {}, settings)
    for (let i = 0; i < 5; i++) {
      assert.equal((await (await gateway.connect()).exchange(GET)).text, 'ok')
    }
  })

  test('10,000 connections from one address: half of all places stay for others', async (t) => {
    // Where a process may not open as many, as many as it may.
    const count = Math.min(10_000, openFilesMax() - 500)
    const { gateway, client } = await pair(t, answersOk, {}, { limits: { connections: count } })
    await client.destroy()
    await gateway.idle()
    const crowd = await IdleClients.connect(gateway.port, count)
    t.after(() => crowd.vanish())
    await eventually(
      () => gateway.stats().clientConnections === Math.ceil(count / 2),
      () => `${gateway.stats().clientConnections} connections`,
    )
    const other = await gateway.connect({ localAddress: '127.0.0.2' })
    for (let i = 0; i < 10; i++) assert.equal((await other.exchange(GET)).text, 'ok')
    await other.destroy()
    await crowd.vanish()
    await gateway.idle()
  })
})
