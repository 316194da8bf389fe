// Reloads under load, as `npm run reloads` measures them, in small: no request fails, no WebSocket on a
// route that stays ends, and nothing of the configurations that were is left.
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { queryObjects } from 'node:v8'
import { configuration, moduleText } from '../../bench/reloads/configurations.ts'
import { Subject } from '../../bench/reloads/subject.ts'
import { OpenLoop, portOf, startService, WebSockets } from '../../bench/reloads/traffic.ts'
import { Snapshot } from '../../src/config/snapshot.ts'
import { createGateway } from '../../src/gateway/gateway.ts'
import { eventually } from '../support/changes.ts'

const SOCKETS = 50

/** The port of the service behind everything. */
async function service(t: TestContext): Promise<number> {
  const server = await startService()
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return portOf(server)
}

/** What goes on during the reloads, and what must be true afterwards. */
async function underLoad(port: number, reloads: () => Promise<void>): Promise<WebSockets> {
  const sockets = await WebSockets.open(port, SOCKETS)
  const load = new OpenLoop(port)
  await reloads()
  await sockets.useAll()
  await load.stop()
  assert.deepEqual(load.failures, [])
  assert.ok(load.done > 0)
  assert.deepEqual([sockets.closed, sockets.lost], [0, 0])
  return sockets
}

describe('reloads under load', () => {
  for (const [name, count] of [
    ['gatehouse.yaml', 40],
    ['gatehouse.config.ts', 2],
  ] as const) {
    test(`of ${name} lose no request and no WebSocket, and leave nothing open`, async (t) => {
      const to = await service(t)
      const text = (turn: number): string => {
        const settings = configuration(to, turn)
        return name.endsWith('.ts') ? moduleText(settings, turn) : JSON.stringify(settings)
      }
      const subject = new Subject(name, text(0))
      t.after(() => subject.stop())
      await subject.ready()
      const { pid } = subject
      const sockets = await underLoad(subject.port, async () => {
        for (let turn = 1; turn <= count; turn++) {
          await subject.reload(text(turn), turn % 10 === 1 ? 'file' : 'signal')
        }
      })
      sockets.destroy()
      assert.equal(subject.pid, pid)
      assert.deepEqual(
        subject.said.filter((line) => line.includes('refused')),
        [],
      )
    })
  }

  test('leave one snapshot, and no timer but those of connections', async (t) => {
    const to = await service(t)
    const settings = (turn: number) => ({ ...configuration(to, turn), admin: false }) as never
    const gateway = await createGateway(settings(0))
    await gateway.start()
    t.after(() => gateway.close())
    const sockets = await underLoad(gateway.addresses[0]!.port, async () => {
      for (let turn = 1; turn <= 50; turn++) await gateway.apply(settings(turn))
    })
    assert.equal(queryObjects(Snapshot, { format: 'count' }), 1)
    assert.equal(gateway.stats().longLived, SOCKETS)
    sockets.destroy()
    await eventually(
      () => {
        const { clientConnections, exchanges, timers, upstreamConnections } = gateway.stats()
        return clientConnections === 0 && exchanges === 0 && timers === upstreamConnections
      },
      () => `nothing to be left: ${JSON.stringify(gateway.stats())}`,
    )
  })
})
