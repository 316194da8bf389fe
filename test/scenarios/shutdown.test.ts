// The end of `gatehouse run` as clients and load balancers see it: real processes, signals and sockets.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'
import {
  fetchText,
  Load,
  RunningGateway,
  type RunSettings,
} from '../../src/control/process/running-gateway.test-support.ts'
import { eventually } from '../support/changes.ts'
import { HOST } from '../support/faults.ts'
import { PooledClient } from '../support/pooled-client.ts'
import { RawClient } from '../support/raw-client.ts'

async function withGateway(
  configuration: string,
  run: (gateway: RunningGateway) => Promise<void>,
  settings: Partial<RunSettings> = {},
): Promise<void> {
  const gateway = await RunningGateway.start({
    configuration: `listen: http://127.0.0.1:0\n${configuration}`,
    threads: 2,
    isReal: true,
    ...settings,
  })
  try {
    await run(gateway)
  } finally {
    // A gateway that a failed test left in its grace time ends with the second one.
    gateway.signal('SIGTERM')
    await gateway.stop()
  }
}

/** A service, for as long as `run` takes. */
async function withService(
  answer: http.RequestListener,
  run: (url: string, server: http.Server) => Promise<void>,
): Promise<void> {
  const server = http.createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, server)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

/** What `/readyz` says: the status, and the codes of what is missing. */
async function readiness(gateway: RunningGateway): Promise<string> {
  const text = await fetchText(gateway.adminPort, '/readyz')
  const { reasons = [] } = JSON.parse(text.slice(4)) as { reasons?: { code: string }[] }
  return [text.slice(0, 3), ...reasons.map(({ code }) => code)].join(' ')
}

async function becomes(gateway: RunningGateway, wanted: string): Promise<void> {
  let said = ''
  await eventually(
    async () => {
      said = await readiness(gateway)
      return said === wanted
    },
    () => `/readyz to say ${wanted}; it says ${said}`,
  )
}

const BODY_BYTES = 120 * 1024 * 1024
const PIECE = Buffer.alloc(1024 * 1024, 'x')

/** Reads a request to its end and says how long it was; sends as much itself. */
function exchangesBodies(request: http.IncomingMessage, response: http.ServerResponse): void {
  let received = 0
  request.on('data', (data: Buffer) => {
    received += data.length
  })
  request.on('end', () => {
    if (request.method === 'POST') response.end(String(received))
  })
  if (request.method !== 'GET') return
  response.setHeader('Content-Length', BODY_BYTES)
  let left = BODY_BYTES
  const send = (): void => {
    while (left > 0) {
      left -= PIECE.length
      if (!response.write(PIECE)) {
        response.once('drain', send)
        return
      }
    }
    response.end()
  }
  send()
}

