// WebSockets and event streams over reloads: nothing happens to those whose own route and service stay
// as they are; the others end, one after the other, in a way that their clients understand.
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { eventually } from '../support/changes.ts'
import { HOST } from '../support/faults.ts'
import { type Settings, TestGateway } from '../support/gateway.ts'
import type { RawClient } from '../support/raw-client.ts'
import { RecordingUpstream, type UpstreamConnection } from '../support/recording-upstream.ts'

const UPGRADE = `GET /chat HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`
const EVENTS = `GET /events HTTP/1.1\r\n${HOST}\r\n`
const SWITCH =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'
const STREAM =
  'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n'

/** Upgrades, streams events, and sends back whatever comes through a tunnel. */
async function serve(connection: UpstreamConnection): Promise<void> {
  const request = await connection.nextRequest()
  if (request === null) return
  if (request.header('upgrade') === null) return connection.send(`${STREAM}3\r\n:1\n\r\n`)
  if (!request.target.endsWith('late')) await connection.send(SWITCH)
  connection.socket.on('data', (data: Buffer) => connection.socket.write(data))
  connection.socket.on('end', () => connection.end())
}

/** Everything that can differ from one configuration to the next here. */
interface Variant {
  readonly other?: string
  readonly chat?: Settings
  readonly service?: Settings
  readonly endpoints?: readonly string[]
  readonly spread?: string
}

class Scene {
  readonly gateway: TestGateway
  readonly upstream: RecordingUpstream

  constructor(gateway: TestGateway, upstream: RecordingUpstream) {
    this.gateway = gateway
    this.upstream = upstream
  }

  static async start(t: TestContext, variant: Variant = {}): Promise<Scene> {
    const upstream = await RecordingUpstream.start(serve)
    const gateway = await TestGateway.start(settings(upstream, variant))
    t.after(async () => {
      await gateway.close()
      await upstream.close()
    })
    return new Scene(gateway, upstream)
  }

  apply(variant: Variant): Promise<void> {
    return this.gateway.apply(settings(this.upstream, variant))
  }

  /** A tunnel that stands. */
  async tunnel(): Promise<RawClient> {
    const client = await this.gateway.connect()
    client.send(UPGRADE)
    assert.equal((await client.response()).status, 101)
    return client
  }

  /** A stream that has begun. */
  async stream(): Promise<RawClient> {
    const client = await this.gateway.connect()
    client.send(EVENTS)
    await client.receives(':1\n')
    return client
  }
}

function settings({ url }: RecordingUpstream, variant: Variant): Settings {
  const { other = 'a', chat = {}, service = {}, endpoints = [url], spread = '0s' } = variant
  return {
    drain: { spread, timeout: '1h' },
    services: { s: { endpoints, ...service } },
    routes: [
      { id: 'chat', path: '/chat', to: 's', ...chat },
      { id: 'events', path: '/events', to: 's' },
      { path: '/other', respond: { body: other } },
    ],
  }
}

let messages = 0

/** Bytes go through in both directions. */
async function assertOpen(tunnel: RawClient): Promise<void> {
  const message = `message ${messages++};`
  tunnel.send(message)
  await tunnel.receives(message)
}

