// Node's own HTTP client and server on both sides: what strict and scripted peers cannot show is
// whether real ones get along.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import {
  Agent,
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
  request,
  type ServerResponse,
} from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { after, before, describe, test } from 'node:test'
import { eventually } from '../support/changes.ts'
import { TestGateway } from '../support/gateway.ts'
import { type Echo, echo, RecordingUpstream } from '../support/recording-upstream.ts'

let upstream: RecordingUpstream
let gateway: TestGateway
const agent = new Agent({ keepAlive: true, maxSockets: 4 })

/** A service that does what its path says. */
async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  switch (incoming.url) {
    case '/mirror':
      outgoing.writeHead(200, { 'Content-Type': incoming.headers['content-type'] ?? 'text/plain' })
      await pipeline(incoming, outgoing).catch(() => {})
      return
    case '/trailers':
      outgoing.writeHead(200, { Trailer: 'ETag' })
      outgoing.write('body')
      outgoing.addTrailers({ ETag: '"sum"' })
      outgoing.end()
      return
    case '/hints':
      outgoing.writeEarlyHints({ link: '</style.css>; rel=preload' })
      outgoing.writeProcessing()
      outgoing.end('styled')
      return
    case '/broken':
      outgoing.writeHead(200, { 'Content-Length': 1000 })
      outgoing.write('only this', () => incoming.socket.destroy())
      return
    case '/nothing':
      outgoing.writeHead(204).end()
      return
    default:
      echo(incoming, outgoing)
  }
}

before(async () => {
  upstream = await RecordingUpstream.startHttp(
    (incoming, outgoing) => void serve(incoming, outgoing),
  )
  gateway = await TestGateway.to({ url: upstream.url })
})
after(async () => {
  agent.destroy()
  await gateway.close()
  await upstream.close()
})

function ask(path: string, options: RequestOptions = {}): ClientRequest {
  return request({ host: '127.0.0.1', port: gateway.port, path, agent, ...options })
}

/** The answer with its whole body. */
async function answerTo(
  asked: ClientRequest,
): Promise<{ response: IncomingMessage; body: Buffer }> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    asked.once('response', resolve)
    asked.once('error', reject)
  })
  const parts: Buffer[] = []
  for await (const part of response) parts.push(part as Buffer)
  return { response, body: Buffer.concat(parts) }
}

describe('node talks to node', () => {
  test('simple requests over kept connections', async () => {
    for (const method of ['GET', 'DELETE', 'OPTIONS']) {
      const asked = ask('/echo?q=1', { method, headers: { 'X-One': ['a', 'b'] } })
      asked.end()
      const { response, body } = await answerTo(asked)
      assert.equal(response.statusCode, 200)
      const seen = JSON.parse(body.toString()) as Echo
      assert.equal(seen.method, method)
      assert.equal(seen.url, '/echo?q=1')
      assert.deepEqual(seen.fields.slice(0, 4), ['X-One', 'a', 'X-One', 'b'])
    }
  })

  test('20 MB there and back, chunked by node as it likes', async () => {
    const piece = randomBytes(250_000)
    const sent = createHash('sha1')
    const asked = ask('/mirror', { method: 'POST' })
    const answered = answerTo(asked)
    const pieces = function* (): Generator<Buffer> {
      for (let i = 0; i < 80; i++) {
        sent.update(piece)
        yield piece
      }
    }
    await pipeline(Readable.from(pieces()), asked)
    const { body } = await answered
    assert.equal(body.length, 20_000_000)
    assert.equal(createHash('sha1').update(body).digest('hex'), sent.digest('hex'))
  })

  test('trailers', async () => {
    const asked = ask('/trailers', { headers: { TE: 'trailers' } })
    asked.end()
    const { response, body } = await answerTo(asked)
    assert.equal(body.toString(), 'body')
    assert.deepEqual(response.trailers, { etag: '"sum"' })
  })

  test('early hints and 102', async () => {
    const asked = ask('/hints')
    const informed: number[] = []
    asked.on('information', ({ statusCode }) => informed.push(statusCode))
    asked.end()
    const { body } = await answerTo(asked)
    assert.deepEqual(informed, [103, 102])
    assert.equal(body.toString(), 'styled')
  })

  test('Expect: 100-continue', async () => {
    const asked = ask('/mirror', { method: 'PUT', headers: { Expect: '100-continue' } })
    const answered = answerTo(asked)
    await new Promise((resolve) => asked.once('continue', resolve))
    asked.end('now it comes')
    assert.equal((await answered).body.toString(), 'now it comes')
  })

  test('HEAD and 204', async () => {
    const head = ask('/echo', { method: 'HEAD' })
    head.end()
    const { response, body } = await answerTo(head)
    assert.ok(Number(response.headers['content-length']) > 0)
    assert.equal(body.length, 0)
    const nothing = ask('/nothing')
    nothing.end()
    assert.equal((await answerTo(nothing)).response.statusCode, 204)
  })

  test('an answer that breaks off is an error for the client', async () => {
    const asked = ask('/broken')
    asked.end()
    await assert.rejects(answerTo(asked), { code: 'ECONNRESET' })
  })

  test('a client that gives up is an aborted request for the service', async () => {
    const asked = ask('/mirror', { method: 'POST', headers: { 'Content-Length': 1000 } })
    asked.on('error', () => {})
    asked.write('a little')
    const receiver = () => upstream.connections.find(({ text }) => text.includes('a little'))
    await eventually(
      () => receiver() !== undefined,
      () => 'the beginning of the body',
    )
    const connection = receiver()!
    asked.destroy()
    assert.notEqual(await connection.closed(), 'open')
  })

  test('fetch, many at once', async () => {
    const all = Array.from({ length: 40 }, async (_, i) => {
      const text = `body ${i} `.repeat(i * 50)
      const url = `http://127.0.0.1:${gateway.port}/mirror`
      const answer = await fetch(url, { method: 'POST', body: text })
      assert.equal(await answer.text(), text)
    })
    await Promise.all(all)
  })
})
