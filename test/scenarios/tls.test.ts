// TLS towards clients: which certificate they get, what is refused, sessions that resume, certificates
// that are replaced while connections go on.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { renameSync, rmSync, symlinkSync } from 'node:fs'
import { connect as connectTcp, type Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import { z } from 'zod'
import { createGateway, type Gateway } from '../../src/gateway/gateway.ts'
import { createSharedState } from '../../src/gateway/shared-state.ts'
import { definePolicy } from '../../src/index.ts'
import { ManualClock } from '../../src/lib/clock.ts'
import { Authority } from '../support/certificates.ts'
import { eventually, nextTurn } from '../support/changes.ts'
import type { Settings } from '../support/gateway.ts'
import { RawClient } from '../support/raw-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { commonName, TestFolder, TestPlane, visit } from '../support/tls.ts'

const authority = new Authority()
const GET = 'GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n'
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const

/** Tells what the exchange knows of the client's TLS. */
const tellsTls = definePolicy({
  name: 'tells-tls',
  summary: 'Tells the version of TLS.',
  settings: z.strictObject({}),
  examples: [{}],
  create: () => ({
    onResponse(exchange) {
      exchange.setResponseHeader('TLS', `${exchange.scheme} ${exchange.tlsVersion}`)
    },
  }),
})

/** A gateway that answers everything itself over TLS. */
async function started(
  t: TestContext,
  tls: Settings,
  settings: Settings = {},
): Promise<Gateway & { port: number }> {
  const gateway = await createGateway(
    {
      listen: { url: 'https://127.0.0.1:0', tls },
      use: ['tells-tls'],
      routes: [{ respond: { status: 200, body: 'here' } }],
      ...settings,
    } as never,
    { policies: [tellsTls] },
  )
  await gateway.start()
  t.after(async () => {
    await gateway.close()
    assert.equal(gateway.stats().clientConnections, 0)
    assert.equal(gateway.stats().timers, 0)
  })
  return Object.assign(gateway, { port: gateway.addresses[0]!.port })
}

/** A gateway with one certificate. */
function startedForShop(t: TestContext, tls: Settings = {}, settings: Settings = {}) {
  const shop = authority.issue({ commonName: 'shop', names: ['shop.example'] })
  return started(t, { certificates: new TestFolder(t).certificate('shop', shop), ...tls }, settings)
}

async function gone(gateway: Gateway): Promise<void> {
  await eventually(
    () => gateway.stats().clientConnections === 0,
    () => `all clients to be gone: ${JSON.stringify(gateway.stats())}`,
  )
}

/** A plain connection to the port. */
async function tcp(port: number): Promise<Socket> {
  const socket = connectTcp({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

/** Reads to the end, however it comes; resolves with all that was received. */
async function ended(socket: Socket): Promise<Buffer> {
  const parts: Buffer[] = []
  socket.on('data', (part: Buffer) => parts.push(part))
  if (!socket.destroyed) {
    await new Promise<void>((resolve) => {
      socket.once('end', resolve)
      socket.once('close', () => resolve())
    })
  }
  socket.destroy()
  return Buffer.concat(parts)
}

/** The first message of a handshake. */
async function clientHello(options: ConnectionOptions = {}): Promise<Buffer> {
  const { createServer } = await import('node:net')
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connectTls({
    host: '127.0.0.1',
    port: (server.address() as { port: number }).port,
    ...options,
  })
  client.on('error', () => {})
  const [socket] = (await once(server, 'connection')) as [Socket]
  const [hello] = (await once(socket, 'data')) as [Buffer]
  client.destroy()
  socket.destroy()
  server.close()
  return hello
}

describe('the certificate', () => {
  test('is the one for the name that the client asks for', async (t) => {
    const folder = new TestFolder(t)
    const make = (commonName: string, ...names: string[]) =>
      folder.certificate(commonName, authority.issue({ commonName, names }))
    const gateway = await started(t, {
      certificates: [
        make('first', 'first.example'),
        make('shop', 'shop.example', 'www.shop.example'),
        make('any', '*.shop.example'),
        { ...make('told', 'elsewhere.example'), hosts: ['told.example', '*.told.example'] },
      ],
    })
    for (const [servername, expected] of [
      ['first.example', 'first'],
      ['shop.example', 'shop'],
      ['www.shop.example', 'shop'],
      ['WWW.Shop.Example', 'shop'],
      ['api.shop.example', 'any'],
      ['a.b.shop.example', 'first'],
      ['told.example', 'told'],
      ['a.told.example', 'told'],
      ['elsewhere.example', 'first'],
      ['localhost', 'first'],
      ['unknown.example', 'first'],
      ['', 'first'],
    ] as const) {
      const seen = await visit(gateway.port, { servername })
      assert.equal(seen.commonName, expected, servername)
      assert.match(seen.text, /^HTTP\/1\.1 200 /)
    }
  })

  test('is checked before anything listens', async (t) => {
    const folder = new TestFolder(t)
    const one = folder.certificate('one', authority.issue({ commonName: 'one' }))
    const other = folder.certificate('other', authority.issue({ commonName: 'other' }))
    const listen = (tls: Settings) => ({
      listen: { url: 'https://127.0.0.1:0', tls },
      routes: [{ respond: { status: 200 } }],
    })
    for (const tls of [
      { certificates: { cert: one.cert, key: other.key } },
      { certificates: { cert: `${folder.path}/missing`, key: one.key } },
      { certificates: one, clientCa: folder.write('empty.pem', '') },
    ]) {
      await assert.rejects(createGateway(listen(tls) as never))
    }
  })
})

describe('the handshake', () => {
  test('takes TLS 1.2 and 1.3, which the exchange knows, and nothing older', async (t) => {
    const gateway = await startedForShop(t)
    for (const version of VERSIONS) {
      const seen = await visit(gateway.port, { minVersion: version, maxVersion: version })
      assert.equal(seen.protocol, version)
      assert.match(seen.text, new RegExp(`\r\nTLS: https ${version}\r\n`))
    }
    for (const version of ['TLSv1', 'TLSv1.1'] as const) {
      const old = { minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' }
      await assert.rejects(visit(gateway.port, old), { code: /ALERT_PROTOCOL_VERSION/ })
    }
    await gone(gateway)
  })

  test('takes TLS 1.3 alone if told so, whatever name the client asks for', async (t) => {
    const gateway = await startedForShop(t, { minVersion: '1.3' })
    for (const servername of ['', 'shop.example']) {
      const old = visit(gateway.port, { servername, maxVersion: 'TLSv1.2' })
      await assert.rejects(old, { code: /ALERT_PROTOCOL_VERSION/ })
      assert.equal((await visit(gateway.port, { servername })).protocol, 'TLSv1.3')
    }
  })

  test('agrees on HTTP/1.1, or on nothing', async (t) => {
    const gateway = await startedForShop(t)
    const asked = async (...ALPNProtocols: string[]) =>
      (await visit(gateway.port, { ALPNProtocols })).alpn
    assert.equal(await asked('http/1.1'), 'http/1.1')
    assert.equal(await asked('h2', 'http/1.1'), 'http/1.1')
    assert.equal((await visit(gateway.port, {})).alpn, false)
    await assert.rejects(asked('h2'), { code: /NO_APPLICATION_PROTOCOL/ })
    assert.equal(await asked('http/1.1'), 'http/1.1')
    await gone(gateway)
  })

  test('knows no static RSA, no CBC, no renegotiation', async (t) => {
    const gateway = await startedForShop(t)
    for (const ciphers of ['AES128-GCM-SHA256', 'ECDHE-ECDSA-AES128-SHA256']) {
      await assert.rejects(visit(gateway.port, { maxVersion: 'TLSv1.2', ciphers }))
    }
    const { socket } = await RawClient.connect(gateway.port, {
      tls: { maxVersion: 'TLSv1.2', rejectUnauthorized: false },
    })
    const error = await new Promise<NodeJS.ErrnoException | null>((resolve) => {
      socket.once('error', resolve)
      ;(socket as TLSSocket).renegotiate({}, resolve)
    })
    assert.match(error?.code ?? '', /NO_RENEGOTIATION/)
    socket.destroy()
  })

  test('with something that is not TLS ends, and hurts nobody', async (t) => {
    const gateway = await startedForShop(t)
    const open = await RawClient.connect(gateway.port, { tls: { rejectUnauthorized: false } })
    for (const bytes of [GET, '\0\0\0\0\0\0\0\0', '\x16\x03\x01\xff\xff', 'x'.repeat(100_000)]) {
      const socket = await tcp(gateway.port)
      socket.write(bytes, 'latin1')
      socket.end()
      const answer = await ended(socket)
      assert.equal(answer.includes('HTTP/'), false)
    }
    assert.equal((await open.exchange(GET)).text, 'here')
    await open.destroy()
    await gone(gateway)
  })

  test('that the client breaks off at any byte leaves nothing', async (t) => {
    const gateway = await startedForShop(t)
    const hello = await clientHello()
    for (let cut = 0; cut <= hello.length; cut += cut < 16 ? 1 : 37) {
      for (const way of ['fin', 'reset'] as const) {
        const socket = await tcp(gateway.port)
        socket.write(hello.subarray(0, cut))
        if (way === 'reset') {
          await nextTurn()
          socket.resetAndDestroy()
        } else {
          socket.end()
          await ended(socket)
        }
      }
    }
    await gone(gateway)
    assert.match((await visit(gateway.port, {})).text, /here$/)
  })

  test('that never ends is cut off in time, though bytes keep coming', async (t) => {
    const gateway = await startedForShop(t, {}, { limits: { headTimeout: '200ms' } })
    const hello = await clientHello()
    const silent = await tcp(gateway.port)
    const dripping = await tcp(gateway.port)
    let sent = 0
    const drip = setInterval(() => dripping.write(hello.subarray(sent, ++sent)), 20)
    t.after(() => clearInterval(drip))
    await Promise.all([ended(silent), ended(dripping)])
    assert.ok(sent < hello.length)
    await gone(gateway)
  })

  test('counts among the connections from its first moment', async (t) => {
    const gateway = await startedForShop(
      t,
      {},
      { limits: { connections: 20, connectionsPerIp: 20 } },
    )
    const stuck: Socket[] = []
    for (let count = 0; count < 20; count++) stuck.push(await tcp(gateway.port))
    await eventually(
      () => gateway.stats().clientConnections === 20,
      () => `20 connections; ${JSON.stringify(gateway.stats())}`,
    )
    await assert.rejects(visit(gateway.port, {}))
    assert.equal(gateway.stats().clientConnections, 20)
    stuck[7]?.resetAndDestroy()
    await eventually(
      () => gateway.stats().clientConnections === 19,
      () => 'one to be gone',
    )
    assert.match((await visit(gateway.port, {})).text, /here$/)
    for (const socket of stuck) socket.destroy()
    await gone(gateway)
  })

  test('under way when the gateway drains or closes is no obstacle', async (t) => {
    const gateway = await startedForShop(t)
    const stuck = await tcp(gateway.port)
    const late = connectTls({ host: '127.0.0.1', port: gateway.port, rejectUnauthorized: false })
    late.on('error', () => {})
    await eventually(
      () => gateway.stats().clientConnections === 2,
      () => 'both to be accepted',
    )
    const drained = gateway.drain(60_000)
    await ended(late)
    stuck.destroy()
    await drained
    assert.equal(gateway.stats().clientConnections, 0)
    await assert.rejects(visit(gateway.port, {}), { code: 'ECONNREFUSED' })
  })
})

describe('a connection', () => {
  test('whose records are broken ends, whatever the client does', async (t) => {
    const gateway = await startedForShop(t, {}, { limits: { headTimeout: '60s' } })
    const transport = await tcp(gateway.port)
    const socket = connectTls({ socket: transport, rejectUnauthorized: false })
    socket.on('error', () => {})
    socket.write(GET)
    await once(socket, 'data')
    // So that it does not hear of the trouble, and stays.
    socket.pause()
    transport.write(Buffer.concat([Buffer.from([0x17, 3, 3, 0, 64]), Buffer.alloc(64, 1)]))
    await gone(gateway)
    socket.destroy()
  })

  test('is reset when its answer cannot be completed', async (t) => {
    const upstream = await RecordingUpstream.start(async (connection) => {
      await connection.request()
      await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nnot all')
      connection.end()
    })
    t.after(() => upstream.close())
    const gateway = await startedForShop(
      t,
      {},
      { services: { s: upstream.url }, routes: [{ to: 's' }] },
    )
    const client = await RawClient.connect(gateway.port, { tls: { rejectUnauthorized: false } })
    client.send(GET)
    assert.equal(await client.closed(), 'reset')
    await client.destroy()
    await gone(gateway)
  })

  test('carries pipelined requests and one split at every byte', async (t) => {
    const gateway = await startedForShop(t)
    const client = await RawClient.connect(gateway.port, { tls: { rejectUnauthorized: false } })
    client.send(GET.repeat(20))
    for (const answer of await client.responses(Array(20).fill('GET'))) {
      assert.equal(answer.text, 'here')
    }
    await client.sendSplit(GET)
    assert.equal((await client.response()).text, 'here')
    await client.destroy()
  })
})

describe('a session', () => {
  for (const maxVersion of VERSIONS) {
    test(`of ${maxVersion} resumes, in any thread`, async (t) => {
      const shared = createSharedState(2)
      const files = new TestFolder(t).certificate('shop', authority.issue({ commonName: 'shop' }))
      const planes = [
        await TestPlane.start(t, { certificates: files }, { shared, threadIndex: 0 }),
        await TestPlane.start(t, { certificates: files }, { shared, threadIndex: 1 }),
      ] as const
      for (const servername of ['', 'shop.example']) {
        const options = { maxVersion, servername }
        const first = await visit(planes[0].port, options)
        assert.equal(first.isResumed, false)
        for (const { port } of [...planes, ...planes]) {
          const next = await visit(port, { ...options, session: first.session })
          assert.equal(next.isResumed, true)
          assert.match(next.text, /here$/)
        }
      }
    })

    test(`of ${maxVersion} resumes after the certificate was replaced`, async (t) => {
      const folder = new TestFolder(t)
      const before = authority.issue({ commonName: 'before', names: ['shop.example'] })
      const plane = await TestPlane.start(t, { certificates: folder.certificate('shop', before) })
      const options = { maxVersion, servername: 'shop.example' }
      const { session } = await visit(plane.port, options)
      const after = authority.issue({ commonName: 'after', names: ['shop.example'] })
      folder.certificate('shop', after)
      await plane.plane.reloadCertificates()
      assert.equal((await visit(plane.port, { ...options, session })).isResumed, true)
      assert.equal((await visit(plane.port, options)).commonName, 'after')
    })

    test(`of ${maxVersion} ends with the day, in every thread`, async (t) => {
      const shared = createSharedState(2)
      const files = new TestFolder(t).certificate('shop', authority.issue({ commonName: 'shop' }))
      const clock = new ManualClock()
      const planes: TestPlane[] = []
      for (const threadIndex of [0, 1]) {
        const options = { shared, threadIndex, clock }
        planes.push(await TestPlane.start(t, { certificates: files }, options))
      }
      const look = async (): Promise<void> => {
        for (const { plane } of planes) await plane.reloadCertificates()
      }
      const { session } = await visit(planes[0]!.port, { maxVersion })
      clock.advance(86_399_000)
      await look()
      assert.equal((await visit(planes[1]!.port, { maxVersion, session })).isResumed, true)
      clock.advance(1000)
      await look()
      for (const { port } of planes) {
        assert.equal((await visit(port, { maxVersion, session })).isResumed, false)
      }
      const fresh = await visit(planes[1]!.port, { maxVersion })
      const next = await visit(planes[0]!.port, { maxVersion, session: fresh.session })
      assert.equal(next.isResumed, true)
    })

    test(`of ${maxVersion} opens no door that other authorities guard`, async (t) => {
      const folder = new TestFolder(t)
      const files = folder.certificate('shop', authority.issue({ commonName: 'shop' }))
      const staff = new Authority('staff')
      const partners = new Authority('partners')
      const clientCa = folder.write('clients.pem', staff.cert)
      const plane = await TestPlane.start(t, { certificates: files, clientCa })
      const options = { maxVersion, ...staff.issue({ commonName: 'eve' }) }
      const { session } = await visit(plane.port, options)
      assert.equal((await visit(plane.port, { ...options, session })).isResumed, true)
      folder.write('clients.pem', partners.cert)
      await plane.plane.reloadCertificates()
      await assert.rejects(visit(plane.port, { ...options, session }))
      const open = await TestPlane.start(t, { certificates: files })
      const unknown = await visit(open.port, { maxVersion })
      await assert.rejects(visit(plane.port, { maxVersion, session: unknown.session }))
    })
  }
})

describe('a certificate that is replaced', () => {
  /** How a certificate gets into its place. */
  const ways: Record<string, (folder: TestFolder, name: string) => { cert: string; key: string }> =
    {
      'written over': (folder, name) => folder.certificate('shop', issued(name)),
      'renamed into place': (folder, name) => {
        const next = folder.certificate('next', issued(name))
        renameSync(next.cert, `${folder.path}/shop.crt`)
        renameSync(next.key, `${folder.path}/shop.key`)
        return { cert: `${folder.path}/shop.crt`, key: `${folder.path}/shop.key` }
      },
      'behind a symbolic link, as Kubernetes does it': (folder, name) => {
        folder.certificate(`data-${name}`, issued(name))
        for (const kind of ['crt', 'key']) {
          symlinkSync(`data-${name}.${kind}`, `${folder.path}/..data.${kind}`)
          renameSync(`${folder.path}/..data.${kind}`, `${folder.path}/data.${kind}`)
          rmSync(`${folder.path}/shop.${kind}`, { force: true })
          symlinkSync(`data.${kind}`, `${folder.path}/shop.${kind}`)
        }
        return { cert: `${folder.path}/shop.crt`, key: `${folder.path}/shop.key` }
      },
    }
  const issued = (commonName: string) => authority.issue({ commonName, names: ['shop.example'] })

  for (const [way, put] of Object.entries(ways)) {
    test(`${way} is picked up, and no connection is dropped`, async (t) => {
      const folder = new TestFolder(t)
      const plane = await TestPlane.start(t, { certificates: put(folder, 'old') })
      const open = await RawClient.connect(plane.port, { tls: { rejectUnauthorized: false } })
      assert.equal((await open.exchange(GET)).text, 'here')
      await plane.plane.reloadCertificates()
      assert.deepEqual(plane.log, [])
      put(folder, 'new')
      await plane.plane.reloadCertificates()
      assert.deepEqual(plane.log, ['certificates reloaded'])
      for (const servername of ['', 'shop.example']) {
        assert.equal((await visit(plane.port, { servername })).commonName, 'new')
      }
      assert.equal((await open.exchange(GET)).text, 'here')
      assert.equal(commonName(open.socket as TLSSocket), 'old')
      await open.destroy()
    })
  }

  test('by something that cannot be used stays, and that is told once', async (t) => {
    const folder = new TestFolder(t)
    const files = folder.certificate('shop', issued('old'))
    const plane = await TestPlane.start(t, { certificates: files })
    const other = issued('other')
    const broken = [
      () => folder.write('shop.crt', 'no certificate'),
      () => rmSync(files.cert),
      // Half of a replacement: the key does not belong to the certificate yet.
      () => folder.write('shop.crt', other.cert),
      // The key is being written.
      () => folder.write('shop.key', ''),
    ]
    for (const [index, breakIt] of broken.entries()) {
      breakIt()
      await plane.plane.reloadCertificates()
      await plane.plane.reloadCertificates()
      assert.equal(plane.log.length, index + 1)
      assert.match(plane.log.at(-1) ?? '', /^certificates kept: .*shop\.crt/)
      assert.equal((await visit(plane.port, {})).commonName, 'old')
    }
    folder.write('shop.key', other.key)
    await plane.plane.reloadCertificates()
    assert.equal(plane.log.at(-1), 'certificates reloaded')
    assert.equal((await visit(plane.port, {})).commonName, 'other')
  })

  test('by the configuration is live with it, or refused with it', async (t) => {
    const folder = new TestFolder(t)
    const plane = await TestPlane.start(t, { certificates: folder.certificate('a', issued('a')) })
    const b = folder.certificate('b', issued('b'))
    await plane.apply({ certificates: b, minVersion: '1.3' })
    assert.equal((await visit(plane.port, {})).commonName, 'b')
    await assert.rejects(visit(plane.port, { maxVersion: 'TLSv1.2' }))
    await assert.rejects(plane.apply({ certificates: { cert: b.cert, key: '/nowhere' } }))
    assert.equal((await visit(plane.port, {})).commonName, 'b')
  })
})

describe('a client certificate', () => {
  const staff = new Authority('staff')
  for (const maxVersion of VERSIONS) {
    test(`is asked for, and verified, with ${maxVersion}`, async (t) => {
      const folder = new TestFolder(t)
      const gateway = await startedForShop(t, { clientCa: folder.write('ca.pem', staff.cert) })
      const known = await visit(gateway.port, {
        maxVersion,
        ...staff.issue({ commonName: 'ann' }),
      })
      assert.match(known.text, /here$/)
      for (const shown of [
        {},
        authority.issue({ commonName: 'eve' }),
        new Authority('staff').issue({ commonName: 'ann' }),
        staff.issue({ commonName: 'ann', untilDays: -0.5 }),
      ]) {
        for (const servername of ['', 'shop.example']) {
          await assert.rejects(visit(gateway.port, { maxVersion, servername, ...shown }))
        }
      }
      await gone(gateway)
    })
  }
})
