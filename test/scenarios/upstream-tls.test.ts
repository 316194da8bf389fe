// TLS towards services: who is trusted, what a failed handshake becomes, sessions that resume, and bodies
// and tunnels that arrive whole or are known to be cut off.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  type AddressInfo,
  connect as connectTcp,
  createServer,
  type Server,
  type Socket,
} from 'node:net'
import { after, describe, type TestContext, test } from 'node:test'
import { setDefaultCACertificates, type TLSSocket, type TlsOptions } from 'node:tls'
import { ERRORS, type ErrorCode } from '../../src/errors.ts'
import { createGateway } from '../../src/gateway/gateway.ts'
import { ManualClock } from '../../src/lib/clock.ts'
import { Authority } from '../support/certificates.ts'
import { eventually } from '../support/changes.ts'
import { type Settings, TestGateway } from '../support/gateway.ts'
import { answersOk, RecordingUpstream, type Script } from '../support/recording-upstream.ts'
import type { WireResponse } from '../support/strict-http.ts'
import { TestFolder, TestPlane, visit } from '../support/tls.ts'
import { echoesWebSocket } from '../support/web-socket-echo.ts'

const GET = 'GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n'
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const

const UPGRADE = 'GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
const SWITCH =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'

/** What is sent where much is sent: pieces that differ, so that none can stand for another. */
const LENGTH = 100_000_000
const PIECES = Array.from({ length: 100 }, (_, index) => Buffer.alloc(1_000_000, `piece ${index} `))
const EXPECTED = createHash('sha1').update(Buffer.concat(PIECES)).digest('hex')

/** A head and the pieces, no faster than they are taken. */
async function sends(socket: Socket, head: string): Promise<void> {
  socket.write(head)
  for (const piece of PIECES) if (!socket.write(piece)) await once(socket, 'drain')
}

/** Sums up what arrives. */
class Digest {
  readonly #hash = createHash('sha1')
  #length = 0
  /** @returns the bytes so far. */
  add(data: Buffer): number {
    this.#hash.update(data)
    this.#length += data.length
    return this.#length
  }
  get hex(): string {
    return this.#hash.digest('hex')
  }
}

/** Sends 40 MB to somebody who does not read: most of it waits here, not in between; then all arrives. */
async function assertHeldBack(from: Socket, to: Socket): Promise<void> {
  to.removeAllListeners('data')
  let taken = 0
  to.pause()
  const piece = Buffer.alloc(1_000_000, 'x')
  for (let count = 0; count < 40; count++) from.write(piece)
  let sent = -1
  await eventually(
    () => {
      const isStill = sent === from.bytesWritten - from.writableLength
      sent = from.bytesWritten - from.writableLength
      return isStill && sent > 0
    },
    () => 'the sender to be stopped',
  )
  assert.ok(from.writableLength > 10_000_000, `${from.writableLength} bytes wait`)
  to.on('data', (data: Buffer) => {
    taken += data.length
  })
  to.resume()
  await eventually(
    () => taken >= 40_000_000,
    () => `${taken} bytes to arrive`,
  )
}

const authority = new Authority()
const TRUSTING = { ca: authority.cert }
/** The authority that this system trusts: node reads it when it is first asked for. */
const known = new Authority('known to the system')
process.env.SSL_CERT_FILE = new TestFolder({ after }).write('system.pem', known.cert)
const LOOPBACK = authority.issue({ commonName: 'loopback', names: ['localhost', '127.0.0.1'] })

/** A wire to a service that can hold back what the service sends, and then delivers it at once. */
class Relay {
  readonly port: number
  target = 0
  /** Bytes that wait. */
  held = 0
  #isHolding = false
  #parts: Buffer[] = []
  #client: Socket | null = null

  private constructor(server: Server) {
    this.port = (server.address() as AddressInfo).port
    server.on('connection', (client: Socket) => {
      this.#client = client
      const service = connectTcp(this.target, '127.0.0.1')
      service.on('data', (data: Buffer) => {
        if (this.#isHolding) {
          this.#parts.push(data)
          this.held += data.length
        } else client.write(data)
      })
      client.pipe(service)
      for (const [one, other] of [
        [client, service],
        [service, client],
      ] as const) {
        one.on('error', () => {})
        one.on('close', () => other.destroy())
      }
    })
  }

