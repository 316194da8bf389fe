// Retries, hedges, mirrors, aborts, pipelined requests, bodies of every size, reloads and a drain all at
// once, from a seed: whoever gets an answer gets its own, whole; and when all is over, nothing is left.
// GATEHOUSE_SEED begins another run, GATEHOUSE_RUNS makes more of them.
import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { seededRandom } from '../../src/proxy/upstream/balancers/balancer.contract.ts'
import { HOST } from '../support/faults.ts'
import { type Settings, TestGateway } from '../support/gateway.ts'
import { propertyOptions } from '../support/property.ts'
import type { RawClient } from '../support/raw-client.ts'
import { RecordingUpstream, type UpstreamConnection } from '../support/recording-upstream.ts'
import type { WireRequest } from '../support/strict-http.ts'

type Random = () => number

const METHODS = ['GET', 'GET', 'GET', 'HEAD', 'PUT', 'POST'] as const
const SIZES = [0, 1, 700, 20_000, 70_000, 200_000]
const CLIENTS = 12
const ROUNDS = 10
const PATIENCE_MS = 20

function drawn<T>(random: Random, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)]!
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** What belongs to one request and to no other: its name, over and over. */
function bodyOf(name: string, size: number): string {
  return `${name};`.repeat(Math.ceil(size / (name.length + 1))).slice(0, size)
}

// ---- the service ------------------------------------------------------------------------------------

/** Answers with what belongs to the request, in one of many ways, or not at all. */
async function behave(random: Random, connection: UpstreamConnection, request: WireRequest) {
  const [, name = '', size = '0'] = request.target.split('/')
  const body = bodyOf(name, Number(size))
  const sent = request.header('x-sent')
  assert.equal(request.text, bodyOf(name, Number(sent)), 'the body of somebody else')
  const isHead = request.method === 'HEAD'
  const length = `HTTP/1.1 200 X\r\nX-Name: ${name}\r\nContent-Length: ${body.length}\r\n\r\n`
  const dice = random()
  if (dice < 0.06) connection.reset()
  else if (dice < 0.1) await connection.send(length.slice(0, 20)).then(() => connection.reset())
  else if (dice < 0.2) await connection.send('HTTP/1.1 503 No\r\nContent-Length: 5\r\n\r\nsorry')
  else if (dice < 0.23)
    await connection.send('HTTP/1.1 503 No\r\nContent-Length: 99999\r\n\r\nsorry')
  else if (dice < 0.26) await connection.closed()
  else {
    if (dice < 0.5) await pause(random() * 60)
    if (dice < 0.55) await connection.send(`HTTP/1.1 103 Early\r\nX-Name: ${name}\r\n\r\n`)
    if (isHead) await connection.send(length)
    else if (dice < 0.65) {
      await connection.send(length)
      await pause(random() * 10)
      await connection.send(body.slice(0, body.length / 2))
      if (random() < 0.3) connection.reset()
      else await connection.send(body.slice(body.length / 2))
    } else if (dice < 0.75) {
      const chunks = body === '' ? '' : `${body.length.toString(16)}\r\n${body}\r\n`
      const head = `HTTP/1.1 200 X\r\nX-Name: ${name}\r\nTransfer-Encoding: chunked\r\n\r\n`
      await connection.send(`${head}${chunks}0\r\n\r\n`)
    } else if (dice < 0.8) {
      await connection.send(`HTTP/1.1 200 X\r\nX-Name: ${name}\r\nConnection: close\r\n\r\n${body}`)
      connection.end()
    } else if (dice < 0.83)
      await connection.send(`${length}${body}HTTP/1.1 200 Nobody asked\r\n\r\n`)
    else await connection.send(length + body)
  }
}

function serviceOf(random: Random) {
  return RecordingUpstream.start(async (connection) => {
    for (let next = await connection.nextRequest(); next !== null; ) {
      await behave(random, connection, next)
      next = await connection.nextRequest()
    }
  })
}

// ---- the clients ------------------------------------------------------------------------------------

interface Asked {
  readonly method: string
  readonly name: string
  readonly size: number
}

