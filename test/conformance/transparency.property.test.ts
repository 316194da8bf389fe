// Whole conversations, made up at random: pipelined requests of every framing, answers of every
// framing, cut at random places on both sides. What the service reads and what the client reads is what
// the other wrote, in the same order.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { nextTurn } from '../support/changes.ts'
import { TestGateway } from '../support/gateway.ts'
import { propertyOptions } from '../support/property.ts'
import { RecordingUpstream, type UpstreamConnection } from '../support/recording-upstream.ts'
import type { FieldLine, Message } from '../support/strict-http.ts'

interface Part {
  readonly fields: readonly FieldLine[]
  readonly framing: 'none' | 'length' | 'chunked'
  readonly body: string
  /** Sizes of chunks, used in turn. */
  readonly cuts: readonly number[]
}
interface Exchange {
  readonly method: string
  readonly target: string
  readonly request: Part
  readonly status: number
  readonly interim: boolean
  readonly answer: Part
}

let upstream: RecordingUpstream
let gateway: TestGateway
let script: readonly Exchange[] = []
let pieces: readonly number[] = [1]
let seen: Message[] = []

before(async () => {
  upstream = await RecordingUpstream.start(serve)
  gateway = await TestGateway.to({ url: upstream.url, retries: { attempts: 0 } })
})
after(async () => {
  await gateway.close()
  await upstream.close()
})

async function serve(connection: UpstreamConnection): Promise<void> {
  for (;;) {
    const request = await connection.nextRequest()
    if (request === null) return
    const exchange = script[seen.length]!
    seen.push(request)
    const interim = exchange.interim ? 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n' : ''
    const start = `HTTP/1.1 ${exchange.status} reason`
    const bytes = interim + message(start, exchange.answer, hasBody(exchange))
    await writeInPieces((piece) => connection.socket.write(piece, 'latin1'), bytes)
  }
}

function hasBody({ method, status }: Exchange): boolean {
  return method !== 'HEAD' && status !== 204 && status !== 304
}

async function writeInPieces(write: (piece: string) => void, bytes: string): Promise<void> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = pieces[i % pieces.length]!
    write(bytes.slice(at, at + size))
    at += size
    await nextTurn()
  }
}

function message(start: string, part: Part, withBody = true): string {
  const { fields, framing, body, cuts } = part
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  if (framing === 'none') return `${start}\r\n${lines}${framingOfNothing(start)}\r\n`
  if (framing === 'length') {
    const length = start.includes(' 204 ') ? '' : `Content-Length: ${body.length}\r\n`
    return `${start}\r\n${lines}${length}\r\n${withBody ? body : ''}`
  }
  const coding = start.includes(' 204 ') ? '' : 'Transfer-Encoding: chunked\r\n'
  if (!withBody) return `${start}\r\n${lines}${coding}\r\n`
  let text = ''
  for (let at = 0, i = 0; at < body.length; i++) {
    const data = body.slice(at, at + cuts[i % cuts.length]!)
    text += `${data.length.toString(16)}\r\n${data}\r\n`
    at += data.length
  }
  return `${start}\r\n${lines}${coding}\r\n${text}0\r\n\r\n`
}

/** An answer without a body needs a length that says so; a request does not. */
function framingOfNothing(start: string): string {
  return start.startsWith('HTTP/') && !start.includes(' 204 ') ? 'Content-Length: 0\r\n' : ''
}

const name = fc
  .string({ unit: fc.constantFrom(...'abXY-_9'), minLength: 1, maxLength: 8 })
  .map((text) => `q${text}`)
const value = fc
  .string({ unit: fc.constantFrom(...'ab, ;="/\xe9\t'), maxLength: 12 })
  .map((text) => text.replace(/^[ \t]+|[ \t]+$/g, ''))
const part: fc.Arbitrary<Part> = fc.record({
  fields: fc.array(fc.tuple(name, value), { maxLength: 4 }),
  framing: fc.constantFrom('none', 'length', 'chunked'),
  body: fc.oneof(
    fc.string({
      unit: fc.constantFrom('a', '\r\n', '0\r\n\r\n', '\0', '\xff', 'GET / HTTP/1.1\r\n'),
      maxLength: 12,
    }),
    fc.nat(20_000).map((length) => 'x'.repeat(length)),
  ),
  cuts: fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 4 }),
})
const exchange: fc.Arbitrary<Exchange> = fc.record({
  method: fc.constantFrom('GET', 'POST', 'HEAD', 'PUT', 'DELETE', 'BREW'),
  target: fc.constantFrom('/', '/a?b=c', '/%7e;x', '/a/b/c'),
  request: part,
  status: fc.constantFrom(200, 200, 404, 500, 204, 304),
  interim: fc.boolean(),
  answer: part,
})
const sizes = fc.oneof(
  fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 5 }),
  fc.array(fc.integer({ min: 50, max: 100_000 }), { minLength: 1, maxLength: 5 }),
)

function ownFields(got: Message): FieldLine[] {
  return got.lines.filter(([field]) => field.startsWith('q'))
}

async function converse(exchanges: readonly Exchange[]): Promise<void> {
  script = exchanges
  seen = []
  const client = await gateway.connect()
  const all = exchanges
    .map(({ method, target, request }) =>
      message(`${method} ${target} HTTP/1.1\r\nHost: q`, request),
    )
    .join('')
  await writeInPieces((piece) => client.send(piece), all)
  const answers = await client.responses(exchanges.map(({ method }) => method))
  await client.destroy()
  assert.equal(seen.length, exchanges.length)
  for (const [i, given] of exchanges.entries()) {
    const { method, target, request, status, interim, answer } = given
    const got = seen[i]!
    assert.ok(got.head.startsWith(`${method} ${target} HTTP/1.1\r\n`))
    assert.deepEqual(ownFields(got), request.fields)
    assert.equal(got.text, request.framing === 'none' ? '' : request.body)
    assert.equal(got.framing, request.framing)
    assert.equal(answers[i]!.status, status)
    assert.equal(answers[i]!.interim.length, interim ? 1 : 0)
    assert.deepEqual(ownFields(answers[i]!), answer.fields)
    assert.equal(answers[i]!.text, hasBody(given) && answer.framing !== 'none' ? answer.body : '')
  }
}

test('what one side writes the other reads, however it is cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(exchange, { minLength: 1, maxLength: 6 }),
      sizes,
      async (exchanges, cut) => {
        // Bodies of many thousand bytes in pieces of a few take long and show nothing new.
        const total = exchanges.reduce(
          (sum, { request, answer }) => sum + request.body.length + answer.body.length,
          0,
        )
        pieces = total > 5000 ? cut.map((size) => size * 300) : cut
        await converse(exchanges)
      },
    ),
    propertyOptions(150),
  )
  await gateway.idle()
})
