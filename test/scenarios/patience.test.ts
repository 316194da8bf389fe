// Every clock runs only against the one it is meant for: a slow service is no reason to give up a
// client, and a slow client none to give up a service.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GET, HOST } from '../support/faults.ts'
import { pair } from '../support/gateway.ts'
import { answersOk } from '../support/recording-upstream.ts'

const POST = `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\n`
/** Every timeout towards clients, and a pause that is longer than each. */
const limits = { headTimeout: '300ms', bodyIdleTimeout: '300ms', keepAliveTimeout: '300ms' }

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 600))
}

for (const [name, request] of [
  ['a request', GET],
  ['a request with a body', `${POST}hello`],
  [
    'a request with chunks',
    `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
] as const) {
  test(`a service may think about ${name} longer than its client may take to send it`, async (t) => {
    const { upstream, client } = await pair(t, () => {}, {}, { limits })
    client.send(request)
    const connection = await upstream.connection(0)
    await connection.request()
    await pause()
    await connection.answer('well considered')
    assert.equal((await client.response(request.slice(0, 4).trim())).text, 'well considered')
  })
}

test('a service may pause within its answer longer than a client may', async (t) => {
  const { upstream, client } = await pair(t, () => {}, {}, { limits })
  client.send(GET)
  const connection = await upstream.connection(0)
  await connection.request()
  await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst')
  await client.receives('first')
  await pause()
  await connection.send('after')
  assert.equal((await client.response()).text, 'firstafter')
})

test('a service that reads slowly does not cost the client its time', async (t) => {
  const size = 20_000_000
  const { upstream, client } = await pair(t, () => {}, {}, { limits })
  client.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: ${size}\r\n\r\n`)
  const connection = await upstream.connection(0)
  await connection.head()
  connection.socket.pause()
  for (let sent = 0; sent < size; sent += 1_000_000) client.send(Buffer.alloc(1_000_000, 'x'))
  await pause()
  connection.socket.resume()
  assert.equal((await connection.request()).body.length, size)
  await connection.answer('all of it')
  assert.equal((await client.response('POST')).text, 'all of it')
})

test('a client that sends slowly does not cost the service its time', async (t) => {
  const { upstream, client } = await pair(t, answersOk, {
    timeouts: { response: '300ms', idle: '300ms' },
  })
  client.send(`${POST}he`)
  await (await upstream.connection(0)).receives('he')
  await pause()
  client.send('llo')
  assert.equal((await client.response('POST')).text, 'ok')
})

test('nor does one that waits for 100 and then thinks', async (t) => {
  const { upstream, client } = await pair(t, () => {}, {
    timeouts: { response: '300ms', idle: '300ms' },
  })
  client.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n`)
  const connection = await upstream.connection(0)
  await connection.head()
  await connection.send('HTTP/1.1 100 Continue\r\n\r\n')
  await client.receives('100 Continue')
  await pause()
  client.send('hello')
  await connection.request()
  await connection.answer('ok')
  assert.equal((await client.response('POST')).text, 'ok')
})

test('a client that reads slowly does not cost the service its time', async (t) => {
  const size = 20_000_000
  const { upstream, client } = await pair(t, () => {}, { timeouts: { idle: '300ms' } })
  client.send(GET)
  client.pause()
  const connection = await upstream.connection(0)
  await connection.request()
  connection.socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`)
  for (let sent = 0; sent < size; sent += 1_000_000) {
    connection.socket.write(Buffer.alloc(1_000_000, 'x'))
  }
  await pause()
  client.resume()
  assert.equal((await client.response()).body.length, size)
})

test('a body that goes on beside an answer that is long complete is bounded all the same', async (t) => {
  const { gateway, upstream, client } = await pair(t, () => {}, {}, { limits })
  client.send(`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n`)
  const connection = await upstream.connection(0)
  await connection.head()
  await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly')
  assert.equal((await client.response('POST')).text, 'early')
  assert.notEqual(await client.closed(), 'open')
  client.end()
  await gateway.idle()
})
