// Large bodies: every byte arrives, and while one side is slow the other is stopped instead of the
// gateway's memory growing.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { eventually } from '../support/changes.ts'
import { TestGateway } from '../support/gateway.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'

const MB = 1_000_000
const TOTAL = 200 * MB
/** What kernel buffers of all four sockets and the streams between them may swallow; far below TOTAL. */
const HELD_MAX = 48 * MB
const PIECE = Buffer.alloc(64 * 1024)
for (let i = 0; i < PIECE.length; i++) PIECE[i] = (i * 31 + (i >> 8)) & 0xff

/** Writes the pattern until `total` bytes are written, in step with the reader; then ends with `tail`. */
function pour(socket: Socket, total: number, isChunked: boolean): { written: () => number } {
  let left = total
  const next = (): void => {
    while (left > 0) {
      const data = left < PIECE.length ? PIECE.subarray(0, left) : PIECE
      left -= data.length
      let takesMore: boolean
      if (isChunked) {
        socket.write(`${data.length.toString(16)}\r\n`)
        socket.write(data)
        takesMore = socket.write('\r\n')
      } else takesMore = socket.write(data)
      if (!takesMore) {
        socket.once('drain', next)
        return
      }
    }
    if (isChunked) socket.write('0\r\n\r\n')
  }
  next()
  return { written: () => total - left }
}

/** The digest of what `pour` sends. */
function digest(total: number): string {
  const hash = createHash('sha1')
  for (let left = total; left > 0; left -= PIECE.length) {
    hash.update(left < PIECE.length ? PIECE.subarray(0, left) : PIECE)
  }
  return hash.digest('hex')
}
const DIGEST = digest(TOTAL)

/** Reads a body of which only digest and length are kept. Begins with the head, as text. */
class Gauge {
  head = ''
  bytes = 0
  #hash = createHash('sha1')
  #chunkLeft = 0
  #line = ''

  constructor(socket: Socket, isChunked: boolean) {
    socket.on('data', (data: Buffer) => {
      let at = 0
      if (!this.head.endsWith('\r\n\r\n')) {
        const before = this.head.length
        const text = this.head + data.toString('latin1')
        const end = text.indexOf('\r\n\r\n')
        this.head = end === -1 ? text : text.slice(0, end + 4)
        at = this.head.length - before
      }
      if (isChunked) this.#takeChunks(data, at)
      else this.#take(data.subarray(at))
    })
    socket.on('error', () => {})
  }

  get digest(): string {
    return this.#hash.copy().digest('hex')
  }

  #take(data: Buffer): void {
    this.bytes += data.length
    this.#hash.update(data)
  }

  #takeChunks(data: Buffer, start: number): void {
    let at = start
    while (at < data.length) {
      if (this.#chunkLeft > 0) {
        const end = Math.min(data.length, at + this.#chunkLeft)
        this.#take(data.subarray(at, end))
        this.#chunkLeft -= end - at
        at = end
        continue
      }
      const end = data.indexOf('\n', at)
      this.#line += data.toString('latin1', at, end === -1 ? data.length : end)
      at = end === -1 ? data.length : end + 1
      if (end === -1) break
      const size = this.#line.trim()
      this.#line = ''
      if (size !== '') this.#chunkLeft = Number.parseInt(size, 16)
    }
  }
}

async function start(t: TestContext) {
  const sockets: Socket[] = []
  const upstream = await RecordingUpstream.startRaw((socket) => sockets.push(socket))
  const gateway = await TestGateway.to({ url: upstream.url })
  const client = connect({ port: gateway.port, host: '127.0.0.1', allowHalfOpen: true })
  client.on('error', () => {})
  t.after(async () => {
    client.destroy()
    await gateway.close()
    await upstream.close()
  })
  const service = async (): Promise<Socket> => {
    await eventually(
      () => sockets.length > 0,
      () => 'a connection to the service',
    )
    return sockets[0]!
  }
  return { gateway, client, service }
}

/** Resolves when `progress` has stood still for a while: everybody waits for the slow side. */
async function stalled(progress: () => number): Promise<void> {
  let last = -1
  let still = 0
  await eventually(
    () => {
      still = progress() === last && last > 0 ? still + 1 : 0
      last = progress()
      return still >= 40
    },
    () => `a standstill; ${last} bytes so far`,
  )
}

function heldBytes(): number {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

for (const isChunked of [false, true]) {
  const framing = isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${TOTAL}`

  describe(framing, () => {
    test('from the service to a slow client', async (t) => {
      const { gateway, client, service } = await start(t)
      client.write('GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n')
      client.pause()
      const socket = await service()
      const before = heldBytes()
      socket.write(`HTTP/1.1 200 OK\r\n${framing}\r\n\r\n`)
      const { written } = pour(socket, TOTAL, isChunked)
      await stalled(written)
      assert.ok(written() < HELD_MAX, `the service was stopped after ${written()} bytes`)
      assert.ok(heldBytes() - before < HELD_MAX, `memory grew by ${heldBytes() - before}`)
      const gauge = new Gauge(client, isChunked)
      client.resume()
      await eventually(
        () => gauge.bytes === TOTAL,
        () => `${gauge.bytes} bytes`,
        60_000,
      )
      assert.equal(gauge.digest, DIGEST)
      client.end()
      await gateway.idle()
    })

    test('from a client to a slow service', async (t) => {
      const { gateway, client, service } = await start(t)
      client.write(`POST / HTTP/1.1\r\nHost: shop.example\r\n${framing}\r\n\r\n`)
      const socket = await service()
      socket.pause()
      const before = heldBytes()
      const { written } = pour(client, TOTAL, isChunked)
      await stalled(written)
      assert.ok(written() < HELD_MAX, `the client was stopped after ${written()} bytes`)
      assert.ok(heldBytes() - before < HELD_MAX, `memory grew by ${heldBytes() - before}`)
      const gauge = new Gauge(socket, isChunked)
      socket.resume()
      await eventually(
        () => gauge.bytes === TOTAL,
        () => `${gauge.bytes} bytes`,
        60_000,
      )
      assert.equal(gauge.digest, DIGEST)
      const answer = new Gauge(client, false)
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      await eventually(
        () => answer.bytes === 2,
        () => 'the answer',
      )
      client.end()
      await gateway.idle()
    })
  })
}
