// Every bound at its edge: the last size that passes, and the first that does not, in one piece and in
// many, because each way takes another path through the reader.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { pair } from '../support/gateway.ts'
import type { RawClient } from '../support/raw-client.ts'
import { answersOk } from '../support/recording-upstream.ts'

const HOST = 'Host: shop.example\r\n'
const WAYS: readonly [string, (client: RawClient, bytes: string) => Promise<void> | void][] = [
  ['in one piece', (client, bytes) => client.send(bytes)],
  ['in pieces of 1,000 bytes', (client, bytes) => client.sendSplit(bytes, 1000)],
  ['in pieces of 7 bytes', (client, bytes) => client.sendSplit(bytes, 7)],
]

function target(length: number): string {
  return `GET /${'t'.repeat(length - 1)} HTTP/1.1\r\n${HOST}\r\n`
}

function head(length: number): string {
  const rest = `GET / HTTP/1.1\r\n${HOST}X: \r\n\r\n`
  return rest.replace('X: ', `X: ${'h'.repeat(length - rest.length)}`)
}

function fields(count: number): string {
  const more = Array.from({ length: count - 1 }, (_, i) => `X-${i}: 1\r\n`)
  return `GET / HTTP/1.1\r\n${HOST}${more.join('')}\r\n`
}

function body(length: number): string {
  return `POST / HTTP/1.1\r\n${HOST}Content-Length: ${length}\r\n\r\n${'b'.repeat(length)}`
}

function chunks(length: number): string {
  const half = length >> 1
  const chunk = (size: number): string => `${size.toString(16)}\r\n${'c'.repeat(size)}\r\n`
  return `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n${chunk(half)}${chunk(length - half)}0\r\n\r\n`
}

const limits = { targetBytes: '2kb', headBytes: '4kb', headers: 20, bodyBytes: '3kb' }

for (const [name, make, most, status, code] of [
  ['a target', target, 2048, 414, 'target_too_long'],
  ['a head', head, 4096, 431, 'head_too_large'],
  ['a number of fields', fields, 20, 431, 'head_too_large'],
  ['a body with a length', body, 3072, 413, 'body_too_large'],
  ['a body in chunks', chunks, 3072, 413, 'body_too_large'],
] as const) {
  describe(name, () => {
    for (const [way, send] of WAYS) {
      test(`${way}: ${most} pass`, async (t) => {
        const { client } = await pair(t, answersOk, {}, { limits })
        const bytes = make(most)
        for (let i = 0; i < 2; i++) {
          await send(client, bytes)
          assert.equal((await client.response()).text, 'ok')
        }
      })

      test(`${way}: ${most + 1} do not`, async (t) => {
        const { client, upstream } = await pair(t, answersOk, {}, { limits })
        await send(client, make(most + 1))
        const answer = await client.response()
        assert.equal(answer.status, status)
        assert.equal(answer.problem.code, code)
        if (status === 413) {
          // The rest of such a body is read and thrown away, so that the connection may go on.
          client.send(`GET /next HTTP/1.1\r\n${HOST}\r\n`)
          assert.equal((await client.response()).text, 'ok')
        } else assert.notEqual(await client.closed(), 'open')
        // A body in chunks was on its way before it grew too long; it must never look complete.
        assert.doesNotMatch(upstream.text, /\r\n0\r\n\r\n$/)
        if (make !== chunks) assert.doesNotMatch(upstream.text, /bbb|ttt|hhh|X-1/)
      })
    }
  })
}

test('a head over the limit that arrives with a body or another request', async (t) => {
  const { gateway, upstream } = await pair(t, answersOk, {}, { limits })
  for (const more of ['', 'x'.repeat(100_000), head(100)]) {
    const client = await gateway.connect()
    client.send(head(4097) + more)
    assert.equal((await client.response()).status, 431)
  }
  assert.equal(upstream.text, '')
})

test('a limit holds for each request, not for all that arrive together', async (t) => {
  const { client } = await pair(t, answersOk, {}, { limits })
  client.send(head(4000).repeat(10) + body(3000).repeat(10))
  for (let i = 0; i < 20; i++) assert.equal((await client.response()).text, 'ok')
})