  static async start(t: TestContext): Promise<Relay> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    return new Relay(server)
  }

  hold(): void {
    this.#isHolding = true
  }

  /** Delivers everything in one piece. */
  release(): void {
    this.#isHolding = false
    this.#client?.write(Buffer.concat(this.#parts.splice(0)))
  }
}

/** A gateway before one service. */
async function startedBefore(t: TestContext, service: Settings): Promise<TestGateway> {
  const gateway = await TestGateway.to(service)
  t.after(() => gateway.close())
  return gateway
}

/** Starts a service over TLS, and a gateway in front of it. */
async function started(
  t: TestContext,
  script: Script,
  options: {
    readonly server?: TlsOptions
    /** The host of the endpoint's URL. */
    readonly host?: string
    /** Settings of the service's `tls`; the authority is trusted if they do not say otherwise. */
    readonly tls?: Settings
    readonly service?: Settings
    /** What stands between the gateway and the service. */
    readonly relay?: Relay
  } = {},
) {
  const upstream = await RecordingUpstream.start(script, { ...LOOPBACK, ...options.server })
  t.after(() => upstream.close())
  if (options.relay !== undefined) options.relay.target = upstream.port
  const url = `https://${options.host ?? '127.0.0.1'}:${(options.relay ?? upstream).port}`
  const ca = new TestFolder(t).write('ca.pem', authority.cert)
  const service = { tls: { ca, ...options.tls }, retries: { attempts: 0 }, ...options.service }
  const gateway = await startedBefore(t, { url, ...service })
  return { upstream, gateway, client: await gateway.connect() }
}

/** What the service knows of the gateway's handshake. */
async function seenBy(upstream: RecordingUpstream, index: number): Promise<TLSSocket> {
  return (await upstream.connection(index)).socket as TLSSocket
}

function assertFailure(answer: WireResponse, code: ErrorCode): void {
  const { status, proxyStatus } = ERRORS[code]
  assert.equal(answer.problem.code, code)
  assert.equal(answer.status, status)
  assert.match(answer.header('proxy-status') ?? '', new RegExp(`error=${proxyStatus}(;|$)`))
}

describe('a service', () => {
  test('is trusted if the given authority vouches for the address', async (t) => {
    const { client, upstream } = await started(t, answersOk)
    assert.equal((await client.exchange(GET)).text, 'ok')
    const socket = await seenBy(upstream, 0)
    assert.equal(socket.servername, false, 'an address is no server name')
    assert.equal(socket.alpnProtocol, false)
    assert.equal(socket.getProtocol(), 'TLSv1.3')
  })

  test('is trusted if the system trusts it, and no authority is given', async (t) => {
    const { client } = await started(t, answersOk, {
      server: known.issue({ commonName: 'x', names: ['127.0.0.1'] }),
      tls: { ca: undefined },
    })
    assert.equal((await client.exchange(GET)).text, 'ok')
  })

  test('is asked for by its name', async (t) => {
    const { client, upstream } = await started(t, answersOk, {
      host: 'localhost',
      server: { ALPNProtocols: ['h2', 'http/1.1'] },
    })
    assert.equal((await client.exchange(GET)).text, 'ok')
    const socket = await seenBy(upstream, 0)
    assert.equal(socket.servername, 'localhost')
    assert.equal(socket.alpnProtocol, 'http/1.1')
  })

  for (const host of ['127.0.0.1', 'localhost']) {
    test(`at ${host} goes by the name that the configuration gives it`, async (t) => {
      const named = authority.issue({ commonName: 'x', names: ['accounts.internal'] })
      const { client, upstream } = await started(t, answersOk, {
        host,
        server: named,
        tls: { serverName: 'accounts.internal' },
      })
      assert.equal((await client.exchange(GET)).text, 'ok')
      assert.equal((await seenBy(upstream, 0)).servername, 'accounts.internal')
    })
  }

  const untrusted: Record<
    string,
    { server?: TlsOptions; tls?: (folder: TestFolder) => Settings; host?: string }
  > = {
    'that nobody vouches for': { tls: () => ({ ca: undefined }) },
    'that the system knows but the configuration does not': {
      server: known.issue({ commonName: 'x', names: ['127.0.0.1'] }),
    },
    'that another authority vouches for': {
      tls: (folder) => ({ ca: folder.write('other.pem', new Authority('other').cert) }),
    },
    'that an authority of the same name vouches for': {
      tls: (folder) => ({ ca: folder.write('other.pem', new Authority().cert) }),
    },
    'whose certificate is for another address': {
      server: authority.issue({ commonName: 'x', names: ['127.0.0.2', 'localhost'] }),
    },
    'whose certificate is for another name': {
      host: 'localhost',
      server: authority.issue({ commonName: 'localhost', names: ['other.example', '127.0.0.1'] }),
    },
    'that has not the name it should have': { tls: () => ({ serverName: 'accounts.internal' }) },
    'whose certificate is out of date': {
      server: authority.issue({ commonName: 'x', names: ['127.0.0.1'], untilDays: -0.5 }),
    },
    'whose certificate is not in force yet': {
      server: authority.issue({ commonName: 'x', names: ['127.0.0.1'], fromDays: 1 }),
    },
  }
  for (const [name, { server, tls, host }] of Object.entries(untrusted)) {
    test(`${name} is refused before it hears anything`, async (t) => {
      const { client, upstream, gateway } = await started(t, answersOk, {
        ...(server === undefined ? {} : { server }),
        ...(host === undefined ? {} : { host }),
        ...(tls === undefined ? {} : { tls: tls(new TestFolder(t)) }),
      })
      assertFailure(await client.exchange(GET), 'tls_untrusted')
      assertFailure(await client.exchange(GET), 'tls_untrusted')
      assert.equal(upstream.text, '')
      await client.destroy()
      await gateway.idle()
      assert.equal(gateway.stats().upstreamConnections, 0)
    })

    test(`${name} passes where nobody wants to know`, async (t) => {
      const { client } = await started(t, answersOk, {
        ...(server === undefined ? {} : { server }),
        ...(host === undefined ? {} : { host }),
        tls: { ...tls?.(new TestFolder(t)), verify: false },
      })
      assert.equal((await client.exchange(GET)).text, 'ok')
    })
  }
})

