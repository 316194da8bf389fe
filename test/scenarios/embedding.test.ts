// A gateway inside a program: what `createGateway` promises about its listeners and about its end.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { createGateway } from '../../src/gateway/gateway.ts'
import { eventually } from '../support/changes.ts'
import { GET, HOST } from '../support/faults.ts'
import { RawClient } from '../support/raw-client.ts'
import { TestFolder } from '../support/tls.ts'

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

  /** A service whose endpoints are waited for, in vain and for a while. */
  function unfound(t: TestContext) {
    const folder = new TestFolder(t)
    const sign = join(folder.path, 'begun')
    const module = folder.write(
      'never.mjs',
      `import { writeFileSync } from 'node:fs'
import { z } from '${import.meta.resolve('zod')}'
export default {
  settings: z.strictObject({}),
  watch() { writeFileSync(${JSON.stringify(sign)}, '') },
}
`,
    )
    const begun = () =>
      eventually(
        () => existsSync(sign),
        () => 'the module to run',
      )
    return { discover: { module }, begun }
  }

  async function countingService(t: TestContext) {
    let requests = 0
    const service = createHttpServer((_, response) => {
      requests++
      response.end('new')
    })
    service.listen(0, '127.0.0.1')
    await once(service, 'listening')
    t.after(() => service.close())
    const { port } = service.address() as { port: number }
    return { port, url: `http://127.0.0.1:${port}`, requests: () => requests }
  }

  test('that came last stays, however long one before it takes', async (t) => {
    const { url } = await countingService(t)
    const gateway = await createGateway({ ...QUIET, listen: narrow, routes } as never)
    t.after(() => gateway.close())
    await gateway.start()
    const to = [{ path: '/*', to: 's' }]
    await Promise.all([
      gateway.apply({
        ...QUIET,
        listen: narrow,
        services: { s: { discover: unfound(t).discover } },
        routes: to,
      } as never),
      gateway.apply({ ...QUIET, listen: narrow, services: { s: url }, routes: to } as never),
    ])
    const client = await RawClient.connect(gateway.addresses[0]!.port)
    assert.equal((await client.exchange(GET)).status, 200)
    client.end()
  })

  test('that is on its way when the gateway is closed begins nothing', async (t) => {
    const { port, url, requests } = await countingService(t)
    const gateway = await createGateway({ ...QUIET, listen: narrow, routes } as never)
    await gateway.start()
    const { discover, begun } = unfound(t)
    const services = { never: { discover }, s: { url, health: { path: '/health' } } }
    const both = ['never', 's'].map((name) => ({ path: `/${name}`, to: name }))
    const applying = assert.rejects(
      gateway.apply({ ...QUIET, listen: narrow, services, routes: both } as never),
      /the gateway is closed/,
    )
    await begun()
    await gateway.close()
    await applying
    // A check that had begun would have come before this.
    assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 200)
    assert.equal(requests(), 1)
  })

  test('may name a service that was not there before', async (t) => {
    const { url } = await countingService(t)
    const gateway = await createGateway({ ...QUIET, listen: narrow, routes } as never)
    t.after(() => gateway.close())
    await gateway.start()
    const services = { added: url }
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
