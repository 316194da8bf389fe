// How the answers of a mirror compare with those that clients get: what is counted, and what is logged.
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import type { Settings } from '../support/gateway.ts'
import { startMirrored } from '../support/mirrored-service.ts'
import type { Script } from '../support/recording-upstream.ts'

const GET = 'GET /orders/7?token=s3cret HTTP/1.1\r\nHost: shop.example\r\n\r\n'

/** Answers everything with this head and body. */
function answers(body: string | Buffer, fields = '', status = 200): Script {
  return async (connection) => {
    for (let request = await connection.nextRequest(); request !== null; ) {
      const bytes = Buffer.from(body as string)
      const head = `HTTP/1.1 ${status} X\r\nContent-Length: ${bytes.length}\r\n${fields}\r\n`
      const isHead = request.method === 'HEAD'
      await connection.send(Buffer.concat([Buffer.from(head), isHead ? Buffer.alloc(0) : bytes]))
      request = await connection.nextRequest()
    }
  }
}

/** Asks once; resolves with what was logged when this was counted. */
async function compare(
  t: TestContext,
  own: Script,
  mirror: Script,
  settings: Settings,
  wanted: string,
  request = GET,
) {
  const { client, measured, become } = await startMirrored(t, {
    own,
    mirror,
    settings: { compare: settings },
  })
  await client.exchange(request)
  await become({ 'requests answered': 1, [wanted]: 1 })
  await measured.idle()
  return measured.lines
}

const ORDER = { id: 7, updatedAt: 'now', items: [{ id: 'a', price: 1.5 }, { id: 'b' }], note: null }
const JSON_FIELDS = 'Content-Type: application/json\r\n'

describe('answers are the same', () => {
  const alike = {
    note: null,
    items: [{ price: 1.5, id: 'x' }, { id: 'y' }],
    updatedAt: 'later',
    id: 7,
  }
  const own = answers(JSON.stringify(ORDER), JSON_FIELDS)

  test('whatever the order, the blanks and what is ignored', async (t) => {
    const json = { ignore: ['/updatedAt', '/items/*/id'] }
    const mirror = answers(JSON.stringify(alike, null, 2), JSON_FIELDS)
    const settings = { headers: ['content-type'], json }
    assert.deepEqual(await compare(t, own, mirror, settings, 'compared same'), [])
  })

  for (const [encoding, compress] of [
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
    ['deflate', deflateSync],
    ['zstd', zstdCompressSync],
  ] as const) {
    test(`compressed with ${encoding} or not at all`, async (t) => {
      const body = compress(JSON.stringify(ORDER, null, 1))
      const mirror = answers(body, `Content-Encoding: ${encoding}\r\n`)
      await compare(t, own, mirror, { json: {} }, 'compared same')
    })
  }

  test('with bodies that are no JSON, if they are equal byte by byte', async (t) => {
    await compare(t, answers('<p>'), answers('<p>'), { json: {} }, 'compared same')
  })

  test('without bodies, when only heads were asked for', async (t) => {
    const request = GET.replace('GET', 'HEAD')
    await compare(t, answers('1'), answers('22'), { json: {} }, 'compared same', request)
  })

  test('in what is compared, whatever the rest is', async (t) => {
    const mirror = answers('other', 'X-Other: 1\r\n', 404)
    const settings = { status: false, headers: ['content-type'] }
    await compare(t, answers('one'), mirror, settings, 'compared same')
  })
})

