// Where messages begin and end: bodies in both directions, answers without one, interim answers,
// expectations, old versions, keep-alive and close, pipelining, early answers.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { pair } from '../support/gateway.ts'
import { answersOk, type UpstreamConnection } from '../support/recording-upstream.ts'

const HOST = 'Host: shop.example\r\n'
const GET = `GET / HTTP/1.1\r\n${HOST}\r\n`
const OK = 'HTTP/1.1 200 OK\r\n'

function post(fields: string, body = ''): string {
  return `POST / HTTP/1.1\r\n${HOST}${fields}\r\n${body}`
}

/** A script that takes one request after the other and answers each with the same bytes. */
function always(answer: string) {
  return async (connection: UpstreamConnection): Promise<void> => {
    while ((await connection.nextRequest()) !== null) await connection.send(answer)
  }
}

describe('request bodies', () => {
  test('with a length', async (t) => {
    const { upstream, client } = await pair(t, answersOk)
    await client.exchange(post('Content-Length: 5\r\n', 'he\0\xffo'))
    assert.match(upstream.text, /\r\nContent-Length: 5\r\n/)
    assert.match(upstream.text, /\r\n\r\nhe\0\xffo$/)
  })

  test('chunked stays chunked, whatever its cuts', async (t) => {
    const { upstream, client } = await pair(t, () => {})
    client.send(post('Transfer-Encoding: chunked\r\n'))
    await client.sendSplit('3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n')
    const connection = await upstream.connection(0)
    const request = await connection.request()
    assert.equal(request.framing, 'chunked')
    assert.equal(request.text, 'abc0123456789')
    await connection.answer('ok')
    assert.equal((await client.response('POST')).text, 'ok')
  })

  test('an empty chunked body, and a length of zero', async (t) => {
    const { upstream, client } = await pair(t, () => {})
    client.send(post('Transfer-Encoding: chunked\r\n', '0\r\n\r\n'))
    const connection = await upstream.connection(0)
    const chunked = await connection.request()
    assert.equal(chunked.framing, 'chunked')
    assert.equal(chunked.text, '')
    await connection.answer('one')
    await client.response('POST')
    client.send(post('Content-Length: 0\r\n'))
    const zero = await connection.request()
    assert.equal(zero.header('content-length'), '0')
    await connection.answer('two')
    assert.equal((await client.response('POST')).text, 'two')
  })

  test('a POST without any length has no body', async (t) => {
    const { upstream, client } = await pair(t, answersOk)
    assert.equal((await client.exchange(post('') + GET, 'POST')).text, 'ok')
    assert.equal((await client.response()).text, 'ok')
    assert.match(upstream.text, /^POST [\s\S]*\r\n\r\nGET /)
  })

  test('trailers pass by name', async (t) => {
    const settings = { limits: { trailers: ['x-sum', 'x-late'] } }
    const { upstream, client } = await pair(t, () => {}, {}, settings)
    client.send(
      post(
        'Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n',
        '1\r\na\r\n0\r\nX-Sum: 42\r\nx-LATE:\t1\r\nX-Other: 2\r\n\r\n',
      ),
    )
    const connection = await upstream.connection(0)
    const request = await connection.request()
    assert.deepEqual(request.trailers, [
      ['X-Sum', '42'],
      ['x-LATE', '1'],
    ])
    await connection.answer('ok')
    await client.response('POST')
  })

  test('a head goes on before the first byte of its body', async (t) => {
    const { upstream, client } = await pair(t, () => {})
    client.send(post('Transfer-Encoding: chunked\r\n'))
    const connection = await upstream.connection(0)
    await connection.head()
    await connection.send(`${OK}Transfer-Encoding: chunked\r\n\r\n`)
    await client.receives('\r\n\r\n')
    for (const word of ['one', 'two']) {
      client.send(`3\r\n${word}\r\n`)
      await connection.receives(word)
      await connection.send(`3\r\n${word}\r\n`)
      await client.receives(word)
    }
    client.send('0\r\n\r\n')
    await connection.request()
    await connection.send('0\r\n\r\n')
    assert.equal((await client.response('POST')).text, 'onetwo')
  })

  test('a body over the limit gets 413, told beforehand or not', async (t) => {
    const limits = { bodyBytes: '1kb' }
    const { upstream, gateway, client } = await pair(t, () => {}, {}, { limits })
    const told = await client.exchange(post('Content-Length: 1025\r\n'))
    assert.equal(told.status, 413)
    assert.equal(told.problem.code, 'body_too_large')
    assert.equal(upstream.connections.length, 0)
    const other = await gateway.connect()
    other.send(post('Transfer-Encoding: chunked\r\n', `400\r\n${'x'.repeat(1024)}\r\n`))
    await (await upstream.connection(0)).receives('xxx')
    other.send('1\r\ny\r\n')
    const untold = await other.response('POST')
    assert.equal(untold.status, 413)
    assert.equal(untold.problem.code, 'body_too_large')
    assert.notEqual(await upstream.connections[0]!.closed(), 'open')
    assert.doesNotMatch(upstream.text, /\r\n0\r\n\r\n$/)
  })
})

