// A second service gets copies of requests, and whatever it does, nobody notices: no client, and not
// the service that answers.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { eventually } from '../support/changes.ts'
import { startMirrored } from '../support/mirrored-service.ts'
import type { Script, UpstreamConnection } from '../support/recording-upstream.ts'
import { SilentPort } from '../support/silent-port.ts'

const GET = 'GET /a?b=c HTTP/1.1\r\nHost: shop.example\r\n\r\n'

/** Takes requests and never answers. */
const silent: Script = async (connection) => {
  while ((await connection.nextRequest()) !== null);
}

function withoutMark(text: string): string {
  return text.replace('X-Gatehouse-Mirror: r\r\n', '')
}

describe('a copy', () => {
  test('is the request as it was forwarded, and says that it is one', async (t) => {
    const { own, mirror, client, become } = await startMirrored(t, {
      route: {
        path: '/api/*',
        rewrite: { prefix: '/v2' },
        use: [{ headers: { request: { set: { 'x-set': 'by a policy' }, remove: ['x-gone'] } } }],
      },
    })
    const asked = [
      'GET /api/orders?q=%20a HTTP/1.1',
      'Host: shop.example',
      'Connection: x-hop, keep-alive',
      'X-Hop: 1',
      'X-Gone: 1',
      'X-Forwarded-For: 9.9.9.9',
      'Cookie: a=b',
      'Accept: */*',
    ]
    assert.equal((await client.exchange(`${asked.join('\r\n')}\r\n\r\n`)).status, 200)
    await become({ 'requests answered': 1 })
    assert.match(mirror.text, /\r\nX-Gatehouse-Mirror: r\r\n/)
    assert.match(mirror.text, /^GET \/v2\/orders\?q=%20a HTTP/)
    const lines = (text: string) => withoutMark(text).split('\r\n').sort()
    assert.deepEqual(lines(mirror.text), lines(own.text))
  })

  for (const [name, framing, wire] of [
    ['with a length', (body: string) => `Content-Length: ${body.length}`, (body: string) => body],
    [
      'in chunks',
      () => 'Transfer-Encoding: chunked',
      (body: string) =>
        `3\r\n${body.slice(0, 3)}\r\n${(body.length - 3).toString(16)}\r\n${body.slice(3)}\r\n0\r\n\r\n`,
    ],
  ] as const) {
    for (const size of [5, 20_000, 300_000]) {
      test(`has every byte of a body of ${size} ${name}`, async (t) => {
        const { own, mirror, client, become } = await startMirrored(t, {
          settings: { methods: ['PUT'] },
        })
        const body = randomBytes(size).toString('latin1')
        const head = `PUT / HTTP/1.1\r\nHost: h\r\n${framing(body)}\r\nExpect: 100-continue\r\n\r\n`
        client.send(head)
        client.send(wire(body))
        assert.equal((await client.response('PUT')).status, 200)
        await become({ 'requests answered': 1 })
        assert.ok(own.text.includes(size === 5 ? body.slice(3) : body.slice(3, 4000)))
        const at = mirror.text.indexOf('\r\n\r\n')
        assert.ok(mirror.text.slice(at + 4) === body, 'the body differs')
        assert.match(mirror.text.slice(0, at), new RegExp(`\r\nContent-Length: ${size}`))
        assert.doesNotMatch(mirror.text.slice(0, at), /expect|transfer-encoding/i)
      })
    }
  }

  test('carries the Host that its service wants', async (t) => {
    for (const [hostHeader, host] of [
      ['preserve', 'shop.example'],
      ['next.internal', 'next.internal'],
    ]) {
      const { mirror, own, client, become } = await startMirrored(t, { next: { hostHeader } })
      await client.exchange(GET)
      await become({ 'requests answered': 1 })
      assert.match(mirror.text, new RegExp(`\r\nHost: ${host}\r\n`))
      assert.match(own.text, /\r\nHost: shop.example\r\n/)
    }
  })

  test('is made of safe methods only, unless others are listed', async (t) => {
    const { mirror, client, become } = await startMirrored(t)
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'GET']) {
      await client.exchange(`${method} / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n`)
    }
    await become({ 'requests answered': 1 })
    assert.equal(mirror.text.split('HTTP/1.1\r\n').length - 1, 1)
  })

  test('is made of none with a share of 0, and of a part with one in between', async (t) => {
    const { measured, mirror, client, config } = await startMirrored(t, { settings: { share: 0 } })
    for (let i = 0; i < 50; i++) await client.exchange(GET)
    assert.deepEqual(measured.counts('mirror'), {})
    assert.equal(mirror.connections.length, 0)
    await measured.apply(config({ share: 0.5 }))
    for (let i = 0; i < 100; i++) await client.exchange(GET)
    await measured.idle()
    const { 'mirror_requests_total{route="r",result="answered"}': copies = 0 } =
      measured.counts('mirror_requests')
    // Chance leaves these bounds once in 10^9 times.
    assert.ok(copies > 20 && copies < 80, String(copies))
  })

  test('goes over connections that are kept', async (t) => {
    const { mirror, client, become } = await startMirrored(t)
    for (let i = 1; i <= 5; i++) {
      await client.exchange(GET)
      await become({ 'requests answered': i })
    }
    assert.equal(mirror.connections.length, 1)
  })

  test('goes over a new connection when the kept one has died', async (t) => {
    const { mirror, client, become } = await startMirrored(t, {
      mirror: async (connection) => {
        await connection.nextRequest()
        await connection.answer('ok')
        if (connection.index > 0) return
        await connection.nextRequest()
        connection.reset()
      },
    })
    await client.exchange(GET)
    await become({ 'requests answered': 1 })
    await client.exchange(GET)
    await become({ 'requests answered': 2 })
    assert.equal(mirror.connections.length, 2)
  })

  test('can be told from a request: no client passes the mark on', async (t) => {
    const { own, client } = await startMirrored(t)
    await client.exchange('GET / HTTP/1.1\r\nHost: h\r\nX_Gatehouse-mirror: r\r\n\r\n')
    assert.doesNotMatch(own.text, /mirror/i)
  })

  test('is not made of an upgraded connection', async (t) => {
    const { mirror, client, become } = await startMirrored(t, {
      own: async (connection) => {
        await connection.nextRequest()
        await connection.send(
          'HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello',
        )
      },
    })
    client.send(
      'GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n',
    )
    await client.receives('hello')
    await become({ 'skipped upgrade': 1 })
    assert.equal(mirror.connections.length, 0)
  })
})

