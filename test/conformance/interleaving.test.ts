// Two clients at once, their bytes mixed in time at every boundary: nobody gets a byte of the other.
// All reads go through one buffer that all connections share, and test/support overwrites it after
// every read; whatever was not copied or written out in time would show here.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { eventually, nextTurn } from '../support/changes.ts'
import { type Pair, pair } from '../support/gateway.ts'
import { lent } from '../support/lent-memory.ts'
import type { RawClient } from '../support/raw-client.ts'
import type { UpstreamConnection } from '../support/recording-upstream.ts'
import type { Message } from '../support/strict-http.ts'

/** One of the two: everything of it is made of its letter. */
interface Party {
  readonly letter: string
  readonly client: RawClient
  readonly connection: UpstreamConnection
}

const LETTERS = ['a', 'b'] as const

/** The two letters, each only in its own messages; the framing uses neither. */
function assertOwn(party: Party, message: Message, what: string): void {
  const other = party.letter === 'a' ? 'b' : 'a'
  const marks = message.all(`Q-${party.letter}`)
  assert.deepEqual(marks, [party.letter.repeat(20)], what)
  assert.equal(message.header(`Q-${other}`), null, what)
  assert.equal(message.text, party.letter.repeat(message.body.length), what)
  assert.ok(message.body.length > 0, what)
  for (const [, value] of message.trailers) assert.equal(value, `"${party.letter.repeat(9)}"`, what)
}

type Shape = (letter: string) => string

function requestWith(framing: string, body: string): Shape {
  return (letter) =>
    `POST /q HTTP/1.1\r\nHost: q\r\nQ-${letter}: ${letter.repeat(20)}\r\n${framing}\r\n\r\n${body.replaceAll('?', letter)}`
}

function answerWith(framing: string, body: string): Shape {
  return (letter) =>
    `HTTP/1.1 200 ok\r\nQ-${letter}: ${letter.repeat(20)}\r\n${framing}\r\n\r\n${body.replaceAll('?', letter)}`
}

const REQUESTS: readonly [string, Shape][] = [
  ['a length', requestWith('Content-Length: 9', '?????????')],
  ['chunks', requestWith('Transfer-Encoding: chunked', '3\r\n???\r\n4\r\n????\r\n0\r\n\r\n')],
]
const ANSWERS: readonly [string, Shape][] = [
  ['a length', answerWith('Content-Length: 9', '?????????')],
  [
    'chunks',
    answerWith(
      'Transfer-Encoding: chunked',
      '3\r\n???\r\n4\r\n????\r\n0\r\nETag: "?????????"\r\n\r\n',
    ),
  ],
]

/** Two clients whose requests are at the service, each on its own connection. */
async function parties(made: Pair, shape: Shape): Promise<Party[]> {
  const { gateway, upstream } = made
  const clients = [made.client, await gateway.connect()]
  for (const [i, letter] of LETTERS.entries()) clients[i]!.send(shape(letter))
  await upstream.connection(1)
  const list: Party[] = []
  for (const connection of upstream.connections) {
    const request = await connection.request()
    const letter = LETTERS.find((candidate) => request.header(`Q-${candidate}`) !== null)!
    list.push({ letter, client: clients[LETTERS.indexOf(letter)]!, connection })
  }
  return list
}

async function exchangeOnce(list: readonly Party[], answer: Shape): Promise<void> {
  for (const party of list) {
    await party.connection.send(answer(party.letter))
    assertOwn(party, await party.client.response('POST'), 'plain')
  }
}

describe('answers', () => {
  for (const [name, answer] of ANSWERS) {
    test(`with ${name}, cut at every byte`, async (t) => {
      const made = await pair(t, () => {})
      const list = await parties(made, REQUESTS[0]![1])
      await exchangeOnce(list, answer)
      for (let cut = 1; cut < answer('a').length; cut++) {
        for (const { client, letter } of list) client.send(REQUESTS[0]![1](letter))
        // Which of the two connections takes which request is the gateway's choice.
        const owners = await ownersOfNext(made)
        for (const { connection, letter } of owners) {
          connection.socket.write(answer(letter).slice(0, cut))
          await nextTurn()
        }
        for (const { connection, letter } of owners) {
          connection.socket.write(answer(letter).slice(cut))
          await nextTurn()
        }
        for (const party of list)
          assertOwn(party, await party.client.response('POST'), `cut at ${cut}`)
      }
    })

    test(`with ${name}, byte by byte in turn`, async (t) => {
      const list = await parties(await pair(t, () => {}), REQUESTS[0]![1])
      for (let at = 0; at < answer('a').length; at++) {
        for (const { connection, letter } of list) {
          connection.socket.write(answer(letter).slice(at, at + 1))
          await nextTurn()
        }
      }
      for (const party of list) assertOwn(party, await party.client.response('POST'), 'bytes')
    })
  }
})

