import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { describe, test } from 'node:test'
import { ListeningSockets } from './listening-sockets.ts'
import { lockPort } from './port-lock.ts'
import type { SocketNeed } from './socket-needs.ts'

const need = (
  port: number,
  host = '127.0.0.1',
  setting: SocketNeed['setting'] = 'listen',
): SocketNeed => ({
  key: `${setting} ${host}:${port}`,
  setting,
  host,
  port,
})

/** A port that was free a moment ago. */
function freePort(): number {
  const socket = new net.BoundSocket({ host: '127.0.0.1', port: 0 })
  const { port } = socket.address()
  socket.close()
  return port
}

async function withSockets(run: (sockets: ListeningSockets) => Promise<void>): Promise<void> {
  const sockets = new ListeningSockets(3)
  try {
    await run(sockets)
  } finally {
    sockets.close()
  }
}

async function listenOn(fd: number): Promise<net.Server> {
  const server = net.createServer((socket) => socket.end()).listen({ fd })
  await once(server, 'listening')
  return server
}

describe('listening sockets', () => {
  test('one socket per thread on the same port, one for the admin API', () =>
    withSockets(async (sockets) => {
      const needs = [need(0), need(0, '127.0.0.1', 'admin')]
      await sockets.hold(needs)
      const [listener, admin] = sockets.select(needs)
      assert.equal(new Set(listener!.descriptors.map((it) => it.fd())).size, 3)
      assert.ok(listener!.port > 0)
      assert.equal(admin!.descriptors.length, 1)
      await sockets.hold(needs)
      assert.equal(sockets.select(needs)[0], listener)
    }))

  test('a name is looked up', () =>
    withSockets(async (sockets) => {
      await sockets.hold([need(0, 'localhost')])
      assert.ok(sockets.select([need(0, 'localhost')])[0]!.port > 0)
    }))

  test('a port on which anyone listens is refused, even if he would share it; nothing else is kept', () =>
    withSockets(async (sockets) => {
      const other = net.createServer().listen({ host: '127.0.0.1', port: 0, reusePort: true })
      await once(other, 'listening')
      const { port } = other.address() as net.AddressInfo
      await assert.rejects(sockets.hold([need(0), need(port)]), {
        name: 'ListenError',
        message: new RegExp(
          `^listen 127\\.0\\.0\\.1:${port}: port ${port} is already in use\\. Stop`,
        ),
      })
      assert.deepEqual(sockets.select([need(0), need(port)]), [])
      other.close()
    }))

  test('while one gateway starts on a port, another cannot, though nobody listens yet', () =>
    withSockets(async (first) => {
      const port = freePort()
      await first.hold([need(port)])
      await withSockets(async (second) => {
        await assert.rejects(second.hold([need(port)]), /another gateway is starting on port/)
        const server = await listenOn(first.select([need(port)])[0]!.descriptors[0]!.fd())
        first.announceListening()
        await assert.rejects(second.hold([need(port)]), /is already in use/)
        server.close()
      })
    }))

  test('a gateway that failed to start leaves its ports to others', () =>
    withSockets(async (first) => {
      const port = freePort()
      await assert.rejects(
        first.hold([need(port), need(1, '203.0.113.1')]),
        /no address 203\.0\.113\.1/,
      )
      await withSockets((second) => second.hold([need(port)]))
    }))

  test('what is not needed any more is closed', () =>
    withSockets(async (sockets) => {
      const port = freePort()
      await sockets.hold([need(port), need(0)])
      sockets.announceListening()
      sockets.retain([need(0)])
      assert.equal(sockets.select([need(port)]).length, 0)
      const again = new net.BoundSocket({ host: '127.0.0.1', port })
      again.close()
    }))

  test('handed-over sockets are used for every thread, and only where they fit', async () => {
    const bound = new net.BoundSocket({ host: '127.0.0.1', port: 0 })
    const { port } = bound.address()
    const stray = { host: '127.0.0.1', port: 9, fd: () => -1, close: () => {} }
    const handed = { host: '127.0.0.1', port, fd: () => bound.fd(), close: () => bound.close() }
    const sockets = new ListeningSockets(2, [stray, handed])
    await sockets.hold([need(port)])
    const [held] = sockets.select([need(port)])
    assert.deepEqual(held!.descriptors, [handed, handed])
    assert.deepEqual(sockets.closeUnasked(), ['127.0.0.1:9'])
    sockets.close()
    assert.throws(() => bound.address(), { code: 'ERR_SOCKET_HANDLE_ADOPTED' })
  })
})

test("the lock of a port is one process's at a time", () => {
  const port = freePort()
  const lock = lockPort(port)
  assert.notEqual(lock, null)
  assert.equal(lockPort(port), null)
  lock!.release()
  const again = lockPort(port)
  assert.notEqual(again, null)
  again!.release()
})