describe("the gateway's own certificate", () => {
  const guarded = { ca: authority.cert, requestCert: true, rejectUnauthorized: true }

  for (const maxVersion of VERSIONS) {
    test(`is shown to a service that wants it, with ${maxVersion}`, async (t) => {
      const own = new TestFolder(t).certificate('own', authority.issue({ commonName: 'gateway' }))
      const { client, upstream } = await started(t, answersOk, {
        server: { ...guarded, maxVersion },
        tls: own,
      })
      assert.equal((await client.exchange(GET)).text, 'ok')
      const shown = (await seenBy(upstream, 0)).getPeerCertificate()
      assert.equal(shown.subject.CN, 'gateway')
    })

    test(`is missed by a service that wants it, with ${maxVersion}`, async (t) => {
      const { client } = await started(t, answersOk, { server: { ...guarded, maxVersion } })
      const answer = await client.exchange(GET)
      assert.equal(answer.status, 502)
      // With TLS 1.3 the refusal comes after the handshake, and may be overtaken by the RST behind it.
      assert.match(String(answer.problem.code), /^(tls_failed|upstream_reset|upstream_closed)$/)
    })
  }

  test('is renewed from its files, and new sessions with it', async (t) => {
    const folder = new TestFolder(t)
    const upstream = await RecordingUpstream.start(answersOk, { ...LOOPBACK, ...guarded })
    t.after(() => upstream.close())
    const own = folder.certificate('own', authority.issue({ commonName: 'before' }))
    const ca = folder.write('ca.pem', authority.cert)
    const services = { s: { url: `https://127.0.0.1:${upstream.port}`, tls: { ca, ...own } } }
    const { plane, port, log } = await TestPlane.start(
      t,
      { certificates: folder.certificate('shop', LOOPBACK) },
      { settings: { services, routes: [{ to: 's' }] } },
    )
    const get = async () => (await visit(port, {})).text.slice(-2)
    assert.equal(await get(), 'ok')
    folder.write('own.key', authority.issue({ commonName: 'other' }).key)
    await plane.reloadCertificates()
    assert.match(log.at(-1) ?? '', /^certificates kept: .*own\.crt/)
    folder.certificate('own', authority.issue({ commonName: 'after' }))
    await plane.reloadCertificates()
    assert.equal(log.at(-1), 'certificates reloaded')
    assert.equal(await get(), 'ok')
    assert.equal(upstream.connections.length, 1, 'the open connection goes on')
    upstream.connections[0]!.end()
    await upstream.connections[0]!.closed()
    assert.equal(await get(), 'ok')
    const second = await seenBy(upstream, 1)
    assert.equal(second.isSessionReused(), false)
    assert.equal(second.getPeerCertificate().subject.CN, 'after')
  })
})