/** Takes the next request of each connection and says whose it is. */
async function ownersOfNext({ upstream }: Pair) {
  const owners: { letter: string; connection: UpstreamConnection }[] = []
  for (const connection of upstream.connections) {
    const request = await connection.request()
    const letter = LETTERS.find((candidate) => request.header(`Q-${candidate}`) !== null)!
    assert.equal(request.text, letter.repeat(request.body.length))
    owners.push({ letter, connection })
  }
  return owners
}

describe('requests', () => {
  for (const [name, request] of REQUESTS) {
    test(`with ${name}, cut at every byte`, async (t) => {
      const made = await pair(t, () => {})
      const list = await parties(made, request)
      await exchangeOnce(list, ANSWERS[0]![1])
      for (let cut = 1; cut < request('a').length; cut++) {
        for (const { client, letter } of list)
          await client.sendSplit(request(letter).slice(0, cut), 1000)
        for (const { client, letter } of list)
          await client.sendSplit(request(letter).slice(cut), 1000)
        for (const { connection, letter } of await ownersOfNext(made)) {
          await connection.send(ANSWERS[0]![1](letter))
        }
        for (const party of list)
          assertOwn(party, await party.client.response('POST'), `cut at ${cut}`)
      }
    })
  }
})

describe('slow readers', () => {
  const SIZE = 6_000_000
  const long = (letter: string): string =>
    answerWith(`Content-Length: ${SIZE}`, '')(letter) + letter.repeat(SIZE)

  test('a client that does not read keeps its bytes while another is served', async (t) => {
    const made = await pair(t, () => {})
    const [first, second] = await parties(made, REQUESTS[0]![1])
    first!.client.pause()
    first!.connection.socket.write(long(first!.letter), 'latin1')
    for (let turn = 0; turn < 50; turn++) await nextTurn()
    second!.connection.socket.write(long(second!.letter), 'latin1')
    assertOwn(second!, await second!.client.response('POST'), 'the one that reads')
    first!.client.resume()
    assertOwn(first!, await first!.client.response('POST'), 'the one that did not')
  })

  test('two clients that read by turns', async (t) => {
    const list = await parties(await pair(t, () => {}), REQUESTS[0]![1])
    for (const { client } of list) client.pause()
    for (const { connection, letter } of list) connection.socket.write(long(letter), 'latin1')
    const missing = (): boolean => list.some(({ client }) => client.received.length < SIZE)
    for (let turn = 0; missing(); turn++) {
      const { client } = list[turn % 2]!
      client.resume()
      await nextTurn()
      client.pause()
      assert.ok(turn < 1_000_000, 'no end of turns')
    }
    for (const { client } of list) client.resume()
    for (const party of list) assertOwn(party, await party.client.response('POST'), 'by turns')
  })

  test('a service that does not read keeps a body while another takes its own', async (t) => {
    const made = await pair(t, () => {})
    const list = await parties(made, REQUESTS[0]![1])
    await exchangeOnce(list, ANSWERS[0]![1])
    const upload = (letter: string): string =>
      requestWith(`Content-Length: ${SIZE}`, '')(letter) + letter.repeat(SIZE)
    for (const connection of made.upstream.connections) connection.socket.pause()
    for (const { client, letter } of list) client.send(upload(letter))
    for (let turn = 0; turn < 100; turn++) await nextTurn()
    made.upstream.connections[1]!.socket.resume()
    await eventually(
      () => made.upstream.connections[1]!.received.length > SIZE,
      () => 'the second body',
    )
    made.upstream.connections[0]!.socket.resume()
    for (const { connection, letter } of await ownersOfNext(made)) {
      await connection.send(ANSWERS[0]![1](letter))
    }
    for (const party of list) assertOwn(party, await party.client.response('POST'), 'slow service')
  })
})

test('fifty clients with answers of many sizes, all at once', async (t) => {
  const { gateway, client } = await pair(t, async (connection) => {
    for (;;) {
      const request = await connection.nextRequest()
      if (request === null) return
      const size = Number(request.header('x-size'))
      const body = request.target.slice(1).repeat(size)
      await connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`)
      for (let at = 0; at < body.length; at += 7000)
        await connection.send(body.slice(at, at + 7000))
    }
  })
  await client.destroy()
  const all = Array.from({ length: 50 }, async (_, i) => {
    const mark = `<${i}>`
    const own = await gateway.connect()
    for (const size of [1, 100, 5000, 20, 1]) {
      const answer = await own.exchange(`GET /${i} HTTP/1.1\r\nHost: q\r\nX-Size: ${size}\r\n\r\n`)
      assert.equal(answer.text, String(i).repeat(size), mark)
    }
    await own.destroy()
  })
  await Promise.all(all)
  await gateway.idle()
})

test('the memory of every read was overwritten once it had been lent', () => {
  assert.ok(lent.opened > 1_000, 'of services')
  assert.ok(lent.accepted > 1_000, 'of clients')
})
