// The PROXY protocol on real sockets: who the service is told calls, over plain TCP and TLS, however
// the bytes are cut; and that nobody else may claim an address.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectTcp, createServer, type Socket } from 'node:net'
import { after, before, describe, type TestContext, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { Authority } from '../support/certificates.ts'
import { eventually, nextTurn } from '../support/changes.ts'
import { type Settings, TestGateway } from '../support/gateway.ts'
import { proxyFrom, proxyHeaderV2, proxyLine } from '../support/proxy-header.ts'
import type { RawClient } from '../support/raw-client.ts'
import { type Echo, RecordingUpstream } from '../support/recording-upstream.ts'
import { TestFolder } from '../support/tls.ts'

const GET = 'GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n'
const CLIENT = '203.0.113.7'
const PORT = 4711

let upstream: RecordingUpstream
before(async () => {
  upstream = await RecordingUpstream.startHttp()
})
after(() => upstream.close())

/** A gateway whose listener has these settings. */
async function started(
  t: TestContext,
  listen: Settings = {},
  limits: Settings = {},
): Promise<TestGateway> {
  const gateway = await TestGateway.to(
    { url: upstream.url },
    { listen: { url: 'http://127.0.0.1:0', proxyProtocol: true, ...listen }, limits },
  )
  t.after(() => gateway.close())
  return gateway
}

/** Where the service was told that the request came from. */
function origin(text: string): string | null {
  const { fields } = JSON.parse(text) as Echo
  const at = fields.indexOf('X-Forwarded-For')
  return at === -1 ? null : fields[at + 1]!
}

const HEADERS: readonly [string, string | Buffer, string][] = [
  ['version 1', proxyLine(CLIENT, PORT), CLIENT],
  ['version 1 over IPv6', proxyLine('2001:db8::7', PORT), '2001:db8::7'],
  ['version 1 that knows nobody', 'PROXY UNKNOWN\r\n', '127.0.0.1'],
  ['version 2', proxyFrom(CLIENT, PORT), CLIENT],
  ['version 2 with extensions', proxyFrom(CLIENT, PORT, Buffer.alloc(300, 7)), CLIENT],
  ['version 2 of the balancer itself', proxyHeaderV2(0x20, 0, Buffer.alloc(0)), '127.0.0.1'],
]

/** Both, one character per byte. */
function joined(header: string | Buffer, rest: string): Buffer {
  return Buffer.concat([Buffer.from(header as string, 'latin1'), Buffer.from(rest, 'latin1')])
}

describe('over plain TCP', () => {
  for (const [name, header, client] of HEADERS) {
    test(`${name}: at once, and byte by byte`, async (t) => {
      const gateway = await started(t)
      for (const step of [100_000, 1]) {
        const caller = await gateway.connect()
        await caller.sendSplit(joined(header, GET + GET), step)
        assert.equal(origin((await caller.response()).text), client)
        assert.equal(origin((await caller.response()).text), client)
      }
    })
  }

  test('cut in two at every byte', async (t) => {
    const gateway = await started(t)
    const bytes = joined(proxyFrom(CLIENT, PORT, Buffer.alloc(4)), GET)
    for (let cut = 1; cut < bytes.length; cut++) {
      const caller = await gateway.connect()
      caller.send(bytes.subarray(0, cut))
      await nextTurn()
      caller.send(bytes.subarray(cut))
      assert.equal(origin((await caller.response()).text), CLIENT)
      await caller.destroy()
    }
  })

  test('a body behind it goes through whole', async (t) => {
    const gateway = await started(t)
    const body = 'b'.repeat(300_000)
    const caller = await gateway.connect()
    const head = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`
    caller.send(joined(proxyLine(CLIENT, PORT), head + body))
    const echo = (await caller.response('POST')).json as Echo
    assert.equal(echo.body.length, body.length)
  })
})

describe('over TLS', () => {
  const authority = new Authority()

  async function startedTls(t: TestContext, limits: Settings = {}): Promise<TestGateway> {
    const issued = authority.issue({ commonName: 'shop', names: ['shop.example'] })
    const certificates = new TestFolder(t).certificate('shop', issued)
    return started(t, { url: 'https://127.0.0.1:0', tls: { certificates } }, limits)
  }

  /** One request over TLS behind the header; `rejects` when the connection ends instead. */
  async function visit(port: number, header: string | Buffer, step: number): Promise<string> {
    const tcp = connectTcp({ port, host: '127.0.0.1', noDelay: true })
    await once(tcp, 'connect')
    const bytes = joined(header, '')
    for (let at = 0; at < bytes.length; at += step) {
      tcp.write(bytes.subarray(at, at + step))
      await nextTurn()
    }
    return ask(tcp)
  }

  async function ask(tcp: Socket): Promise<string> {
    const socket = connectTls({ socket: tcp, ca: authority.cert, servername: 'shop.example' })
    try {
      await once(socket, 'secureConnect')
      socket.setEncoding('latin1')
      let text = ''
      socket.on('data', (data: string) => {
        text += data
      })
      socket.write(GET.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'))
      await once(socket, 'end')
      return text.slice(text.indexOf('\r\n\r\n') + 4)
    } finally {
      socket.destroy()
    }
  }

  for (const [name, header, client] of HEADERS) {
    test(`${name}: in front of the handshake, at once and byte by byte`, async (t) => {
      const gateway = await startedTls(t)
      for (const step of [100_000, 1]) {
        assert.equal(origin(await visit(gateway.port, header, step)), client)
      }
      await gateway.idle()
    })
  }

  test('in one piece with the beginning of the handshake', async (t) => {
    const gateway = await startedTls(t)
    // A balancer of its own: its first write holds the header and what the client sent first.
    const balancer = createServer((from) => {
      from.once('data', (hello: Buffer) => {
        const to = connectTcp({ port: gateway.port, host: '127.0.0.1' })
        to.write(Buffer.concat([proxyFrom(CLIENT, PORT), hello]))
        from.pipe(to).pipe(from)
      })
    })
    t.after(() => balancer.close())
    balancer.listen(0, '127.0.0.1')
    await once(balancer, 'listening')
    const { port } = balancer.address() as { port: number }
    assert.equal(origin(await visit(port, '', 1)), CLIENT)
  })

  test('a handshake without it is refused', async (t) => {
    const gateway = await startedTls(t)
    await assert.rejects(visit(gateway.port, '', 1))
    await gateway.idle()
  })
})

describe('refused without an answer', () => {
  for (const [name, bytes] of [
    ['a request without it', GET],
    ['a header after the request', GET + proxyLine(CLIENT, PORT)],
    ['an empty line in front of it', `\r\n${proxyLine(CLIENT, PORT)}${GET}`],
    ['a malformed address', `PROXY TCP4 evil 127.0.0.1 1 2\r\n${GET}`],
    ['a line without an end', `PROXY UNKNOWN ${'x'.repeat(200)}`],
    ['a header of UDP', joined(proxyHeaderV2(0x21, 0x12, Buffer.alloc(12)), GET)],
    ['extensions without end', joined(proxyHeaderV2(0x21, 0x11, Buffer.alloc(5000)), GET)],
  ] as const) {
    test(name, async (t) => {
      const gateway = await started(t)
      const caller = await gateway.connect()
      caller.send(bytes)
      assert.notEqual(await caller.closed(), 'open')
      assert.equal(caller.received.length, 0)
      await gateway.idle()
    })
  }

  test('a header that does not end in time, and one that ends with its connection', async (t) => {
    const gateway = await started(t, {}, { headTimeout: '300ms' })
    for (const begin of ['', 'PROXY TCP4 1', proxyFrom(CLIENT, PORT).subarray(0, 20)]) {
      const slow = await gateway.connect()
      slow.send(begin)
      assert.notEqual(await slow.closed(), 'open')
      const gone = await gateway.connect()
      gone.send(begin)
      gone.end()
      assert.notEqual(await gone.closed(), 'open')
    }
    await gateway.idle()
  })

  test('a peer that is no balancer', async (t) => {
    const gateway = await started(t, { proxyProtocol: { from: ['127.0.0.2', '10.0.0.0/8'] } })
    // It is refused as soon as it is accepted: some are told before they know that they are connected.
    const caller = await gateway.connect().catch(() => null)
    caller?.send(joined(proxyLine(CLIENT, PORT), GET))
    assert.notEqual(await caller?.closed(), 'open')
    assert.equal(caller?.received.length ?? 0, 0)
    const balancer = await gateway.connect({ localAddress: '127.0.0.2' })
    balancer.send(joined(proxyLine(CLIENT, PORT), GET))
    assert.equal(origin((await balancer.response()).text), CLIENT)
  })
})

test('where it is not configured, a PROXY header is a bad request', async (t) => {
  const gateway = await started(t, { proxyProtocol: false })
  for (const header of [proxyLine(CLIENT, PORT), proxyFrom(CLIENT, PORT)]) {
    const caller = await gateway.connect()
    caller.send(joined(header, GET))
    assert.equal((await caller.response()).status, 400)
  }
})

test('whom it names may itself be a proxy that is trusted, or not', async (t) => {
  const gateway = await started(t, { trustedProxies: ['192.0.2.0/24'] })
  const request = GET.replace('\r\n\r\n', '\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n')
  for (const [named, seen] of [
    ['192.0.2.9', '198.51.100.1, 192.0.2.9'],
    [CLIENT, CLIENT],
  ] as const) {
    const caller = await gateway.connect()
    caller.send(joined(proxyLine(named, PORT), request))
    assert.equal(origin((await caller.response()).text), seen)
  }
})

test('places are counted by the client it names', async (t) => {
  const gateway = await started(t, {}, { connectionsPerIp: 2 })
  const begin = async (ip: string): Promise<RawClient> => {
    const caller = await gateway.connect()
    caller.send(joined(proxyLine(ip, PORT), GET))
    return caller
  }
  const first = await begin(CLIENT)
  assert.equal((await first.response()).status, 200)
  assert.equal((await (await begin(CLIENT)).response()).status, 200)
  assert.equal((await (await begin(CLIENT)).response()).problem.code, 'too_many_connections')
  assert.equal((await (await begin('203.0.113.8')).response()).status, 200)
  await first.destroy()
  await eventually(
    async () => (await (await begin(CLIENT)).response()).status === 200,
    () => 'the place to be free again',
  )
})
