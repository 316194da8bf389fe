// Bodies that a policy must see whole: nothing of them reaches the service before they were judged,
// whatever way they come, and what goes on is what came.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { z } from 'zod'
import { createGateway, type Gateway } from '../../src/gateway/gateway.ts'
import { definePolicy } from '../../src/proxy/pipeline/policy.ts'
import { eventually, nextTurn } from '../support/changes.ts'
import { assertFailure, HOST } from '../support/faults.ts'
import { TestGateway } from '../support/gateway.ts'
import { RawClient } from '../support/raw-client.ts'
import { type Echo, RecordingUpstream } from '../support/recording-upstream.ts'

const JSON_TYPE = 'Content-Type: application/json\r\n'
const HEAD = `${HOST}${JSON_TYPE}`
const schema = {
  type: 'object',
  required: ['sku'],
  properties: { sku: { type: 'string' }, note: { type: 'string' } },
  additionalProperties: false,
}
const order = { validate: { body: schema, bodyMax: '1kb' } }
const GOOD = '{"sku":"AB12"}'
const BAD = '{"sku":12}'

let upstream: RecordingUpstream
let gateway: TestGateway

before(async () => {
  upstream = await RecordingUpstream.startHttp()
  gateway = await TestGateway.start({
    services: { s: upstream.url },
    limits: { bodyIdleTimeout: '300ms', headTimeout: '2m' },
    routes: [
      { path: '/orders/*', use: [order], to: 's' },
      { path: '/limited', use: [{ 'body-limit': { max: '8b' } }, order], to: 's' },
      { path: '/tried', use: [{ ...order, mode: 'shadow' }], to: 's' },
      {
        path: '/sometimes',
        use: [{ ...order, when: "request.headers['x-check'] == '1'" }],
        to: 's',
      },
      {
        path: '/items/{id}',
        use: [
          {
            validate: {
              path: { type: 'object', properties: { id: { type: 'integer' } } },
              query: { type: 'object', properties: {}, additionalProperties: false },
            },
          },
        ],
        to: 's',
      },
    ],
  })
})

after(async () => {
  try {
    await gateway.close()
  } finally {
    await upstream.close()
  }
})