/** Sends one request, some in pieces. */
async function send(random: Random, client: RawClient, asked: Asked): Promise<void> {
  const { method, name, size } = asked
  const hasBody = method === 'PUT' || method === 'POST'
  const body = hasBody ? bodyOf(name, drawn(random, SIZES)) : ''
  const isChunked = hasBody && random() < 0.3
  const framed = isChunked && body !== '' ? `${body.length.toString(16)}\r\n${body}\r\n` : body
  const framing = isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`
  const deadline = random() < 0.1 ? 'X-Deadline: 120\r\n' : ''
  const head = `${method} /${name}/${size} HTTP/1.1\r\n${HOST}${deadline}X-Sent: ${body.length}\r\n`
  const whole = `${head}${hasBody ? `${framing}\r\n` : ''}\r\n${framed}${isChunked ? '0\r\n\r\n' : ''}`
  const cut = random() < 0.3 ? Math.floor(random() * whole.length) : whole.length
  client.send(whole.slice(0, cut))
  if (cut === whole.length) return
  await pause(random() * 30)
  client.send(whole.slice(cut))
}

/** Takes the answers in turn; each is the own one, or a failure that says so. @returns whether to go on. */
async function take(client: RawClient, asked: readonly Asked[], seen: Map<number, number>) {
  for (const { method, name, size } of asked) {
    let answer: Awaited<ReturnType<RawClient['response']>>
    try {
      answer = await client.response(method)
    } catch (error) {
      // The connection was cut, which the client can tell.
      assert.notEqual(client.ending, 'open', String(error))
      return false
    }
    const { status } = answer
    seen.set(status, (seen.get(status) ?? 0) + 1)
    if (status === 200) {
      assert.equal(answer.header('x-name'), name, 'the answer of somebody else')
      if (method !== 'HEAD') assert.equal(answer.text, bodyOf(name, size))
    } else if (status === 503 && answer.text === 'sorry')
      assert.equal(answer.header('x-name'), null)
    else if (method !== 'HEAD' && answer.header('content-length') !== '99999') {
      assert.ok([502, 503, 504].includes(status), `status ${status}: ${answer.text.slice(0, 200)}`)
      assert.equal(typeof answer.problem.code, 'string')
    }
    if (answer.header('connection') === 'close') return false
  }
  return true
}

async function converse(
  random: Random,
  gateway: TestGateway,
  id: number,
  seen: Map<number, number>,
  isDraining: () => boolean,
): Promise<void> {
  let client = await gateway.connect()
  for (let round = 0; round < ROUNDS; round++) {
    const asked: Asked[] = []
    for (let n = random() < 0.25 ? 3 : 1; n > 0; n--) {
      const name = `c${id}r${round}n${n}`
      asked.push({ method: drawn(random, METHODS), name, size: drawn(random, SIZES) })
    }
    const isLeaving = random() < 0.15
    const sending = (async () => {
      for (const one of asked) await send(random, client, one)
    })()
    if (isLeaving) {
      await pause(random() * 2 * PATIENCE_MS)
      if (random() < 0.5) client.reset()
      else client.end()
    }
    if (random() < 0.1) stall(client.socket, random() * 50)
    const goesOn = isLeaving ? false : await take(client, asked, seen)
    await sending
    if (goesOn) continue
    if (!isLeaving) client.end()
    try {
      client = await gateway.connect()
    } catch (error) {
      // Nobody listens any more.
      assert.ok(isDraining(), String(error))
      return
    }
  }
}

function stall(socket: Socket, ms: number): void {
  socket.pause()
  setTimeout(() => socket.resume(), ms)
}

// -----------------------------------------------------------------------------------------------------

async function run(seed: number): Promise<void> {
  const random = seededRandom(seed)
  const upstreams = [await serviceOf(random), await serviceOf(random), await serviceOf(random)]
  const urls = upstreams.map(({ url }) => url)
  const service: Settings = {
    balance: drawn(random, ['round-robin', 'least-connections', 'p2c', 'random']),
    connections: { max: drawn(random, [2, 4, 1024]), queueTimeout: '80ms' },
    timeouts: { attempt: '150ms', response: '250ms', idle: '250ms', exchange: '2s' },
    deadline: { header: 'X-Deadline', unit: 'ms' },
    retries: { attempts: 2, on: ['connect', 'reset', 'timeout', 503], budget: { share: 1 } },
    ejection: false,
    hedge: { after: '15ms', max: 2 },
    ...(random() < 0.3 ? { breaker: { open: '100ms', requests: 20, ratio: 0.5 } } : {}),
  }
  const mirror = { to: urls[2], methods: ['GET', 'PUT'], compare: { json: {} }, timeout: '300ms' }
  const isMirrored = random() < 0.5
  const drainsAfterMs = random() < 0.3 ? 100 + random() * 300 : Number.POSITIVE_INFINITY
  const settings = (name: string, count: number): Settings => ({
    services: { [name]: { ...service, endpoints: urls.slice(0, count) } },
    routes: [{ path: '/*', to: name, ...(isMirrored ? { mirror } : {}) }],
    drain: { idle: '50ms', timeout: '100ms' },
  })
  const gateway = await TestGateway.start(settings('a', 3))
  const seen = new Map<number, number>()
  let isOver = false
  let isDraining = false
  const beganAt = performance.now()
  const reloading = (async () => {
    while (!isOver) {
      await pause(40)
      if (performance.now() - beganAt > drainsAfterMs) {
        isDraining = true
        await gateway.drain()
        return
      }
      await gateway.apply(settings(drawn(random, ['a', 'b']), drawn(random, [2, 3])))
    }
  })()
  try {
    const clients = Array.from({ length: CLIENTS }, (_, id) =>
      converse(random, gateway, id, seen, () => isDraining),
    )
    await Promise.all(clients)
    isOver = true
    await reloading
    await gateway.disconnect()
    await gateway.settled()
    await gateway.idle()
    assert.equal(gateway.inFlight(), 0)
    assert.ok(isDraining || (seen.get(200) ?? 0) > ROUNDS, `answers: ${JSON.stringify([...seen])}`)
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
  } finally {
    isOver = true
    await reloading.catch(() => {})
    await gateway.close()
    for (const upstream of upstreams) await upstream.close()
  }
  if (process.env.GATEHOUSE_RUNS !== undefined)
    console.log(seed, isDraining, isMirrored, JSON.stringify([...seen]))
}

const { numRuns, seed = 20_260 } = propertyOptions(3)

for (let i = 0; i < numRuns; i++) {
  test(`everybody gets the own answer, and nothing is left (seed ${seed + i})`, () => run(seed + i))
}
