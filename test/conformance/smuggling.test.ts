// The smuggling corpus against Gatehouse in front of a service that keeps every byte: what is
// ambiguous is refused and never seen by the service, alone, behind a good request, and cut at every
// byte; what passes is read by the strictest reader as exactly the requests that were sent.
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { errorKind } from '../../src/errors.ts'
import { printable } from '../support/changes.ts'
import { TestGateway } from '../support/gateway.ts'
import type { RawClient } from '../support/raw-client.ts'
import { answersOk, RecordingUpstream } from '../support/recording-upstream.ts'
import { readRequest, type WireRequest, type WireResponse } from '../support/strict-http.ts'
import { DEFUSED } from './defused-corpus.ts'
import { get, type RefusedCase } from './refused-case.ts'
import { REFUSED } from './smuggling-corpus.ts'

/** What an attacker wants to become a request of its own. */
const ATTACK = get('/smuggled', 'X-Attack: 1')
const GOOD = get('/good')
/** Cases beyond this length are sent whole only; cutting them at every byte shows nothing more. */
const SPLIT_BYTES_MAX = 1500

let upstream: RecordingUpstream
let gateway: TestGateway

before(async () => {
  upstream = await RecordingUpstream.start(answersOk)
  gateway = await TestGateway.to({ url: upstream.url })
})
afterEach(async () => {
  await gateway.disconnect()
  await gateway.settled()
})
after(async () => {
  await gateway.close()
  await upstream.close()
})

function assertRefusal(answer: WireResponse, codes: RefusedCase['codes']): void {
  const code = codes.find((candidate) => candidate === answer.problem.code)
  assert.ok(
    code !== undefined,
    `expected ${codes.join(' or ')}, got ${answer.status} ${answer.text}`,
  )
  const kind = errorKind(code)
  assert.equal(answer.status, kind.status)
  assert.equal(answer.problem.status, kind.status)
  assert.equal(answer.header('connection'), 'close')
  assert.match(answer.header('proxy-status') ?? '', new RegExp(`error=${kind.proxyStatus}(;|$)`))
}

/** After a refusal the connection ends, and nothing more comes over it. */
async function assertClosed(client: RawClient): Promise<void> {
  assert.equal(await client.closed(), 'fin')
  assert.equal(client.unread.toString('latin1'), '')
  client.end()
}

/** Every request that the service could read since the mark, and what remains unread. */
function requestsSeen(): { requests: WireRequest[]; rest: string } {
  const requests: WireRequest[] = []
  let rest = ''
  for (const received of upstream.since()) {
    let at = 0
    for (;;) {
      const read = readRequest(received, at)
      if (read === null) break
      requests.push(read.message)
      at = read.end
    }
    rest += received.toString('latin1', at)
  }
  return { requests, rest }
}

/** The service saw these targets, and of the refused request nothing, or a head that never ends. */
function assertSeen(targets: readonly string[], { bytes, where }: RefusedCase): void {
  const { requests, rest } = requestsSeen()
  assert.deepEqual(
    requests.map((request) => request.target),
    targets,
  )
  if (where === 'head') assert.equal(rest, '', 'nothing of a refused head')
  assert.doesNotMatch(rest, /smuggled/)
  assert.ok(where === 'head' || rest === '' || rest.startsWith('POST /victim'), printable(bytes))
}

/** A fresh connection; the service's record starts anew. */
async function connect(): Promise<RawClient> {
  upstream.mark()
  return gateway.connect()
}

describe('refused', () => {
  for (const refused of REFUSED) {
    test(refused.name, async () => {
      const { bytes, codes } = refused
      const alone = await connect()
      alone.send(bytes + ATTACK)
      assertRefusal(await alone.response(), codes)
      await assertClosed(alone)
      await gateway.settled()
      assertSeen([], refused)

      const behind = await connect()
      behind.send(GOOD + bytes + ATTACK)
      assert.equal((await behind.response()).text, 'ok')
      assertRefusal(await behind.response(), codes)
      await assertClosed(behind)
      await gateway.settled()
      assertSeen(['/good'], refused)

      if (bytes.length > SPLIT_BYTES_MAX) return
      const split = await connect()
      await split.sendSplit(bytes + ATTACK)
      assertRefusal(await split.response(), codes)
      assert.notEqual(await split.closed(), 'open')
      await gateway.settled()
      assertSeen([], refused)
    })
  }

  test('the corpus is as large as it should be, and names each case once', () => {
    assert.ok(REFUSED.length >= 120)
    assert.equal(new Set(REFUSED.map((refused) => refused.name)).size, REFUSED.length)
  })
})

describe('taken, in a form with one meaning', () => {
  for (const { name, bytes, never, body } of DEFUSED) {
    test(name, async () => {
      for (const way of ['whole', 'split'] as const) {
        const client = await connect()
        if (way === 'whole') client.send(bytes + GOOD)
        else await client.sendSplit(bytes + GOOD)
        const method = bytes.trimStart().startsWith('POST') ? 'POST' : 'GET'
        for (const answer of await client.responses([method, 'GET'])) {
          assert.equal(answer.status, 200)
          assert.equal(answer.text, 'ok')
        }
        await client.destroy()
        await gateway.settled()
        const { requests, rest } = requestsSeen()
        assert.deepEqual(
          requests.map((request) => request.target),
          ['/taken', '/good'],
        )
        assert.equal(rest, '')
        assert.equal(requests[0]!.text, body ?? '')
        assert.deepEqual(requests[0]!.trailers, [])
        assert.doesNotMatch(requests[0]!.head, never)
        assert.doesNotMatch(Buffer.concat(upstream.since()).toString('latin1'), never)
      }
    })
  }
})
