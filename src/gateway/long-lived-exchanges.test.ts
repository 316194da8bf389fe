// What long-lived exchanges keep, and when they are told to end.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { z } from 'zod'
import { eventually } from '../../test/support/changes.ts'
import { loadObject } from '../config/load-object.ts'
import type { Snapshot } from '../config/snapshot.ts'
import { TimerWheel } from '../lib/timer-wheel.ts'
import type { LongLived } from '../proxy/pipeline/exchange-context.ts'
import { definePolicy, type PolicyDefinition } from '../proxy/pipeline/policy.ts'
import { SystemResolver } from '../proxy/upstream/discovery/resolver.ts'
import { createDataPlane, type ThreadPlane } from './data-plane.ts'
import { EndpointDirectory } from './endpoint-directory.ts'
import { LongLivedExchanges } from './long-lived-exchanges.ts'
import { createSharedState } from './shared-state.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const UPGRADE =
  'GET /chat/7 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
const SWITCH =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'

/** A service that takes every upgrade, and the port it listens on. */
async function upgrading(t: TestContext): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.write(SWITCH))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return (server.address() as AddressInfo).port
}

/** One thread's plane that can be given configuration after configuration. */
class Plane {
  readonly plane: ThreadPlane
  readonly policies: readonly PolicyDefinition[]
  readonly #directory: EndpointDirectory
  #generation = 0

  constructor(t: TestContext, policies: readonly PolicyDefinition[]) {
    const shared = createSharedState(1)
    const nothing = (): void => {}
    const log = { info: nothing, warn: nothing, error: nothing, line: nothing }
    const byName = new Map(policies.map((policy) => [policy.name, policy]))
    this.policies = policies
    this.plane = createDataPlane({ shared, threadIndex: 0, policies: byName, log })
    this.#directory = new EndpointDirectory(
      shared.endpoints,
      new SystemResolver(),
      nothing,
      nothing,
    )
    t.after(async () => {
      this.#directory.close()
      await this.plane.close()
    })
  }

  async apply(port: number, body: string): Promise<void> {
    const { document } = await loadObject(
      {
        listen: 'http://127.0.0.1:0',
        services: { s: `http://127.0.0.1:${port}` },
        use: this.policies.map(({ name }) => name),
        routes: [
          { path: '/chat/{room}', to: 's' },
          { path: '/other', respond: { body } },
        ],
      } as never,
      { policies: this.policies },
    )
    // Loading tries every policy out.
    noted.length = 0
    const generation = ++this.#generation
    assert.deepEqual(await this.plane.prepare(document, generation), { problems: [] })
    this.plane.updateEndpoints(await this.#directory.configure(document))
    this.plane.switchTo(generation)
  }

  async tunnel(): Promise<Socket> {
    const { port } = await this.plane.listen('listen 127.0.0.1:0#0', { host: '127.0.0.1', port: 0 })
    const client = connect(port, '127.0.0.1')
    client.on('error', () => {})
    client.write(UPGRADE)
    await once(client, 'data')
    return client
  }
}

const noted: string[] = []

/** Writes down its end, and that it may go. */
const noting = definePolicy({
  name: 'noting',
  summary: 'Notes when it is finished and disposed of.',
  settings: z.strictObject({}),
  examples: [],
  create: () => ({
    onFinish: (exchange) => {
      noted.push(`finished ${exchange.params?.room} on ${exchange.route?.id}`)
    },
    dispose: () => {
      noted.push('disposed')
    },
  }),
})

describe('a tunnel', () => {
  test('keeps neither the snapshot nor the document it began on', async (t) => {
    const port = await upgrading(t)
    const plane = new Plane(t, [])
    await plane.apply(port, 'first')
    const client = await plane.tunnel()
    const refs = refsOf(plane.plane.live)
    for (const body of ['second', 'third']) await plane.apply(port, body)
    await eventually(
      () => {
        collectGarbage()
        return refs.every((ref) => ref.deref() === undefined)
      },
      () => `${refs.map((ref) => ref.deref()?.constructor.name)} to be collected`,
    )
    assert.equal(plane.plane.stats().longLived, 1)
    client.destroy()
  })

  test('still runs the last hook of its policies, which are disposed of after it', async (t) => {
    const port = await upgrading(t)
    const plane = new Plane(t, [noting])
    await plane.apply(port, 'first')
    const client = await plane.tunnel()
    await plane.apply(port, 'second')
    // Those of the other route, and of no route, had nobody to wait for.
    assert.deepEqual(noted.splice(0), ['disposed', 'disposed'])
    client.destroy()
    await eventually(
      () => noted.length === 2,
      () => `its end: ${noted}`,
    )
    assert.deepEqual(noted, ['finished 7 on /chat/{room}', 'disposed'])
  })
})

/** In a function of its own, so that nothing else refers to what is referred to here. */
function refsOf(snapshot: Snapshot): WeakRef<object>[] {
  return [new WeakRef(snapshot), new WeakRef(snapshot.document), new WeakRef(snapshot.table)]
}

describe('a drain', () => {
  let now = 0
  const clock = { now: () => now, wallTime: () => now }

  /** Exchanges that end at once when they are told to, and when that was. */
  function registry() {
    const wheel = new TimerWheel(clock, { manual: true })
    const ended: number[] = []
    const live = (): never => assert.fail('no snapshot is asked for')
    const exchanges = new LongLivedExchanges(wheel, clock, live, () => {})
    const add = (): LongLived => {
      const exchange: LongLived = {
        route: null,
        service: null,
        endpoint: null,
        endEarly() {
          ended.push(now)
          exchanges.delete(exchange)
        },
      }
      exchanges.add(exchange, null as never)
      return exchange
    }
    const pass = (ms: number): void => {
      for (const until = now + ms; now < until; ) {
        now += 10
        wheel.advance(now)
      }
    }
    return { exchanges, ended, add, pass, wheel }
  }

  test('gives each its own part of the time, those that come during it as well', () => {
    const { exchanges, ended, add, pass, wheel } = registry()
    for (let count = 0; count < 100; count++) add()
    const begin = now
    exchanges.drain(20_000)
    pass(10_000)
    assert.ok(Math.abs(ended.length - 50) <= 2, `${ended.length} of 100 ended in half of the time`)
    add()
    pass(10_260)
    assert.equal(ended.length, 101)
    // A timer of the wheel is late by a quarter of a second at most.
    const parts = new Set(ended.map((at) => Math.floor((at - begin) / 1000)))
    assert.ok(parts.size >= 19, `in ${parts.size} of 20 seconds some ended`)
    assert.deepEqual([exchanges.size, wheel.size], [0, 0])
  })

  test('leaves nothing behind for those that ended by themselves', () => {
    const { exchanges, ended, add, pass, wheel } = registry()
    const all = [add(), add(), add()]
    exchanges.drain(5_000)
    for (const exchange of all) exchanges.delete(exchange)
    assert.equal(wheel.size, 0)
    pass(6_000)
    assert.deepEqual(ended, [])
  })
})
