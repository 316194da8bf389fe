import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, test } from 'node:test'
import type { Document } from '../../config/schema.ts'
import type { AdminServer, ControlView, NotReady } from '../process/control-view.ts'
import { openAdmin } from './admin-server.ts'
import { isOwnHost } from './host-check.ts'

const document = {
  admin: { host: '127.0.0.1', port: 0 },
  services: [{ name: 'a/b', sticky: { secret: 'hunter2-hunter2' } }],
  log: { level: 'info' },
  secrets: ['/services/0/sticky/secret'],
} as unknown as Document

class View implements ControlView {
  missing: NotReady[] = []
  alive = true
  fails = false
  notReady(): readonly NotReady[] {
    return this.missing
  }
  isAlive(): boolean {
    return this.alive
  }
  document(): Document {
    return document
  }
  async metrics(): Promise<string> {
    if (this.fails) throw new Error('no numbers today')
    return 'gatehouse_requests_total 3\n'
  }
}

/** Sends bytes and returns all that comes back until the server closes. */
async function exchange(port: number, request: string): Promise<string> {
  const socket = connect(port, '127.0.0.1').setEncoding('utf8')
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  socket.write(request)
  await once(socket, 'close')
  return text
}

function get(
  admin: AdminServer,
  path: string,
  host = 'localhost',
  method = 'GET',
): Promise<string> {
  return exchange(
    admin.port,
    `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
  )
}

async function withAdmin(run: (admin: AdminServer, view: View) => Promise<void>): Promise<void> {
  const view = new View()
  const admin = await openAdmin(view, { host: '127.0.0.1', port: 0, fd: null })
  try {
    await run(admin, view)
  } finally {
    await admin.close()
  }
}

describe('admin API', () => {
  test('health, readiness and metrics', () =>
    withAdmin(async (admin, view) => {
      assert.match(await get(admin, '/healthz'), /^HTTP\/1\.1 200 [\s\S]*\r\n\r\nok\n$/)
      const ready = await get(admin, '/readyz?verbose')
      assert.match(ready, /^HTTP\/1\.1 200 [\s\S]*\r\n\r\n\{"ready":true\}\n$/)
      view.missing = [{ code: 'service', service: 'orders' }]
      const answer = await get(admin, '/readyz')
      assert.match(answer, /^HTTP\/1\.1 503 [\s\S]*Content-Type: application\/json/)
      assert.deepEqual(JSON.parse(answer.slice(answer.indexOf('{'))), {
        ready: false,
        reasons: [{ code: 'service', service: 'orders' }],
      })
      assert.match(await get(admin, '/healthz'), /^HTTP\/1\.1 200 /)
      view.alive = false
      assert.match(await get(admin, '/healthz'), /^HTTP\/1\.1 503 /)
      assert.match(
        await get(admin, '/metrics'),
        /text\/plain; version=0\.0\.4[\s\S]*gatehouse_requests_total 3\n$/,
      )
      view.fails = true
      assert.match(await get(admin, '/metrics'), /^HTTP\/1\.1 500 [\s\S]*no numbers today/)
    }))

  test('the configuration is shown without its secrets', () =>
    withAdmin(async (admin) => {
      const text = await get(admin, '/config')
      assert.doesNotMatch(text, /hunter2|"secrets"/)
      assert.match(text, /"secret": "\*\*\*"/)
      assert.match(text, /"level": "info"/)
      assert.equal(document.services[0]?.sticky?.secret, 'hunter2-hunter2')
    }))

  test('it can only be read, and says what there is', () =>
    withAdmin(async (admin) => {
      assert.match(
        await get(admin, '/config', 'localhost', 'POST'),
        /^HTTP\/1\.1 405 [\s\S]*Allow: GET, HEAD/,
      )
      assert.match(await get(admin, '/nothing'), /^HTTP\/1\.1 404 [\s\S]*\/healthz, \/readyz/)
      const head = await get(admin, '/healthz', 'localhost', 'HEAD')
      assert.match(head, /^HTTP\/1\.1 200 [\s\S]*Content-Length: 3[\s\S]*\r\n\r\n$/)
    }))

  test('a page under a rebound name gets nothing', () =>
    withAdmin(async (admin) => {
      assert.match(await get(admin, '/config', 'evil.example'), /^HTTP\/1\.1 403 /)
      assert.match(await get(admin, '/config', `127.0.0.1:${admin.port}`), /^HTTP\/1\.1 200 /)
      assert.match(await get(admin, '/config', '[::1]'), /^HTTP\/1\.1 200 /)
    }))

  test('closing ends idle connections', () =>
    withAdmin(async (admin) => {
      const socket = connect(admin.port, '127.0.0.1')
      socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n')
      await once(socket, 'data')
      const closed = once(socket, 'close')
      await admin.close()
      await closed
    }))

  test('a busy port is an error', () =>
    withAdmin(async (admin, view) => {
      await assert.rejects(openAdmin(view, { host: '127.0.0.1', port: admin.port, fd: null }), {
        code: 'EADDRINUSE',
      })
    }))
})

test('hosts that only someone at this machine, or with its address, would write', () => {
  for (const host of [
    'localhost',
    'LOCALHOST:9901',
    'gate.localhost',
    '127.0.0.1:80',
    '10.1.2.3',
    '[::1]:9901',
    'admin.internal',
  ]) {
    assert.equal(isOwnHost(host, 'admin.internal'), true, host)
  }
  for (const host of [
    undefined,
    '',
    'example.com',
    'localhost.example.com',
    '127.0.0.1.example.com',
    '[::1',
    'a:b:c',
    '1.2.3',
  ]) {
    assert.equal(isOwnHost(host, '127.0.0.1'), false, String(host))
  }
})