describe('answers', () => {
  test('chunked stays chunked, with the trailers that may pass', async (t) => {
    const { client } = await pair(
      t,
      always(
        `${OK}Transfer-Encoding: chunked\r\nTrailer: ETag\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nETag: "v"\r\nX-Other: 1\r\n\r\n`,
      ),
    )
    const answer = await client.exchange(
      GET.replace('\r\n\r\n', '\r\nTE: trailers\r\nConnection: TE\r\n\r\n'),
    )
    assert.equal(answer.framing, 'chunked')
    assert.equal(answer.text, 'abcde')
    assert.deepEqual(answer.trailers, [['ETag', '"v"']])
    assert.equal((await client.exchange(GET)).text, 'abcde')
  })

  test('an answer that ends with its connection is chunked for the client', async (t) => {
    const { gateway, client } = await pair(t, async (connection) => {
      await connection.request()
      await connection.send(`${OK}\r\nhello `)
      await connection.send('world')
      connection.end()
    })
    const answer = await client.exchange(GET)
    assert.equal(answer.framing, 'chunked')
    assert.equal(answer.text, 'hello world')
    const old = await gateway.connect()
    const toOld = await old.exchange('GET / HTTP/1.0\r\n\r\n')
    assert.equal(toOld.framing, 'close')
    assert.equal(toOld.text, 'hello world')
  })

  test('HEAD: the length of a body that does not come', async (t) => {
    const { client, upstream } = await pair(t, async (connection) => {
      await connection.request()
      await connection.send(`${OK}Content-Length: 12345\r\n\r\n`)
      await connection.request()
      await connection.send(`${OK}Transfer-Encoding: chunked\r\n\r\n`)
      await connection.request()
      await connection.send(`${OK}\r\n`)
      await connection.request()
      await connection.answer('fine')
    })
    const head = GET.replace('GET', 'HEAD')
    client.send(head + head + head + GET)
    const [length, chunked, none, get] = await client.responses(['HEAD', 'HEAD', 'HEAD', 'GET'])
    assert.equal(length!.header('content-length'), '12345')
    assert.equal(chunked!.header('content-length'), null)
    assert.equal(none!.status, 200)
    assert.equal(get!.text, 'fine')
    assert.equal(upstream.connections.length, 1)
  })

  test('204 and 304 have no body, and the connection goes on', async (t) => {
    const { client, upstream } = await pair(t, async (connection) => {
      await connection.request()
      await connection.send('HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n')
      await connection.request()
      await connection.send('HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 99\r\n\r\n')
      await connection.request()
      await connection.send('HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n')
      await connection.request()
      await connection.answer('fine')
    })
    client.send(GET + GET + GET + GET)
    const all = await client.responses(['GET', 'GET', 'GET', 'GET'])
    assert.deepEqual(
      all.map((answer) => answer.status),
      [204, 304, 304, 200],
    )
    assert.equal(all[0]!.header('x-a'), '1')
    assert.equal(all[1]!.header('content-length'), '99')
    assert.equal(all[3]!.text, 'fine')
    assert.equal(upstream.connections.length, 1)
  })

  test('205 with a length of zero', async (t) => {
    const { client } = await pair(
      t,
      always('HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n'),
    )
    assert.equal((await client.exchange(GET)).status, 205)
    assert.equal((await client.exchange(GET)).status, 205)
  })

  test('cut at every byte', async (t) => {
    const text = `${OK}Content-Length: 5\r\nX-A: b\r\n\r\nhello`
    const chunked = `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nworld\r\n0\r\nETag: "x"\r\n\r\n`
    const { client } = await pair(t, async (connection) => {
      await connection.request()
      await connection.sendSplit(text)
      await connection.request()
      await connection.sendSplit(chunked)
    })
    client.send(GET + GET)
    const [first, second] = await client.responses(['GET', 'GET'])
    assert.equal(first!.text, 'hello')
    assert.equal(second!.text, 'world')
    assert.deepEqual(second!.trailers, [['ETag', '"x"']])
  })
})

