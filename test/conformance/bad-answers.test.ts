// Services that answer badly: the client gets a 502 that says why, or an answer that is visibly cut
// off; the connection is given up; and the next request gets its own right answer, never a byte of the
// bad one.
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { ERRORS, type ErrorCode } from '../../src/errors.ts'
import { eventually } from '../support/changes.ts'
import { TestGateway } from '../support/gateway.ts'
import type { RawClient } from '../support/raw-client.ts'
import { RecordingUpstream, type UpstreamConnection } from '../support/recording-upstream.ts'
import type { WireResponse } from '../support/strict-http.ts'
import { type AnswerCase, BAD_ANSWERS, type Ending, SURPLUS } from './response-corpus.ts'

/** How the service answers requests for /bad; all others get `fine`. */
let answer: { bytes: string; ending: Ending; split: boolean } = {
  bytes: '',
  ending: 'keep',
  split: false,
}
/** The connections on which a bad answer came. */
const bad: UpstreamConnection[] = []
let upstream: RecordingUpstream
let gateway: TestGateway

async function serve(connection: UpstreamConnection): Promise<void> {
  for (;;) {
    const request = await connection.nextRequest()
    if (request === null) return
    if (request.target !== '/bad') {
      await connection.answer(`fine: ${request.target}`)
      continue
    }
    bad.push(connection)
    const { bytes, ending, split } = answer
    if (split) await connection.sendSplit(bytes)
    else if (bytes !== '') await connection.send(bytes)
    if (ending === 'end') connection.end()
    if (ending === 'reset') connection.reset()
  }
}

before(async () => {
  upstream = await RecordingUpstream.start(serve)
  gateway = await TestGateway.to({ url: upstream.url, retries: { attempts: 0 } })
})
afterEach(async () => {
  bad.length = 0
  await gateway.disconnect()
  await gateway.settled()
})
after(async () => {
  await gateway.close()
  await upstream.close()
})

function request(target: string, method = 'GET'): string {
  return `${method} ${target} HTTP/1.1\r\nHost: shop.example\r\n\r\n`
}

/** The final answer, or null when the connection was cut before it was complete. */
async function answerOrCut(client: RawClient): Promise<WireResponse | null> {
  try {
    return await client.response()
  } catch (error) {
    if (client.ending === 'open') throw error
    return null
  }
}

async function assertNextIsRight(client: RawClient, target: string): Promise<void> {
  const next = client.ending === 'open' ? client : await gateway.connect()
  const right = await next.exchange(request(target))
  assert.equal(right.status, 200)
  assert.equal(right.text, `fine: ${target}`)
  await next.destroy()
}

/** Every connection on which a bad answer came is closed, and saw no request after it. */
async function assertGivenUp(): Promise<void> {
  for (const connection of bad) {
    await connection.closed()
    assert.match(connection.text, / \/bad HTTP\/1\.1\r\n([^\r\n]+\r\n)+\r\n$/, 'the last request')
  }
}

async function assertBadAnswer(given: AnswerCase, split: boolean): Promise<void> {
  answer = { bytes: given.bytes, ending: given.ending, split }
  const client = await gateway.connect()
  client.send(request('/bad'))
  const got = await answerOrCut(client)
  if (got === null) {
    assert.ok(given.mayBegin, `cut off, though nothing of the answer was good (${client.ending})`)
    assert.doesNotMatch(client.received.toString('latin1'), /\r\n0\r\n\r\n$/)
  } else {
    const code = String(got.problem.code)
    assert.ok(given.codes.includes(code), `expected ${given.codes.join(' or ')}, got ${code}`)
    assert.equal(got.status, 502)
    assert.match(
      got.header('proxy-status') ?? '',
      new RegExp(`error=${ERRORS[code as ErrorCode].proxyStatus}(;|$)`),
    )
  }
  await assertNextIsRight(client, '/next')
  await assertGivenUp()
}

describe('bad answers', () => {
  for (const given of BAD_ANSWERS) {
    test(given.name, async () => {
      await assertBadAnswer(given, false)
      if (given.bytes.length <= 1000) await assertBadAnswer(given, true)
    })
  }
})

describe('surplus behind a good answer reaches nobody', () => {
  for (const surplus of SURPLUS) {
    test(surplus.name, async () => {
      answer = { bytes: surplus.bytes, ending: 'keep', split: false }
      const client = await gateway.connect()
      // The next request is pipelined: it is there to take the surplus, if anything can.
      client.send(request('/bad', surplus.method) + request('/next'))
      const first = await client.response(surplus.method)
      assert.equal(first.status, surplus.status)
      assert.equal(first.text, surplus.body)
      const second = await client.response()
      assert.equal(second.status, 200)
      assert.equal(second.text, 'fine: /next')
      await assertGivenUp()
      await client.destroy()
    })
  }

  test('an answer that nobody asked for, on an idle connection', async () => {
    const client = await gateway.connect()
    assert.equal((await client.exchange(request('/first'))).text, 'fine: /first')
    const idle = upstream.connections.at(-1)!
    assert.equal(idle.isClosed, false)
    await idle.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil')
    await idle.closed()
    assert.equal((await client.exchange(request('/second'))).text, 'fine: /second')
    await client.destroy()
  })
})

test('afterwards the gateway holds nothing', async () => {
  await gateway.idle()
  await eventually(
    () => upstream.open === gateway.stats().upstreamConnections,
    () => `${upstream.open} connections to become ${gateway.stats().upstreamConnections}`,
  )
})