describe('the client and the service notice nothing of a mirror that', () => {
  const faults: Record<string, Script> = {
    'resets connections': (connection) => connection.reset(),
    'closes them': (connection) => connection.end(),
    'answers with garbage': async (connection) => {
      await connection.head()
      await connection.send('\x16\x03\x01 what?')
    },
    'answers with another protocol': async (connection) => {
      await connection.head()
      await connection.send('HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    },
    'breaks off in the middle': async (connection) => {
      await connection.head()
      await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
      connection.reset()
    },
    'never answers': silent,
    'never ends its answer': async (connection) => {
      await connection.head()
      await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
    },
  }
  for (const [name, mirror] of Object.entries(faults)) {
    test(name, async (t) => {
      const compare = { json: {} }
      const settings = { timeout: '300ms', compare, methods: ['GET', 'POST'] }
      const { measured, own, client, become } = await startMirrored(t, { mirror, settings })
      const post = 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody'
      client.send(GET + post + GET)
      const answers = await client.responses(['GET', 'POST', 'GET'])
      assert.deepEqual(
        answers.map(({ status, body }) => `${status} ${body}`),
        ['200 ok', '200 ok', '200 ok'],
      )
      await become({ 'requests failed': 3, 'not_compared no_mirrored_answer': 3 })
      await measured.idle()
      assert.equal(own.connections.length, 1)
      assert.deepEqual(Object.keys(measured.counts('upstream_errors_total{service="s"')), [])
    })
  }

  test('refuses connections, or takes none', async (t) => {
    const silentService = await SilentPort.open()
    t.after(() => silentService.close())
    for (const url of ['http://127.0.0.1:1', `http://127.0.0.1:${silentService.port}`]) {
      const { client, measured, become } = await startMirrored(t, {
        settings: { timeout: '300ms' },
        next: { url, timeouts: { connect: '400ms' } },
      })
      assert.equal((await client.exchange(GET)).status, 200)
      await become({ 'requests failed': 1 })
      await measured.idle()
    }
  })

  test('sends an answer without end', async (t) => {
    const { client, measured, become } = await startMirrored(t, {
      mirror: async (connection) => {
        await connection.head()
        await connection.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
        const chunk = `10000\r\n${'x'.repeat(65536)}\r\n`
        while (connection.ending === 'open' && !connection.isClosed)
          await sendOrEnd(connection, chunk)
      },
    })
    assert.equal(`${(await client.exchange(GET)).body}`, 'ok')
    await become({ 'requests answered': 1 })
    await measured.idle()
  })
})

/** Resolves when it was sent, or never can be. */
async function sendOrEnd(connection: UpstreamConnection, text: string): Promise<void> {
  await Promise.race([connection.send(text), connection.closed()])
}

describe('what is bounded', () => {
  test('a longer body is forwarded and not copied', async (t) => {
    const { own, mirror, client, become } = await startMirrored(t, {
      settings: { methods: ['POST'], bodyBytesMax: '1kb' },
    })
    const body = 'x'.repeat(1025)
    const head = 'POST / HTTP/1.1\r\nHost: h\r\n'
    await client.exchange(`${head}Content-Length: 1025\r\n\r\n${body}`)
    await become({ 'skipped too_large': 1 })
    await client.exchange(`${head}Transfer-Encoding: chunked\r\n\r\n401\r\n${body}\r\n0\r\n\r\n`)
    await become({ 'skipped too_large': 2 })
    await client.exchange(`${head}Content-Length: 1024\r\n\r\n${body.slice(1)}`)
    await become({ 'skipped too_large': 2, 'requests answered': 1 })
    assert.equal(own.text.split(body.slice(1)).length - 1, 3)
    assert.equal(mirror.text.split('POST ').length - 1, 1)
  })

  test('no more copies are on their way than may be', async (t) => {
    const { mirror, client, become } = await startMirrored(t, {
      mirror: silent,
      settings: { inFlightMax: 2 },
    })
    for (let i = 0; i < 2; i++) {
      await client.exchange(GET)
      await (await mirror.connection(i)).head()
    }
    for (let i = 0; i < 3; i++) assert.equal((await client.exchange(GET)).status, 200)
    await become({ 'skipped busy': 3 })
  })

  test('all copies of a thread share its room, and give all of it back', async (t) => {
    const size = 16 * 1024 ** 2
    const { mirror, client, become } = await startMirrored(t, {
      mirror: (connection) => connection.head(),
      settings: { methods: ['POST'], bodyBytesMax: '16mb', timeout: '10m' },
    })
    const body = Buffer.alloc(size, 'x')
    const post = async (): Promise<void> => {
      client.send(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${size}\r\n\r\n`)
      client.send(body)
      assert.equal((await client.response('POST')).status, 200)
    }
    await post()
    const first = await mirror.connection(0)
    await post()
    await become({ 'skipped memory': 1 })
    await first.answer('ok')
    await become({ 'skipped memory': 1, 'requests answered': 1 })
    await post()
    await eventually(
      () => first.received.length > 2 * size,
      () => 'another copy on the same connection',
    )
    await first.answer('ok')
    await become({ 'skipped memory': 1, 'requests answered': 2 })
  })

  test('an open breaker of the mirror spares it', async (t) => {
    const { client, become } = await startMirrored(t, {
      mirror: async (connection) => {
        while ((await connection.nextRequest()) !== null) {
          await connection.send('HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n')
        }
      },
      next: { breaker: { requests: 2, open: '1m' } },
    })
    for (let i = 1; i <= 2; i++) {
      assert.equal((await client.exchange(GET)).status, 200)
      await become({ 'requests answered': i })
    }
    assert.equal((await client.exchange(GET)).status, 200)
    await become({ 'requests answered': 2, 'skipped circuit_open': 1 })
  })
})

describe('a client that goes away', () => {
  test('in the middle of its request leaves no copy', async (t) => {
    const { own, mirror, client, measured, become } = await startMirrored(t, {
      settings: { methods: ['POST'] },
    })
    client.send('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf')
    await (await own.connection(0)).receives('half')
    client.reset()
    await become({ 'skipped incomplete': 1 })
    await measured.idle()
    assert.equal(mirror.connections.length, 0)
  })

  test('before the answer does not end the copy', async (t) => {
    const { mirror, client, measured, become } = await startMirrored(t, {
      own: silent,
      settings: { compare: {} },
    })
    client.send(GET)
    await (await mirror.connection(0)).head()
    client.reset()
    await become({ 'requests answered': 1, 'not_compared no_answer': 1 })
    await measured.idle()
  })
})

describe('while a copy is on its way', () => {
  /** Answers when it is told to. */
  function held(): { script: Script; answer: () => void } {
    let answer = (): void => {}
    const told = new Promise<void>((resolve) => {
      answer = resolve
    })
    const script: Script = async (connection) => {
      while ((await connection.nextRequest()) !== null) {
        await told
        await connection.answer('ok')
      }
    }
    return { script, answer: () => answer() }
  }

  test('a reload that keeps the mirror lets it end', async (t) => {
    const { script, answer } = held()
    const { mirror, client, measured, config, become } = await startMirrored(t, {
      mirror: script,
      settings: { compare: { json: {} } },
    })
    await client.exchange(GET)
    await (await mirror.connection(0)).head()
    await measured.apply(config({ inFlightMax: 1 }))
    assert.equal((await client.exchange(GET)).status, 200)
    await become({ 'skipped busy': 1 })
    answer()
    await become({ 'skipped busy': 1, 'requests answered': 1, 'compared same': 1 })
  })

  test('a reload that takes the mirror away drops it', async (t) => {
    const { mirror, client, measured, own, become } = await startMirrored(t, { mirror: silent })
    await client.exchange(GET)
    const connection = await mirror.connection(0)
    await connection.head()
    await measured.apply({ routes: [{ id: 'r', path: '/*', to: own.url }] })
    await become({ 'requests dropped': 1 })
    await connection.closed()
    assert.equal((await client.exchange(GET)).status, 200)
    await measured.idle()
  })

  test('nobody waits for it to shut down', async (t) => {
    const { mirror, client, measured, close, become } = await startMirrored(t, {
      mirror: silent,
      settings: { timeout: '10m' },
    })
    await client.exchange(GET)
    const connection = await mirror.connection(0)
    await connection.head()
    await client.destroy()
    await measured.gateway.drain(600_000)
    await measured.gateway.close()
    await become({ 'requests dropped': 1 })
    await connection.closed()
    assert.equal(measured.gateway.stats().timers, 0)
    await close()
  })
})