describe('interim answers', () => {
  test('every 1xx passes, before the final answer', async (t) => {
    const { client } = await pair(
      t,
      always(
        'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n' +
          `HTTP/1.1 199 Whatever\r\n\r\n${OK}Content-Length: 2\r\n\r\nok`,
      ),
    )
    const answer = await client.exchange(GET)
    assert.deepEqual(
      answer.interim.map((interim) => interim.status),
      [102, 103, 199],
    )
    assert.equal(answer.interim[1]!.header('link'), '</a.css>; rel=preload')
    assert.equal(answer.text, 'ok')
  })

  test('none passes to HTTP/1.0', async (t) => {
    const { client } = await pair(
      t,
      always(`HTTP/1.1 103 Early Hints\r\n\r\n${OK}Content-Length: 2\r\n\r\nok`),
    )
    const answer = await client.exchange('GET / HTTP/1.0\r\n\r\n')
    assert.deepEqual(answer.interim, [])
    assert.equal(answer.text, 'ok')
  })

  test('Expect: 100-continue: the service is asked, and its 100 passes', async (t) => {
    const { upstream, client } = await pair(t, () => {})
    client.send(post('Expect: 100-continue\r\nContent-Length: 5\r\n'))
    const connection = await upstream.connection(0)
    await connection.head()
    assert.match(connection.text, /\r\nExpect: 100-continue\r\n/)
    assert.equal(client.received.length, 0)
    await connection.send('HTTP/1.1 100 Continue\r\n\r\n')
    await client.receives('HTTP/1.1 100 Continue\r\n\r\n')
    client.send('hello')
    assert.equal((await connection.request()).text, 'hello')
    await connection.answer('ok')
    const answer = await client.response('POST')
    assert.equal(answer.text, 'ok')
    assert.equal(answer.interim[0]!.status, 100)
  })

  test('Expect: 100-continue, and the body comes unasked', async (t) => {
    const { upstream, client } = await pair(t, () => {})
    client.send(post('Expect: 100-continue\r\nContent-Length: 5\r\n', 'hello') + GET)
    const connection = await upstream.connection(0)
    assert.equal((await connection.request()).text, 'hello')
    await connection.send('HTTP/1.1 100 Continue\r\n\r\n')
    await connection.answer('one')
    assert.equal((await client.response('POST')).text, 'one')
    await connection.request()
    await connection.answer('two')
    assert.equal((await client.response()).text, 'two')
  })

  test('Expect: 100-continue, refused by the service: the answer comes, and no body is waited for', async (t) => {
    const { upstream, gateway, client } = await pair(t, () => {})
    client.send(post('Expect: 100-continue\r\nContent-Length: 5\r\n'))
    const connection = await upstream.connection(0)
    await connection.head()
    await connection.send('HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nnope')
    const answer = await client.response('POST')
    assert.equal(answer.status, 401)
    assert.equal(answer.text, 'nope')
    // The body may come now or never, so neither connection can carry another request.
    assert.notEqual(await connection.closed(), 'open')
    assert.notEqual(await client.closed(), 'open')
    client.end()
    await gateway.idle()
  })

  test('Expect is not for HTTP/1.0', async (t) => {
    const { upstream, client } = await pair(t, answersOk)
    const answer = await client.exchange(
      'POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello',
      'POST',
    )
    assert.equal(answer.text, 'ok')
    assert.doesNotMatch(upstream.text, /expect/i)
  })
})
