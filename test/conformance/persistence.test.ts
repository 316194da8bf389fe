// Connections and the requests on them: keep-alive and close, old versions on either side, pipelining,
// answers that come early, clients that half-close.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { pair } from '../support/gateway.ts'
import { answersOk, type UpstreamConnection } from '../support/recording-upstream.ts'

const HOST = 'Host: shop.example\r\n'
const GET = `GET / HTTP/1.1\r\n${HOST}\r\n`

function get(target: string): string {
  return `GET ${target} HTTP/1.1\r\n${HOST}\r\n`
}

/** Answers every request with its own target. */
async function answersTarget(connection: UpstreamConnection): Promise<void> {
  for (;;) {
    const request = await connection.nextRequest()
    if (request === null) return
    await connection.answer(request.target)
  }
}

describe('clients', () => {
  test('HTTP/1.1 goes on until it says close', async (t) => {
    const { client } = await pair(t, answersOk)
    for (let i = 0; i < 3; i++) {
      const answer = await client.exchange(GET)
      assert.equal(answer.header('connection'), null)
    }
    const last = await client.exchange(`GET / HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`)
    assert.equal(last.text, 'ok')
    assert.equal(last.header('connection'), 'close')
    assert.equal(await client.closed(), 'fin')
  })

  test('what follows Connection: close is not answered', async (t) => {
    const { upstream, client } = await pair(t, answersTarget)
    client.send(`GET /last HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n${get('/after')}`)
    assert.equal((await client.response()).text, '/last')
    assert.equal(await client.closed(), 'fin')
    assert.equal(client.unread.length, 0)
    assert.doesNotMatch(upstream.text, /after/)
  })

  test('HTTP/1.0 closes, unless it asks for keep-alive', async (t) => {
    const { gateway, client } = await pair(t, answersOk)
    const answer = await client.exchange('GET / HTTP/1.0\r\n\r\n')
    assert.equal(answer.text, 'ok')
    assert.equal(await client.closed(), 'fin')
    const keeping = await gateway.connect()
    for (let i = 0; i < 3; i++) {
      const kept = await keeping.exchange('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
      assert.equal(kept.text, 'ok')
      assert.equal(kept.header('connection')?.toLowerCase(), 'keep-alive')
    }
  })

  test('HTTP/1.0 never gets chunks', async (t) => {
    const chunked =
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nETag: "a"\r\n\r\n'
    const { client } = await pair(t, async (connection) => {
      await connection.request()
      await connection.send(chunked)
    })
    const answer = await client.exchange('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
    assert.equal(answer.framing, 'close')
    assert.equal(answer.text, 'ok')
  })

  test('HTTP/1.0 without Host is sent on with one', async (t) => {
    const { upstream, client } = await pair(t, answersOk)
    await client.exchange('GET / HTTP/1.0\r\n\r\n')
    assert.match(upstream.text, /^GET \/ HTTP\/1\.1\r\nHost: 127\.0\.0\.1:\d+\r\n/)
  })

  test('pipelined requests are answered in their order, one at a time', async (t) => {
    const { upstream, client } = await pair(t, answersTarget)
    const targets = Array.from({ length: 50 }, (_, i) => `/${i}`)
    client.send(targets.map(get).join(''))
    for (const target of targets) assert.equal((await client.response()).text, target)
    assert.equal(upstream.connections.length, 1)
    await client.sendSplit(targets.slice(0, 5).map(get).join(''))
    for (const target of targets.slice(0, 5)) assert.equal((await client.response()).text, target)
  })

  test('pipelined bodies', async (t) => {
    const { client } = await pair(t, async (connection) => {
      for (;;) {
        const request = await connection.nextRequest()
        if (request === null) return
        await connection.answer(request.text)
      }
    })
    const one = `POST / HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\none`
    const two = `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n`
    client.send(one + two + GET + two + one)
    const answers = await client.responses(['POST', 'POST', 'GET', 'POST', 'POST'])
    assert.deepEqual(
      answers.map((answer) => answer.text),
      ['one', 'two', '', 'two', 'one'],
    )
  })

  test('a client that half-closes gets its answers', async (t) => {
    const { gateway, upstream, client } = await pair(t, () => {})
    client.send(get('/one') + get('/two'))
    client.end()
    const connection = await upstream.connection(0)
    for (const target of ['/one', '/two']) {
      assert.equal((await connection.request()).target, target)
      await connection.answer(target)
      assert.equal((await client.response()).text, target)
    }
    assert.equal(await client.closed(), 'fin')
    await gateway.idle()
  })

  test('requests per connection are bounded, and the last answer says so', async (t) => {
    const { client } = await pair(t, answersOk, {}, { limits: { requestsPerConnection: 2 } })
    assert.equal((await client.exchange(GET)).header('connection'), null)
    assert.equal((await client.exchange(GET)).header('connection'), 'close')
    assert.equal(await client.closed(), 'fin')
  })

  test('an idle connection is closed after its time', async (t) => {
    const { gateway, client } = await pair(
      t,
      answersOk,
      {},
      { limits: { keepAliveTimeout: '100ms' } },
    )
    await client.exchange(GET)
    assert.equal(await client.closed(), 'fin')
    assert.equal(client.unread.length, 0)
    client.end()
    await gateway.idle()
  })
})

describe('services', () => {
  test('a connection is used again, by whichever client comes next', async (t) => {
    const { gateway, upstream, client } = await pair(t, answersOk)
    await client.exchange(GET)
    await (await gateway.connect()).exchange(GET)
    await client.exchange(GET)
    assert.equal(upstream.connections.length, 1)
  })

  for (const [name, head, reused] of [
    ['HTTP/1.1', 'HTTP/1.1 200 OK\r\n', true],
    ['HTTP/1.1 that says close', 'HTTP/1.1 200 OK\r\nConnection: close\r\n', false],
    ['HTTP/1.1 that says Close among others', 'HTTP/1.1 200 OK\r\nConnection: x, Close\r\n', false],
    ['HTTP/1.0', 'HTTP/1.0 200 OK\r\n', false],
    ['HTTP/1.0 that says keep-alive', 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n', true],
  ] as const) {
    test(`${name} is ${reused ? '' : 'not '}used again`, async (t) => {
      const { upstream, client } = await pair(t, async (connection) => {
        while ((await connection.nextRequest()) !== null) {
          await connection.send(`${head}Content-Length: 2\r\n\r\nok`)
        }
      })
      const answers = [await client.exchange(GET), await client.exchange(GET)]
      for (const answer of answers) {
        assert.equal(answer.version, 'HTTP/1.1')
        assert.equal(answer.text, 'ok')
        assert.equal(answer.header('connection'), null)
      }
      assert.equal(upstream.connections.length, reused ? 1 : 2)
      if (!reused) assert.notEqual(await upstream.connections[0]!.closed(), 'open')
    })
  }

  test('an answer before the request is complete ends the exchange, not the client', async (t) => {
    const { gateway, upstream, client } = await pair(t, () => {})
    client.send(`POST /early HTTP/1.1\r\n${HOST}Content-Length: 10\r\n\r\n01234`)
    const connection = await upstream.connection(0)
    await connection.receives('01234')
    await connection.send('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno')
    const early = await client.response('POST')
    assert.equal(early.status, 403)
    assert.equal(early.text, 'no')
    // The rest of a small body may still come; the service's connection is not used again.
    client.send(`56789${get('/next')}`)
    const next = await upstream.connection(1)
    assert.equal((await next.request()).target, '/next')
    await next.answer('next')
    assert.equal((await client.response()).text, 'next')
    assert.notEqual(await connection.closed(), 'open')
    await client.destroy()
    await gateway.idle()
  })

  test('an early answer while the client goes on sending: its connection is closed in the end', async (t) => {
    const { gateway, upstream, client } = await pair(t, () => {})
    client.send(`POST /early HTTP/1.1\r\n${HOST}Content-Length: 100000000\r\n\r\nx`)
    const connection = await upstream.connection(0)
    await connection.head()
    await connection.send('HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno')
    assert.equal((await client.response('POST')).status, 413)
    client.send(Buffer.alloc(1_000_000))
    assert.notEqual(await client.closed(), 'open')
    await client.destroy()
    await gateway.idle()
  })

  test('an early answer whose service closes at once reaches the client all the same', async (t) => {
    const { gateway, upstream, client } = await pair(t, () => {})
    client.send(`POST /early HTTP/1.1\r\n${HOST}Content-Length: 3000000\r\n\r\nx`)
    const connection = await upstream.connection(0)
    await connection.head()
    await connection.send(
      'HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno',
    )
    connection.end()
    client.send(Buffer.alloc(2_999_999))
    const early = await client.response('POST')
    assert.equal(early.status, 413)
    assert.equal(early.text, 'no')
    await client.destroy()
    await gateway.idle()
  })

  test('an early answer that is still coming while the body goes on', async (t) => {
    const { gateway, upstream, client } = await pair(t, () => {})
    client.send(`POST /both HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n`)
    const connection = await upstream.connection(0)
    await connection.receives('one')
    await connection.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nein\r\n')
    await client.receives('ein')
    client.send('3\r\ntwo\r\n0\r\n\r\n')
    assert.equal((await connection.request()).text, 'onetwo')
    await connection.send('4\r\nzwei\r\n0\r\n\r\n')
    assert.equal((await client.response('POST')).text, 'einzwei')
    assert.equal((await gateway.stats()).exchanges, 0)
  })
})