describe('a reload', () => {
  test('of other routes leaves them alone, fifty times', async (t) => {
    const scene = await Scene.start(t)
    const tunnel = await scene.tunnel()
    const stream = await scene.stream()
    for (let round = 0; round < 50; round++) await scene.apply({ other: `b${round}` })
    await assertOpen(tunnel)
    assert.deepEqual([stream.ending, scene.gateway.stats().longLived], ['open', 2])
  })

  test('that adds an endpoint beside theirs leaves them alone', async (t) => {
    const scene = await Scene.start(t)
    const { url } = scene.upstream
    const tunnel = await scene.tunnel()
    await scene.apply({ endpoints: [url, 'http://127.0.0.1:9'] })
    await assertOpen(tunnel)
  })

  const changes: readonly [string, Variant][] = [
    ['their route', { chat: { upgrade: ['websocket', 'mqtt'] } }],
    ['the policies of their route', { chat: { use: ['request-id'] } }],
    ['their service', { service: { hostHeader: 'endpoint' } }],
    ['the place of their service', { endpoints: ['http://127.0.0.1:9'] }],
  ]
  for (const [what, variant] of changes) {
    test(`that changes ${what} ends them on both sides`, async (t) => {
      const scene = await Scene.start(t)
      const tunnel = await scene.tunnel()
      await scene.apply(variant)
      assert.equal(await tunnel.closed(), 'fin')
      tunnel.end()
      assert.equal(await (await scene.upstream.connection(0)).closed(), 'fin')
      await scene.gateway.idle()
    })
  }

  test('that removes their route ends them, and one of its own only those', async (t) => {
    const scene = await Scene.start(t)
    const tunnel = await scene.tunnel()
    const stream = await scene.stream()
    await scene.apply({ chat: { id: 'another' } })
    assert.equal(await tunnel.closed(), 'fin')
    tunnel.end()
    await eventually(
      () => scene.gateway.stats().longLived === 1,
      () => 'the tunnel to be gone',
    )
    assert.equal(stream.ending, 'open')
  })

  test('ends an event stream properly, and its connection serves the next', async (t) => {
    const scene = await Scene.start(t)
    const stream = await scene.stream()
    await scene.apply({ service: { hostHeader: 'endpoint' } })
    assert.equal((await stream.response()).text, ':1\n')
    const next = await stream.exchange(`GET /other HTTP/1.1\r\n${HOST}\r\n`)
    assert.equal(next.text, 'a')
  })

  test('ends a tunnel whose sides say nothing of their own end', async (t) => {
    const scene = await Scene.start(t)
    const tunnel = await scene.tunnel()
    // It neither ends nor reads any more.
    tunnel.pause()
    const service = await scene.upstream.connection(0)
    service.socket.removeAllListeners('end')
    await scene.apply({ chat: { use: ['request-id'] } })
    await scene.gateway.idle()
    tunnel.resume()
    assert.notEqual(await tunnel.closed(), 'open')
  })

  test('ends them one after the other', async (t) => {
    const scene = await Scene.start(t)
    const tunnels: RawClient[] = []
    for (let count = 0; count < 8; count++) tunnels.push(await scene.tunnel())
    await scene.apply({ chat: { use: ['request-id'] }, spread: '2s' })
    const seen = new Set<number>()
    await eventually(
      () => {
        const open = tunnels.filter(({ ending }) => ending === 'open').length
        seen.add(open)
        return open === 0
      },
      () => 'all to end',
    )
    assert.ok(
      [...seen].some((open) => open > 0 && open < tunnels.length),
      `open at the same time: ${[...seen]}`,
    )
    for (const tunnel of tunnels) tunnel.end()
  })

  test('between the request and the upgrade counts as well', async (t) => {
    const scene = await Scene.start(t)
    const client = await scene.gateway.connect()
    client.send(UPGRADE.replace('/chat', '/chat?late'))
    const service = await scene.upstream.connection(0)
    await service.head()
    await scene.apply({ chat: { use: ['request-id'] } })
    await service.send(SWITCH)
    assert.equal((await client.response()).status, 101)
    assert.equal(await client.closed(), 'fin')
    client.end()
  })
})

describe('a drain', () => {
  test('ends them within its spread, and then the gateway', async (t) => {
    const scene = await Scene.start(t, { spread: '500ms' })
    const tunnel = await scene.tunnel()
    const stream = await scene.stream()
    const drained = scene.gateway.drain()
    assert.equal(await tunnel.closed(), 'fin')
    tunnel.end()
    assert.equal((await stream.response()).text, ':1\n')
    stream.end()
    assert.equal(await drained, 0)
  })
})