describe('SIGTERM', () => {
  test('in the middle of uploads and downloads lets them end', () =>
    withService(exchangesBodies, (url) =>
      withGateway(
        `limits: { bodyBytes: 1gb }\nroutes: [{ path: /*, to: '${url}' }]\n`,
        async (gateway) => {
          const { port } = gateway
          const upload = http.request({
            port,
            host: '127.0.0.1',
            method: 'POST',
            agent: false,
            headers: { 'Content-Length': BODY_BYTES },
          })
          const answered = once(upload, 'response') as Promise<[http.IncomingMessage]>
          upload.write(PIECE)
          const download = http.get({ port, host: '127.0.0.1', agent: false })
          const [downloaded] = (await once(download, 'response')) as [http.IncomingMessage]
          let received = 0
          await new Promise<void>((resolve) => {
            downloaded.once('data', (data: Buffer) => {
              received += data.length
              downloaded.pause()
              resolve()
            })
          })

          gateway.signal('SIGTERM')
          await becomes(gateway, '503 draining')
          downloaded.on('data', (data: Buffer) => {
            received += data.length
          })
          const ended = once(downloaded, 'end')
          downloaded.resume()
          for (let sent = PIECE.length; sent < BODY_BYTES; sent += PIECE.length) {
            if (!upload.write(PIECE)) await once(upload, 'drain')
          }
          upload.end()
          const [answer] = await answered
          assert.equal((await once(answer.setEncoding('utf8'), 'data'))[0], String(BODY_BYTES))
          await ended
          assert.equal(received, BODY_BYTES)
          assert.equal(await gateway.exited, 0)
          assert.doesNotMatch(gateway.output, /cut off/)
        },
      ),
    ))

  test('is not noticed by a client that keeps its connections and leaves when told to', () =>
    withGateway(
      'drain: { delay: 1h }\nroutes: [{ path: /*, respond: { body: here } }]\n',
      async (gateway) => {
        const client = new PooledClient(gateway.port, 8)
        const load = new Load(8, async () => {
          assert.equal(await client.get('/'), '200 here')
        })
        let errors: unknown[] = []
        try {
          await load.more(200)
          assert.equal(await readiness(gateway), '200')
          gateway.signal('SIGTERM')
          await becomes(gateway, '503 draining')
          assert.equal(await fetchText(gateway.adminPort, '/healthz'), '200 ok\n')
          // As a load balancer that has seen it: what it sent so far is still answered.
          await load.more(100)
        } finally {
          errors = await load.stop()
          client.close()
        }
        assert.deepEqual(errors, [])
        assert.ok(client.reused > 100)
        gateway.signal('SIGTERM')
        assert.equal(await gateway.exited, 0)
      },
    ))

  test('whose grace time is not enough cuts off the rest, says so and ends with 0', () =>
    withService(
      () => {},
      (url) =>
        withGateway(
          `drain: { timeout: 200ms }\nroutes: [{ path: /*, to: '${url}' }]\n`,
          async (gateway) => {
            const client = await RawClient.connect(gateway.port)
            client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`)
            await eventually(
              async () =>
                (await fetchText(gateway.adminPort, '/metrics')).includes('gatehouse_exchanges 1'),
              () => 'the request to run',
            )
            gateway.signal('SIGTERM')
            const answer = await client.response()
            assert.equal(answer.problem.code, 'draining')
            client.end()
            assert.equal(await gateway.exited, 0)
            assert.match(gateway.output, /1 request had not ended after 0\.2 s .*cut off/)
          },
        ),
    ))

  test('a second time ends it at once; Ctrl-C waits for nobody who only keeps a connection', async () => {
    const configuration =
      'drain: { idle: 1h, timeout: 1h }\nroutes: [{ path: /*, respond: { body: here } }]\n'
    for (const signals of [['SIGTERM', 'SIGTERM'], ['SIGINT']] as const) {
      await withGateway(configuration, async (gateway) => {
        const client = await RawClient.connect(gateway.port)
        await client.exchange(`GET / HTTP/1.1\r\n${HOST}\r\n`)
        gateway.signal(signals[0])
        if (signals.length > 1) {
          await becomes(gateway, '503 draining')
          assert.equal(client.ending, 'open')
          gateway.signal(signals[0])
        }
        assert.equal(await gateway.exited, 0)
        assert.notEqual(await client.closed(), 'open')
        client.end()
      })
    }
  })
})

test('/readyz follows the endpoints of required services', () =>
  withService(
    (_, response) => response.end(),
    async (url, server) => {
      const health = 'health: { every: 100ms, unhealthy: 1, healthy: 1 }'
      const configuration = `
services:
  needed: { url: '${url}', required: true, ${health} }
  other: { url: 'http://127.0.0.1:9', ${health} }
routes: [{ path: /needed, to: needed }, { path: /other, to: other }]
`
      await withGateway(configuration, async (gateway) => {
        const { port } = server.address() as AddressInfo
        await gateway.said(/other\|127\.0\.0\.1:9 is failing/)
        assert.equal(await readiness(gateway), '200')
        server.closeAllConnections()
        server.close()
        await becomes(gateway, '503 service')
        assert.match(await fetchText(gateway.adminPort, '/readyz'), /"service":"needed"/)
        server.listen(port, '127.0.0.1')
        await becomes(gateway, '200')
      })
    },
  ))
