// The instruments are tested before anything is measured with them: against node's own HTTP server
// and through a plain TCP pass-through.
import assert from 'node:assert/strict'
import { type AddressInfo, connect, createServer } from 'node:net'
import { describe, test } from 'node:test'
import { Authority } from './certificates.ts'
import { RawClient } from './raw-client.ts'
import { answersOk, type Echo, RecordingUpstream } from './recording-upstream.ts'
import { readRequest, readResponse, WireError } from './strict-http.ts'

describe('strict reader', () => {
  const read = (text: string, method = 'GET', ended = false) =>
    readResponse(Buffer.from(text, 'latin1'), 0, method, ended)

  test('reads interim answers, chunks and trailers, and waits at every byte before the end', () => {
    const text =
      'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n' +
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: 1\r\nA: 2\r\n\r\n' +
      '3\r\nabc\r\nA\r\n0123456789\r\n0\r\nCheck: x\r\n\r\n'
    for (let length = 0; length < text.length; length++) {
      assert.equal(read(text.slice(0, length)), null, `at ${length}`)
    }
    const found = read(`${text}HTTP/1.1 404 Not Found`)
    assert.ok(found)
    assert.equal(found.end, text.length)
    assert.equal(found.message.text, 'abc0123456789')
    assert.deepEqual(found.message.chunkSizes, [3, 10])
    assert.deepEqual(found.message.trailers, [['Check', 'x']])
    assert.deepEqual(found.message.all('a'), ['1', '2'])
    assert.deepEqual(
      found.message.interim.map((interim) => interim.status),
      [103],
    )
  })

  test('knows which answers have no body', () => {
    const length = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'
    assert.equal(read(length), null)
    assert.equal(read(length, 'HEAD')?.end, length.length)
    const head = 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n'
    assert.equal(read(head)?.message.body.length, 0)
    const untold = 'HTTP/1.0 200 OK\r\n\r\nall of it'
    assert.equal(read(untold), null)
    assert.equal(read(untold, 'GET', true)?.message.text, 'all of it')
  })

  test('forgives nothing', () => {
    for (const text of [
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\na\r\n0\r\n\r\n',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n',
      'HTTP/1.1 200 OK\r\nA : 1\r\nContent-Length: 0\r\n\r\n',
      'HTTP/1.1 200 OK\r\nA: 1\nB: 2\r\nContent-Length: 0\r\n\r\n',
      'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n',
      'HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n',
    ]) {
      assert.throws(() => read(text), WireError, JSON.stringify(text))
    }
    const request = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok'
    assert.equal(readRequest(Buffer.from(request), 0)?.message.text, 'ok')
    assert.throws(() => readRequest(Buffer.from(request.replace(': 2', ': +2')), 0), WireError)
  })
})

test('client and upstream exchange exact bytes, split at every one, through a plain pass-through', async () => {
  const upstream = await RecordingUpstream.startHttp()
  const relay = createServer((client) => {
    const service = connect(upstream.port, '127.0.0.1')
    client.pipe(service).pipe(client)
    client.on('error', () => service.destroy())
    service.on('error', () => client.destroy())
  })
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
  const client = await RawClient.connect((relay.address() as AddressInfo).port)
  const request = 'POST /a?b HTTP/1.1\r\nHost: h\r\nX-Obs: \xe9\r\nContent-Length: 3\r\n\r\nabc'
  await client.sendSplit(request)
  client.send(request)
  for (const response of await client.responses(['POST', 'POST'])) {
    const seen = response.json as Echo
    assert.equal(seen.url, '/a?b')
    assert.equal(seen.body, 'abc')
    assert.deepEqual(seen.fields.slice(2, 4), ['X-Obs', '\xe9'])
  }
  assert.equal(upstream.text, request + request)
  client.reset()
  await upstream.idle()
  await new Promise((resolve) => relay.close(resolve))
  await upstream.close()
})

test('a scripted upstream tells how the client left', async () => {
  const upstream = await RecordingUpstream.start(answersOk)
  const polite = await RawClient.connect(upstream.port)
  assert.equal((await polite.exchange('GET / HTTP/1.1\r\nHost: h\r\n\r\n')).text, 'ok')
  polite.end()
  assert.equal(await (await upstream.connection(0)).closed(), 'fin')
  const rude = await RawClient.connect(upstream.port)
  await rude.exchange('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
  rude.reset()
  assert.equal(await (await upstream.connection(1)).closed(), 'reset')
  await polite.destroy()
  await upstream.close()
})

test('certificates are accepted by TLS, for their names only', async () => {
  const authority = new Authority()
  const server = authority.issue({ commonName: 'shop', names: ['shop.example', '127.0.0.1'] })
  const caller = authority.issue({ commonName: 'caller' })
  const upstream = await RecordingUpstream.start(answersOk, {
    ...server,
    ca: authority.cert,
    requestCert: true,
    rejectUnauthorized: true,
  })
  const tls = { ca: authority.cert, ...caller }
  const byName = await RawClient.connect(upstream.port, {
    tls: { ...tls, servername: 'shop.example' },
  })
  assert.equal((await byName.exchange('GET / HTTP/1.1\r\nHost: h\r\n\r\n')).text, 'ok')
  await byName.destroy()
  const byAddress = await RawClient.connect(upstream.port, { tls })
  await byAddress.destroy()
  await assert.rejects(
    RawClient.connect(upstream.port, { tls: { ...tls, servername: 'other.example' } }),
    { code: 'ERR_TLS_CERT_ALTNAME_INVALID' },
  )
  await assert.rejects(
    RawClient.connect(upstream.port, {
      tls: { ca: new Authority().cert, servername: 'shop.example' },
    }),
    /verify|signature/,
  )
  await upstream.close()
})
