// How a gateway ends: nothing that runs is lost, nobody's request meets a closed door, and nothing is
// waited for without end.
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { eventually } from '../support/changes.ts'
import { assertFailure, GET } from '../support/faults.ts'
import { type Pair, pair, type Settings, TestGateway } from '../support/gateway.ts'
import { RawClient } from '../support/raw-client.ts'
import { answersOk } from '../support/recording-upstream.ts'

/** Times that no test outlasts: what ends, ends for another reason. */
const PATIENT = { idle: '1h', timeout: '1h' }

function draining(t: TestContext, drain: Settings, script = answersOk): Promise<Pair> {
  return pair(t, script, {}, { drain })
}

/** Resolves when the port takes no connection any more. */
async function refuses(port: number): Promise<void> {
  await eventually(
    async () => {
      const client = await RawClient.connect(port).catch(() => null)
      await client?.destroy()
      return client === null
    },
    () => 'connections to be refused',
  )
}

describe('while a gateway drains', () => {
  test('an idle kept connection gets one more answer, with Connection: close', async (t) => {
    const { client, gateway } = await draining(t, PATIENT)
    assert.equal((await client.exchange(GET)).header('connection'), null)
    const drained = gateway.drain()
    await refuses(gateway.port)
    const last = await client.exchange(GET)
    assert.equal(last.status, 200)
    assert.equal(last.header('connection'), 'close')
    assert.equal(await client.closed(), 'fin')
    client.end()
    assert.equal(await drained, 0)
  })

  test('a connection that had no request yet gets its first answer', async (t) => {
    const { client, gateway } = await draining(t, PATIENT)
    const drained = gateway.drain()
    await refuses(gateway.port)
    assert.equal((await client.exchange(GET)).header('connection'), 'close')
    client.end()
    assert.equal(await drained, 0)
  })

  test('an answer to come says close; one that has begun is followed by another', async (t) => {
    const { client, gateway, upstream } = await draining(t, PATIENT, async (connection) => {
      await connection.request()
      if (connection.index === 0)
        await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1')
    })
    client.send(GET)
    await client.receives('\r\n\r\n1')
    const waiting = await gateway.connect()
    waiting.send(GET)
    const second = await upstream.connection(1)
    const drained = gateway.drain()
    await refuses(gateway.port)
    await second.answer('late')
    assert.equal((await waiting.response()).header('connection'), 'close')
    waiting.end()

    const first = await upstream.connection(0)
    await first.send('2')
    assert.equal((await client.response()).header('connection'), null)
    client.send(GET)
    await first.request()
    await first.answer('again')
    const again = await client.response()
    assert.equal(again.text, 'again')
    assert.equal(again.header('connection'), 'close')
    client.end()
    assert.equal(await drained, 0)
  })

  test('new connections are served as long as the delay lasts', async (t) => {
    const { client, gateway } = await draining(t, { delay: '1h', ...PATIENT })
    assert.equal((await client.exchange(GET)).header('connection'), null)
    const drained = gateway.drain()
    const late = await gateway.connect()
    for (const one of [late, client]) {
      assert.equal((await one.exchange(GET)).header('connection'), 'close')
      assert.equal(await one.closed(), 'fin')
      one.end()
    }
    await gateway.close()
    assert.equal(await drained, 0)
  })

  test('new connections are refused after the delay', async (t) => {
    const { client, gateway } = await draining(t, { delay: '50ms', ...PATIENT })
    await client.destroy()
    assert.equal(await gateway.drain(), 0)
    await assert.rejects(RawClient.connect(gateway.port), { code: 'ECONNREFUSED' })
  })

  test('it ends at once when nobody is connected', async (t) => {
    const { client, gateway } = await draining(t, PATIENT)
    await client.destroy()
    assert.equal(await gateway.drain(), 0)
  })

  test('an idle connection that nobody uses ends after its time', async (t) => {
    const { client, gateway } = await draining(t, { idle: '50ms', timeout: '1h' })
    await client.exchange(GET)
    const drained = gateway.drain()
    assert.equal(await client.closed(), 'fin')
    client.end()
    assert.equal(await drained, 0)
  })

  test('what has not ended in time is answered where it can be, and cut off elsewhere', async (t) => {
    const { client, gateway, upstream } = await draining(
      t,
      { idle: '1h', timeout: '300ms' },
      async (connection) => {
        await connection.request()
        if (connection.index === 0)
          await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf')
      },
    )
    client.send(GET)
    await client.receives('half')
    const waiting = await gateway.connect()
    waiting.send(GET)
    await upstream.connection(1)
    const idle = await gateway.connect()
    const drained = gateway.drain()
    const answer = await waiting.response()
    assertFailure(answer, 'draining')
    assert.equal(answer.header('connection'), 'close')
    assert.equal(await client.closed(), 'reset')
    assert.notEqual(await idle.closed(), 'open')
    assert.equal(await drained, 2)
  })

  test('a client that never ends its PROXY header is no obstacle', async (t) => {
    const gateway = await TestGateway.start({
      listen: { url: 'http://127.0.0.1:0', proxyProtocol: { from: ['127.0.0.1/32'] } },
      drain: { idle: '0s', timeout: '1h' },
      limits: { headTimeout: '1h' },
      routes: [{ path: '/*', respond: { body: 'here' } }],
    })
    t.after(() => gateway.close())
    const stuck = await gateway.connect()
    stuck.send('PROXY TCP4 10.0.')
    await eventually(
      () => gateway.stats().clientConnections === 1,
      () => 'it to be accepted',
    )
    assert.equal(await gateway.drain(), 0)
    assert.notEqual(await stuck.closed(), 'open')
  })
})
