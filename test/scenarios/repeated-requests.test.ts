// What a request that is sent more than once consists of: the same each time, and nothing after its end.
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { closedPort, HOST } from '../support/faults.ts'
import { type Settings, TestGateway } from '../support/gateway.ts'
import { RecordingUpstream, type Script } from '../support/recording-upstream.ts'

/** Answers 503 to everything, on a connection that is kept. */
const unwell: Script = async (connection) => {
  while ((await connection.nextRequest()) !== null) {
    await connection.send('HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n')
  }
}

const well: Script = async (connection) => {
  while ((await connection.nextRequest()) !== null) await connection.answer('ok')
}

async function upstream(t: TestContext, script: Script): Promise<RecordingUpstream> {
  const made = await RecordingUpstream.start(script)
  t.after(() => made.close())
  return made
}

async function gatewayTo(t: TestContext, service: Settings, settings: Settings = {}) {
  const gateway = await TestGateway.to(
    { balance: 'round-robin', ejection: false, ...service },
    settings,
  )
  t.after(() => gateway.close())
  return gateway
}

describe('a body that is sent again', () => {
  for (const [framing, head, body] of [
    ['chunked', 'Transfer-Encoding: chunked', '5\r\nhello\r\n0\r\n\r\n'],
    ['chunked, with trailers', 'Transfer-Encoding: chunked', '5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n'],
    ['of a stated length', 'Content-Length: 5', 'hello'],
  ] as const) {
    test(`${framing}: ends once`, async (t) => {
      const bad = await upstream(t, unwell)
      const good = await upstream(t, well)
      const gateway = await gatewayTo(t, { endpoints: [bad.url, good.url] })
      const client = await gateway.connect()
      for (let i = 0; i < 4; i++) {
        const answer = await client.exchange(`PUT /${i} HTTP/1.1\r\n${HOST}${head}\r\n\r\n${body}`)
        assert.equal(answer.status, 200, `request ${i}`)
      }
      assert.ok(bad.text.length > 0)
      for (const { text } of [...bad.connections, ...good.connections]) {
        const ends = text.split(framing === 'of a stated length' ? 'hello' : '0\r\n').length - 1
        assert.equal(ends, text.split('PUT /').length - 1, text)
      }
    })
  }
})

describe('with credentials of the gateway, a request that is sent again', () => {
  const use = [
    { headers: { request: { set: { 'x-tenant': 'acme' }, remove: ['x-internal'] } } },
    {
      'upstream-auth': {
        sigv4: {
          region: 'eu-central-1',
          service: 'execute-api',
          accessKeyId: 'AKIDEXAMPLE',
          secretAccessKey: 'a-secret',
        },
      },
    },
  ]
  const get = `GET / HTTP/1.1\r\n${HOST}X-Internal: 1\r\n\r\n`

  function assertWhole(text: string): void {
    assert.equal(text.split(/^x-tenant: acme\r$/im).length - 1, 1, text)
    assert.equal(text.split(/^authorization: aws4/im).length - 1, 1, text)
    assert.doesNotMatch(text, /x-internal/i)
  }

  test('is whole when the first attempt never left', async (t) => {
    const good = await upstream(t, well)
    const refusing = `http://127.0.0.1:${await closedPort()}`
    const gateway = await gatewayTo(t, { endpoints: [refusing, good.url] }, { use })
    const client = await gateway.connect()
    for (let i = 0; i < 2; i++) assert.equal((await client.exchange(get)).status, 200)
    for (const part of good.text.split('GET /').slice(1)) assertWhole(part)
  })

  test('is whole when a kept connection turned out to be dead', async (t) => {
    const single = await upstream(t, async (connection) => {
      await connection.head()
      await connection.answer('ok')
      // The next request on it finds nobody.
      await connection.receives('GET /second')
      connection.reset()
    })
    const gateway = await gatewayTo(t, { endpoints: [single.url] }, { use })
    const client = await gateway.connect()
    assert.equal((await client.exchange(get)).status, 200)
    const second = client.exchange(get.replace('/ ', '/second '))
    assert.equal((await second).status, 200)
    for (const part of single.text.split('GET /').slice(1)) assertWhole(part)
  })
})