describe('a difference is counted, and logged without what stands there', () => {
  const own = answers(JSON.stringify(ORDER), JSON_FIELDS)
  const cases: [string, Script, string, string[]][] = [
    [
      'status',
      answers(JSON.stringify(ORDER), JSON_FIELDS, 404),
      'different_status',
      ['200', '404'],
    ],
    ['header', answers(JSON.stringify(ORDER)), 'different_header', ['content-type']],
    [
      'member',
      answers(JSON.stringify({ ...ORDER, id: 'hidden', more: 'hidden' }), JSON_FIELDS),
      'different_body',
      ['/id', '/more'],
    ],
    ['body', answers('hidden', JSON_FIELDS), 'different_body', ['']],
  ]
  for (const [name, mirror, result, differs] of cases) {
    test(`in a ${name}`, async (t) => {
      const settings = { headers: ['content-type'], json: {} }
      const lines = await compare(t, own, mirror, settings, `compared ${result}`)
      assert.deepEqual(lines, [
        {
          message: 'the mirror answers differently',
          fields: {
            route: 'r',
            mirror: 'next',
            method: 'GET',
            path: '/orders/7',
            result,
            differs,
            unlogged: 0,
          },
        },
      ])
      assert.doesNotMatch(JSON.stringify(lines), /hidden|s3cret/)
    })
  }

  test('at most once a second', async (t) => {
    const { client, measured, become } = await startMirrored(t, {
      mirror: answers('', '', 404),
      settings: { compare: {} },
    })
    for (let i = 0; i < 30; i++) await client.exchange(GET)
    await become({ 'requests answered': 30, 'compared different_status': 30 })
    assert.ok(measured.lines.length < 30, String(measured.lines.length))
    assert.equal(measured.lines[0]!.fields.unlogged, 0)
  })

  test('even when the answers come in pieces, and the own one is changed for the client', async (t) => {
    const dripping: Script = async (connection) => {
      await connection.nextRequest()
      await connection.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
      for (const piece of ['{"a"', ':1,', '"b":[', '2]}']) {
        await connection.send(`${piece.length}\r\n`)
        await connection.sendSplit(`${piece}\r\n`)
      }
      await connection.sendSplit('0\r\n\r\n')
    }
    const { client, become, measured } = await startMirrored(t, {
      own: dripping,
      mirror: answers('{"b":[3],"a":1}', 'X-Version: 1\r\n'),
      settings: { compare: { json: {}, headers: ['x-version'] } },
      route: { use: [{ headers: { response: { set: { 'x-version': '1' } } } }] },
    })
    assert.equal((await client.exchange(GET)).header('x-version'), '1')
    await become({ 'requests answered': 1, 'compared different_header': 1 })
    assert.deepEqual(measured.lines[0]!.fields.differs, ['x-version'])
  })
})

describe('what cannot be compared is counted by its reason', () => {
  const cases: [string, Script, Script, string][] = [
    ['a longer body', answers('x'.repeat(2000)), answers('y'), 'too_large'],
    ['a longer body of the mirror', answers('x'), answers('y'.repeat(2000)), 'too_large'],
    [
      'a body that grows beyond it',
      answers(gzipSync(`"${'x'.repeat(5000)}"`), 'Content-Encoding: gzip\r\n'),
      answers('1'),
      'too_large',
    ],
    ['an unknown compression', answers('1', 'Content-Encoding: x\r\n'), answers('2'), 'encoding'],
    ['a broken one', answers('1', 'Content-Encoding: gzip\r\n'), answers('2'), 'encoding'],
    ['an answer that is no JSON', answers('<p>'), answers('1'), 'not_json'],
    ['no answer', (connection) => connection.reset(), answers('1'), 'no_answer'],
  ]
  for (const [name, own, mirror, reason] of cases) {
    test(name, async (t) => {
      const { client, measured, become } = await startMirrored(t, {
        own: async (connection) => {
          await connection.head()
          await own(connection)
        },
        mirror,
        settings: { compare: { json: {}, bodyBytesMax: '1kb' } },
      })
      await client.exchange(GET)
      await become({ 'requests answered': 1, [`not_compared ${reason}`]: 1 })
      await measured.idle()
      assert.deepEqual(measured.lines, [])
    })
  }

  test('an answer that takes longer than a copy may', async (t) => {
    const { client, measured, own, become } = await startMirrored(t, {
      own: async (connection) => {
        await connection.nextRequest()
        await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1')
      },
      settings: { timeout: '300ms', compare: { json: {} } },
    })
    client.send(GET)
    await become({ 'requests answered': 1, 'not_compared no_answer': 1 })
    await (await own.connection(0)).send('1')
    assert.equal(`${(await client.response()).body}`, '11')
    await measured.idle()
  })

  test('a longer answer is passed on whole', async (t) => {
    const body = Buffer.alloc(3_000_000, 'abcdefg')
    const { client, measured, become } = await startMirrored(t, {
      own: answers(body),
      mirror: answers(body),
      settings: { compare: { json: {} } },
    })
    assert.ok((await client.exchange(GET)).body.equals(body))
    await become({ 'requests answered': 1, 'not_compared too_large': 1 })
    await measured.idle()
  })
})