function withLength(path: string, body: string, fields = ''): string {
  return `POST ${path} HTTP/1.1\r\n${HEAD}${fields}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}

function chunked(path: string, pieces: readonly string[]): string {
  const chunks = pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('')
  return `POST ${path} HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`
}

function field({ fields }: Echo, name: string): string | null {
  const index = fields.findIndex((text, at) => at % 2 === 0 && text.toLowerCase() === name)
  return index < 0 ? null : fields[index + 1]!
}

async function refused(request: string, code: 'validation_failed' | 'body_too_large') {
  upstream.mark()
  const client = await gateway.connect()
  const response = await client.exchange(request, 'POST')
  assertFailure(response, code)
  await gateway.settled()
  assert.deepEqual(upstream.since(), [], 'the service hears nothing of it')
  return response
}

describe('a body that fits', () => {
  test('goes on with the length it came with', async () => {
    const client = await gateway.connect()
    const echo = (await client.exchange(withLength('/orders/1', GOOD))).json as Echo
    assert.equal(echo.body, GOOD)
    assert.equal(field(echo, 'content-length'), String(GOOD.length))
    assert.equal(field(echo, 'transfer-encoding'), null)
  })

  test('goes on in chunks if it came so', async () => {
    const client = await gateway.connect()
    const echo = (await client.exchange(chunked('/orders/1', ['{"sku":', '"AB12"}']))).json as Echo
    assert.equal(echo.body, GOOD)
    assert.equal(field(echo, 'transfer-encoding'), 'chunked')
  })

  test('is heard of by the service only once it is complete', async () => {
    upstream.mark()
    const client = await gateway.connect()
    const request = withLength('/orders/1', GOOD)
    client.send(request.slice(0, -1))
    await eventually(
      () => gateway.stats().exchanges === 1,
      () => 'the exchange to begin',
    )
    await nextTurn()
    assert.deepEqual(upstream.since(), [])
    client.send(request.slice(-1))
    assert.equal(((await client.response('POST')).json as Echo).body, GOOD)
  })

  test('may come byte by byte, and the next request with it', async () => {
    const client = await gateway.connect()
    const requests = withLength('/orders/1', GOOD) + chunked('/orders/2', [GOOD])
    await client.sendSplit(requests)
    const urls = (await client.responses(['POST', 'POST'])).map(({ json }) => (json as Echo).url)
    assert.deepEqual(urls, ['/orders/1', '/orders/2'])
  })

  test('fits up to its bound', async () => {
    const note = 'x'.repeat(1024 - '{"sku":"1","note":""}'.length)
    const body = `{"sku":"1","note":"${note}"}`
    assert.equal(body.length, 1024)
    const client = await gateway.connect()
    assert.equal(((await client.exchange(withLength('/orders/1', body))).json as Echo).body, body)
    assert.equal(((await client.exchange(chunked('/orders/1', [body]))).json as Echo).body, body)
  })
})

describe('a body that does not fit', () => {
  for (const [what, request] of [
    ['with a length', withLength('/orders/1', BAD)],
    ['in chunks', chunked('/orders/1', [BAD.slice(0, 4), BAD.slice(4)])],
    ['with nothing in it', chunked('/orders/1', [])],
    ['that is missing', `POST /orders/1 HTTP/1.1\r\n${HEAD}\r\n`],
    ['that is missing, with its length', withLength('/orders/1', '')],
  ] as const) {
    test(`never reaches the service: ${what}`, async () => {
      const response = await refused(request, 'validation_failed')
      const errors = response.problem.errors as { path: string }[]
      assert.ok(errors[0]!.path.startsWith('body'))
    })
  }

  test('leaves the connection to the next request', async () => {
    const client = await gateway.connect()
    assert.equal((await client.exchange(withLength('/orders/1', BAD))).status, 400)
    assert.equal((await client.exchange(withLength('/orders/1', GOOD))).status, 200)
  })
})

describe('a body that is too long', () => {
  const long = `{"sku":"1","note":"${'x'.repeat(1024)}"}`

  test('is refused by its stated length, before it comes', async () => {
    await refused(
      `POST /orders/1 HTTP/1.1\r\n${HEAD}Content-Length: ${long.length}\r\n\r\n`,
      'body_too_large',
    )
  })

  test('is refused as soon as it is', async () => {
    const pieces = chunked('/orders/1', [long.slice(0, 1000), long.slice(1000)])
    await refused(pieces.slice(0, -10), 'body_too_large')
  })

  test('is refused by the policy that bears least', async () => {
    await refused(chunked('/limited', [GOOD]), 'body_too_large')
  })
})

describe('Expect: 100-continue', () => {
  const expect = 'Expect: 100-continue\r\n'

  test('is answered here, and not passed on', async () => {
    upstream.mark()
    const client = await gateway.connect()
    const request = withLength('/orders/1', GOOD, expect)
    client.send(request.slice(0, -GOOD.length))
    await client.receives('HTTP/1.1 100 Continue\r\n\r\n')
    assert.deepEqual(upstream.since(), [])
    client.send(GOOD)
    const response = await client.response('POST')
    assert.equal(response.interim.length, 1)
    assert.equal(field(response.json as Echo, 'expect'), null)
    assert.equal((response.json as Echo).body, GOOD)
  })

  test('is not answered where the request is refused anyway', async () => {
    for (const request of [
      `POST /orders/1 HTTP/1.1\r\n${HEAD}${expect}Content-Length: 5000\r\n\r\n`,
      `POST /orders/1 HTTP/1.1\r\n${HOST}${expect}Content-Length: 5\r\n\r\n`,
    ]) {
      const client = await gateway.connect()
      const response = await client.exchange(request)
      assert.ok(response.status === 413 || response.status === 415)
      assert.deepEqual(response.interim, [])
    }
  })
})

describe('a client that does not send its body', () => {
  test('runs out of its time', async () => {
    upstream.mark()
    const client = await gateway.connect()
    const response = await client.exchange(withLength('/orders/1', GOOD).slice(0, -3))
    assertFailure(response, 'body_timeout')
    assert.deepEqual(upstream.since(), [])
  })

  test('and goes away leaves nothing', async () => {
    upstream.mark()
    const client = await gateway.connect()
    client.send(withLength('/orders/1', GOOD).slice(0, -3))
    await eventually(
      () => gateway.stats().exchanges === 1,
      () => 'the exchange to begin',
    )
    client.reset()
    await gateway.settled()
    assert.deepEqual(upstream.since(), [])
  })
})

describe('in shadow mode', () => {
  test('nothing is refused: not what does not fit, and not what is too long to look at', async () => {
    const client = await gateway.connect()
    const long = 'y'.repeat(70_000)
    for (const body of [BAD, 'x', long]) {
      for (const request of [withLength('/tried', body), chunked('/tried', [body])]) {
        const echo = (await client.exchange(request)).json as Echo
        assert.equal(echo.body, body)
      }
    }
  })
})

describe('where its condition does not hold', () => {
  test('a body streams by, whatever its length', async () => {
    const client = await gateway.connect()
    const body = 'z'.repeat(5000)
    assert.equal(((await client.exchange(withLength('/sometimes', body))).json as Echo).body, body)
    await refused(withLength('/sometimes', BAD, 'X-Check: 1\r\n'), 'validation_failed')
  })
})

test('parameters are judged before anything is forwarded', async () => {
  const client = await gateway.connect()
  assert.equal((await client.exchange(`GET /items/12 HTTP/1.1\r\n${HOST}\r\n`)).status, 200)
  for (const target of ['/items/twelve', '/items/12?debug=1']) {
    upstream.mark()
    const response = await client.exchange(`GET ${target} HTTP/1.1\r\n${HOST}\r\n`)
    assertFailure(response, 'validation_failed')
    assert.deepEqual(upstream.since(), [])
  }
})

describe('a body that arrives while a policy waits', () => {
  let release: () => void = () => {}
  const slow = definePolicy({
    name: 'slow',
    summary: 'Waits.',
    settings: z.strictObject({}),
    examples: [{}],
    create: () => ({
      onRequest: () =>
        new Promise<void>((resolve) => {
          release = resolve
        }),
    }),
  })
  let waiting: Gateway

  before(async () => {
    waiting = await createGateway(
      {
        listen: 'http://127.0.0.1:0',
        admin: false,
        log: { level: 'error' },
        services: { s: upstream.url },
        routes: [
          { path: '/limited', use: ['slow', { 'body-limit': { max: '8b' } }], to: 's' },
          { path: '/orders', use: ['slow', order], to: 's' },
          { path: '/plain', use: ['slow'], to: 's' },
        ],
      } as never,
      { policies: [slow] },
    )
    await waiting.start()
  })
  after(() => waiting.close())

  /** Sends, lets the policy go on once everything has been read, and returns the answer. */
  async function sent(request: string) {
    const client = await RawClient.connect(waiting.addresses[0]!.port)
    try {
      release = () => {}
      const unset = release
      client.send(request)
      await eventually(
        () => release !== unset,
        () => 'the policy to be asked',
      )
      await nextTurn()
      release()
      return await client.response('POST')
    } finally {
      await client.destroy()
    }
  }

  test('passes the stages behind it all the same', async () => {
    for (const request of [
      chunked('/limited', ['123456789']),
      chunked('/limited', ['12345', '6789']),
    ]) {
      assertFailure(await sent(request), 'body_too_large')
    }
    assertFailure(await sent(chunked('/orders', [BAD])), 'validation_failed')
    assertFailure(await sent(withLength('/orders', BAD)), 'validation_failed')
  })

  test('goes on when they let it pass', async () => {
    for (const [request, body] of [
      [chunked('/limited', ['1234', '5678']), '12345678'],
      [withLength('/orders', GOOD), GOOD],
      [chunked('/orders', ['{"sku"', ':"1"}']), '{"sku":"1"}'],
      [withLength('/plain', BAD), BAD],
    ] as const) {
      assert.equal(((await sent(request)).json as Echo).body, body)
    }
  })
})