describe('a handshake', () => {
  test('that stalls is given up in time', async (t) => {
    const silent = createServer().listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo
    t.after(() => silent.close())
    const gateway = await startedBefore(t, {
      url: `https://127.0.0.1:${port}`,
      timeouts: { connect: '100ms' },
    })
    const client = await gateway.connect()
    assertFailure(await client.exchange(GET), 'connect_timeout')
    await client.destroy()
    await gateway.idle()
  })

  for (const [name, answer] of [
    ['with a service that speaks plain HTTP', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    ['that the service breaks off', ''],
  ] as const) {
    test(`${name} fails`, async (t) => {
      const plain = createServer((socket) => {
        socket.on('error', () => {})
        socket.once('data', () => socket.end(answer))
      }).listen(0, '127.0.0.1')
      await once(plain, 'listening')
      const { port } = plain.address() as AddressInfo
      t.after(() => plain.close())
      const gateway = await startedBefore(t, { url: `https://127.0.0.1:${port}` })
      const client = await gateway.connect()
      assertFailure(await client.exchange(GET), 'tls_failed')
    })
  }

  for (const [name, server] of [
    ['with a service that knows HTTP/2 only', { ALPNProtocols: ['h2'] }],
    [
      'with a service that knows TLS 1.1 only',
      { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
    ],
  ] as const) {
    test(`${name} fails`, async (t) => {
      const { client } = await started(t, answersOk, { server: server as TlsOptions })
      assertFailure(await client.exchange(GET), 'tls_failed')
    })
  }

  test('with nobody is what it is over TCP', async (t) => {
    const { client, upstream } = await started(t, answersOk)
    await upstream.close()
    assertFailure(await client.exchange(GET), 'connect_refused')
  })
})

describe('a connection', () => {
  for (const maxVersion of VERSIONS) {
    test(`is kept, and the next one resumes its ${maxVersion} session`, async (t) => {
      const { client, upstream } = await started(t, answersOk, { server: { maxVersion } })
      for (let round = 0; round < 3; round++) {
        assert.equal((await client.exchange(GET)).text, 'ok')
        assert.equal((await client.exchange(GET)).text, 'ok')
        assert.equal(upstream.connections.length, round + 1)
        assert.equal((await seenBy(upstream, round)).isSessionReused(), round > 0)
        upstream.connections[round]!.end()
        await upstream.connections[round]!.closed()
      }
    })
  }

  test('has to prove itself again every hour', async (t) => {
    const folder = new TestFolder(t)
    const upstream = await RecordingUpstream.start(answersOk, LOOPBACK)
    t.after(() => upstream.close())
    const tls = { ca: folder.write('ca.pem', authority.cert) }
    const clock = new ManualClock()
    const { port } = await TestPlane.start(
      t,
      { certificates: folder.certificate('shop', LOOPBACK) },
      {
        clock,
        settings: {
          services: { s: { url: `https://127.0.0.1:${upstream.port}`, tls } },
          routes: [{ to: 's' }],
        },
      },
    )
    for (const [index, isResumed] of [false, true, true, false, true].entries()) {
      assert.match((await visit(port, {})).text, /ok$/)
      assert.equal((await seenBy(upstream, index)).isSessionReused(), isResumed)
      upstream.connections[index]!.end()
      await upstream.connections[index]!.closed()
      clock.advance(1_300_000)
    }
  })

  test('counts on no session that was made on other terms', async (t) => {
    const folder = new TestFolder(t)
    const upstream = await RecordingUpstream.start(answersOk, LOOPBACK)
    t.after(() => upstream.close())
    const config = (tls: Settings) => ({
      listen: 'http://127.0.0.1:0',
      services: { s: { url: `https://127.0.0.1:${upstream.port}`, tls } },
      routes: [{ to: 's' }],
    })
    const ca = folder.write('ca.pem', authority.cert)
    const other = folder.write('other.pem', new Authority('other').cert)
    const gateway = await createGateway(config({ verify: false }) as never)
    await gateway.start()
    t.after(() => gateway.close())
    const url = `http://127.0.0.1:${gateway.addresses[0]!.port}/`
    const status = async () => (await fetch(url)).status
    assert.equal(await status(), 200)
    for (const [tls, expected] of [
      [{ ca: other }, 502],
      [{ ca }, 200],
      [{ ca, serverName: 'other.example' }, 502],
    ] as const) {
      await gateway.apply(config(tls) as never)
      assert.equal(await status(), expected)
    }
  })

  test('whose records are broken fails at once', async (t) => {
    const { client, upstream } = await started(t, async (connection) => {
      await connection.request()
      const record = Buffer.concat([Buffer.from([0x17, 3, 3, 0, 64]), Buffer.alloc(64, 1)])
      ;(connection.socket as unknown as { _parent: Socket })._parent.write(record)
    })
    assertFailure(await client.exchange(GET), 'tls_failed')
    await upstream.idle()
  })

  test('hands nothing on to the next exchange, though both arrived at once', async (t) => {
    const relay = await Relay.start(t)
    let isReady = false
    const script: Script = async (connection) => {
      await connection.request()
      if (connection.index > 0) return connection.answer('fine')
      relay.hold()
      for (const body of ['right', 'wrong']) {
        const before = relay.held
        await connection.answer(body)
        await eventually(
          () => relay.held > before,
          () => 'the relay to hold the record',
        )
      }
      isReady = true
    }
    const { client, gateway } = await started(t, script, {
      relay,
      // Nothing but answers comes after the handshake, no tickets.
      server: { maxVersion: 'TLSv1.2' },
      service: { connections: { max: 1 } },
    })
    const second = await gateway.connect()
    client.send(GET)
    await eventually(
      () => isReady,
      () => 'both answers',
    )
    second.send(GET)
    await eventually(
      () => gateway.stats().upstreamWaiters === 1,
      () => 'the second request to wait for the connection',
    )
    relay.release()
    assert.equal((await client.response()).text, 'right')
    assert.equal((await second.response()).text, 'fine')
  })
})

describe('a kept connection', () => {
  for (const tls of [undefined, LOOPBACK]) {
    test(`${tls === undefined ? 'over TCP' : 'over TLS'} is read again after a slow client`, async (t) => {
      const body = 'z'.repeat(60_000)
      const script: Script = async (connection) => {
        while ((await connection.nextRequest()) !== null) await connection.answer(body)
      }
      const upstream = await RecordingUpstream.start(script, tls)
      t.after(() => upstream.close())
      const gateway = await startedBefore(t, {
        url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${upstream.port}`,
        ...(tls === undefined ? {} : { tls: { verify: false } }),
        connections: { max: 1 },
      })
      // Not read, the answers fill up the way to the client; the last one blocks with its last byte.
      const slow = await gateway.connect()
      slow.pause()
      const count = 300
      slow.send(GET.repeat(count))
      const quick = await gateway.connect()
      let before = -1
      await eventually(
        () => {
          const { length } = upstream.text
          const isStill = length > 0 && length === before
          before = length
          return isStill
        },
        () => 'the gateway to ask for no more',
      )
      assert.equal((await quick.exchange(GET)).text, body)
      await slow.destroy()
    })
  }
})

describe('a body that ends with its connection', () => {
  const HEAD = 'HTTP/1.1 200 OK\r\n\r\n'
  const BODY = 'x'.repeat(200_000)

  for (const maxVersion of VERSIONS) {
    test(`is whole if the service says so in ${maxVersion}`, async (t) => {
      const { client } = await started(
        t,
        async (connection) => {
          await connection.request()
          await connection.send(HEAD + BODY)
          connection.end()
        },
        { server: { maxVersion } },
      )
      assert.equal((await client.exchange(GET)).text, BODY)
    })

    test(`is cut off if only TCP ends, with ${maxVersion}`, async (t) => {
      const { client, gateway } = await started(
        t,
        async (connection) => {
          await connection.request()
          await connection.send(HEAD + BODY)
          connection.socket.destroy()
        },
        { server: { maxVersion } },
      )
      client.send(GET)
      assert.equal(await client.closed(), 'reset')
      await gateway.idle()
    })
  }
})

describe('over TLS on both sides', () => {
  /** A client's TLS connection to a gateway that speaks TLS to the service as well. */
  async function both(t: TestContext, script: Script, maxVersion: 'TLSv1.2' | 'TLSv1.3') {
    const folder = new TestFolder(t)
    const upstream = await RecordingUpstream.start(script, { ...LOOPBACK, maxVersion })
    t.after(() => upstream.close())
    const gateway = await TestGateway.to(
      {
        url: `https://127.0.0.1:${upstream.port}`,
        tls: { ca: folder.write('ca.pem', authority.cert) },
      },
      {
        listen: {
          url: 'https://127.0.0.1:0',
          tls: { certificates: folder.certificate('shop', LOOPBACK) },
        },
      },
    )
    t.after(() => gateway.close())
    const client = await gateway.connect({ tls: { ca: authority.cert, maxVersion } })
    return { upstream, gateway, client }
  }

  for (const maxVersion of VERSIONS) {
    test(`100 MB pass unchanged in both directions, with ${maxVersion}`, async (t) => {
      let received = ''
      const script: Script = async ({ socket }) => {
        const up = new Digest()
        await new Promise<void>((resolve) => {
          let isHead = true
          socket.removeAllListeners('data')
          socket.on('data', (data: Buffer) => {
            const start = isHead ? data.indexOf('\r\n\r\n') + 4 : 0
            isHead = false
            if (up.add(data.subarray(start)) === LENGTH) resolve()
          })
        })
        received = up.hex
        await sends(socket, `HTTP/1.1 200 OK\r\nContent-Length: ${LENGTH}\r\n\r\n`)
      }
      const { client, gateway } = await both(t, script, maxVersion)
      const { socket } = client
      socket.removeAllListeners('data')
      const down = new Digest()
      const answered = new Promise<void>((resolve) => {
        let isHead = true
        socket.on('data', (data: Buffer) => {
          const start = isHead ? data.indexOf('\r\n\r\n') + 4 : 0
          isHead = false
          if (down.add(data.subarray(start)) === LENGTH) resolve()
        })
      })
      await sends(socket, `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${LENGTH}\r\n\r\n`)
      await answered
      assert.equal(received, EXPECTED)
      assert.equal(down.hex, EXPECTED)
      await gateway.settled()
    })

    test(`a body comes no faster than it is taken, with ${maxVersion}`, async (t) => {
      const { client, gateway, upstream } = await both(t, () => {}, maxVersion)
      client.send(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${40_000_000}\r\n\r\n`)
      const { socket } = await upstream.connection(0)
      await assertHeldBack(client.socket, socket)
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${40_000_000}\r\n\r\n`)
      await assertHeldBack(socket, client.socket)
      await gateway.settled()
      await gateway.disconnect()
      await gateway.idle()
    })

    test(`a tunnel ends one side at a time, with ${maxVersion}`, async (t) => {
      const { client, upstream, gateway } = await both(
        t,
        async (connection) => {
          await connection.request()
          await connection.send(SWITCH)
        },
        maxVersion,
      )
      for (const first of ['client', 'service'] as const) {
        const index = upstream.connections.length
        const near = first === 'client' ? client : await gateway.connect({ tls: TRUSTING })
        near.send(UPGRADE)
        assert.equal((await near.response()).status, 101)
        const far = await upstream.connection(index)
        near.send('up')
        await far.receives('up')
        await far.send('down')
        await near.receives('down')
        if (first === 'client') {
          near.end()
          assert.equal(await far.closed(), 'fin')
          await far.send('still here')
          await near.receives('still here')
          far.end()
          assert.equal(await near.closed(), 'fin')
        } else {
          far.end()
          assert.equal(await near.closed(), 'fin')
          near.send('still there')
          await far.receives('still there')
          near.end()
          assert.equal(await far.closed(), 'fin')
        }
      }
      await gateway.idle()
    })
  }

  test('a WebSocket works', async (t) => {
    const { gateway, client } = await both(t, echoesWebSocket, 'TLSv1.3')
    await client.destroy()
    setDefaultCACertificates([authority.cert])
    const socket = new WebSocket(`wss://127.0.0.1:${gateway.port}/chat`)
    socket.onopen = () => socket.send('hello')
    const echo = await new Promise((resolve, reject) => {
      socket.onerror = reject
      socket.onmessage = (event) => resolve(event.data)
    })
    assert.equal(echo, 'hello')
    socket.close()
    await gateway.idle()
  })
})
