// A gateway inside a program: what `createGateway` promises about its listeners and about its end.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { createServer } from 'node:net'
import { describe, test } from 'node:test'
import { createGateway } from '../../src/gateway/gateway.ts'
import { eventually } from '../support/changes.ts'
import { GET, HOST } from '../support/faults.ts'
import { RawClient } from '../support/raw-client.ts'

const QUIET = { admin: false, log: { level: 'error' } } as const

function listener(host: string, targetBytes: string) {
  return { url: `http://${host}:0`, limits: { targetBytes } }
}

const routes = [{ path: '/*', respond: { status: 200, body: 'ok' } }] as const

describe('another configuration', () => {
  const narrow = listener('127.0.0.1', '1kb')
  const wide = listener('127.0.0.2', '4kb')

  test('that lists the listeners in another order gives each its own settings', async (t) => {
    const gateway = await createGateway({ ...QUIET, listen: [narrow, wide], routes } as never)
    t.after(() => gateway.close())
    await gateway.start()
    const statuses = async (): Promise<number[]> => {
      const found: number[] = []
      for (const [index, { port }] of gateway.addresses.entries()) {
        const host = index === 0 ? '127.0.0.1' : '127.0.0.2'
        const client = await RawClient.connect(port, { host })
        found.push(
          (await client.exchange(`GET /${'x'.repeat(2000)} HTTP/1.1\r\n${HOST}\r\n`)).status,
        )
        client.end()
      }
      return found
    }
    assert.deepEqual(await statuses(), [414, 200])
    await gateway.apply({ ...QUIET, listen: [wide, narrow], routes } as never)
    assert.deepEqual(await statuses(), [414, 200])
  })

  test('may name a service that was not there before', async (t) => {
    const service = createHttpServer((_, response) => response.end('new'))
    service.listen(0, '127.0.0.1')
    await once(service, 'listening')
    t.after(() => service.close())
    const gateway = await createGateway({ ...QUIET, listen: narrow, routes } as never)
    t.after(() => gateway.close())
    await gateway.start()
    const { port } = service.address() as { port: number }
    const services = { added: `http://127.0.0.1:${port}` }
    const to = [{ path: '/*', to: 'added' }]
    await gateway.apply({ ...QUIET, listen: narrow, services, routes: to } as never)
    const client = await RawClient.connect(gateway.addresses[0]!.port)
    assert.equal((await client.exchange(GET)).status, 200)
    client.end()
  })

  test('that listens elsewhere is refused, and the old one runs on', async (t) => {
    const gateway = await createGateway({ ...QUIET, listen: narrow, routes } as never)
    t.after(() => gateway.close())
    await gateway.start()
    await assert.rejects(
      gateway.apply({ ...QUIET, listen: wide, routes } as never),
      /cannot change its addresses.*127\.0\.0\.1.*127\.0\.0\.2/,
    )
    const client = await RawClient.connect(gateway.addresses[0]!.port)
    assert.equal((await client.exchange(GET)).status, 200)
    client.end()
  })
})

test('closing ends connections to a service that are still being made', async (t) => {
  // Takes connections and never ends a handshake.
  const stalled = createServer({ allowHalfOpen: true })
  stalled.listen(0, '127.0.0.1')
  await once(stalled, 'listening')
  t.after(() => stalled.close())
  const { port } = stalled.address() as { port: number }
  const gateway = await createGateway({
    ...QUIET,
    listen: 'http://127.0.0.1:0',
    services: { s: { url: `https://127.0.0.1:${port}`, timeouts: { connect: '60s' } } },
    routes: [{ path: '/*', to: 's' }],
  } as never)
  await gateway.start()
  const accepted = once(stalled, 'connection')
  const client = await RawClient.connect(gateway.addresses[0]!.port)
  client.send(GET)
  const [socket] = await accepted
  socket.resume()
  const ended = once(socket, 'close')
  socket.on('end', () => socket.end())
  await gateway.close()
  await ended
  await client.closed()
  await eventually(
    () => gateway.stats().timers === 0,
    () => 'its timers to end',
  )
})
