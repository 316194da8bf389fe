import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { OutboundFailure, OutboundRequests, outboundUrlProblem } from './outbound-request.ts'

const BOUNDS = {
  timeoutMs: 20_000,
  bodyBytesMax: 1_000,
  concurrencyMax: 4,
  queueMax: 4,
  allowHttp: false,
}

async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

function get(url: string) {
  return { url, method: 'GET', headers: {}, isRepeatable: false } as const
}

function failsWith(reason: string) {
  return (error: unknown): boolean => error instanceof OutboundFailure && error.reason === reason
}

describe('a call', () => {
  test('sends what it is told and brings the whole answer', async (t) => {
    const url = await serve(t, (request: IncomingMessage, response: ServerResponse) => {
      let body = ''
      request.on('data', (data) => {
        body += data
      })
      request.on('end', () => {
        response.writeHead(207, { 'x-a': request.headers['x-a'] ?? '' })
        response.end(`${request.method} ${body}`)
      })
    })
    const answer = await new OutboundRequests(BOUNDS).send({
      url,
      method: 'POST',
      headers: { 'x-a': 'b' },
      body: 'form',
      isRepeatable: false,
    })
    assert.equal(answer.status, 207)
    assert.equal(answer.headers.get('x-a'), 'b')
    assert.equal(answer.body.toString(), 'POST form')
  })

  test('follows no redirect', async (t) => {
    const url = await serve(t, (_, response) => response.writeHead(302, { location: '/b' }).end())
    const { status, headers } = await new OutboundRequests(BOUNDS).send(get(url))
    assert.equal(status, 302)
    assert.equal(headers.get('location'), '/b')
  })

  test('takes no more than it may, however small it came', async (t) => {
    const bomb = gzipSync(Buffer.alloc(1_001))
    const url = await serve(t, (request, response) => {
      if (request.url === '/bomb') {
        response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb)
      } else response.end(Buffer.alloc(1_000))
    })
    const requests = new OutboundRequests(BOUNDS)
    assert.equal((await requests.send(get(url))).body.length, 1_000)
    await assert.rejects(requests.send(get(`${url}bomb`)), failsWith('too_large'))
  })

  test('ends in time, and when its maker goes', async (t) => {
    let arrived = (): void => {}
    const url = await serve(t, () => arrived())
    const hasty = new OutboundRequests({ ...BOUNDS, timeoutMs: 30 })
    await assert.rejects(hasty.send(get(url)), failsWith('timeout'))
    const requests = new OutboundRequests(BOUNDS)
    const call = requests.send(get(url))
    await new Promise<void>((resolve) => {
      arrived = resolve
    })
    requests.dispose()
    await assert.rejects(call, failsWith('closed'))
    await assert.rejects(requests.send(get(url)), failsWith('closed'))
  })

  test('is repeated once where it may be, if its connection had died', async (t) => {
    let count = 0
    const url = await serve(t, (request, response) => {
      if (++count % 2 === 1) request.socket.destroy()
      else response.end('late')
    })
    const requests = new OutboundRequests(BOUNDS)
    await assert.rejects(requests.send(get(url)), failsWith('unreachable'))
    count = 0
    const { body } = await requests.send({ ...get(url), isRepeatable: true })
    assert.equal(body.toString(), 'late')
  })

  test('tells nothing of what it sent when it fails', async () => {
    const requests = new OutboundRequests(BOUNDS)
    const call = requests.send({
      ...get('http://127.0.0.1:1/?secret=1'),
      headers: { authorization: 'secret\n' },
    })
    await assert.rejects(call, (error: Error) => !/secret/.test(`${error.message}${error.stack}`))
  })
})

test('calls wait for a free place in their order, no more than may wait, and no longer', async (t) => {
  const held: ServerResponse[] = []
  let order = ''
  let notify = (): void => {}
  const url = await serve(t, (request, response) => {
    order += request.url
    held.push(response)
    notify()
  })
  const requests = new OutboundRequests({ ...BOUNDS, concurrencyMax: 1, queueMax: 2 })
  const first = requests.send(get(`${url}1`))
  const second = requests.send(get(`${url}2`))
  const third = requests.send(get(`${url}3`))
  await assert.rejects(requests.send(get(`${url}4`)), failsWith('overloaded'))
  for (const call of [first, second, third]) {
    while (held.length === 0) {
      await new Promise<void>((resolve) => {
        notify = resolve
      })
    }
    held.shift()!.end()
    await call
  }
  assert.equal(order, '/1/2/3')

  const hasty = new OutboundRequests({ ...BOUNDS, concurrencyMax: 1, queueMax: 1, timeoutMs: 50 })
  const calls = await Promise.allSettled([hasty.send(get(url)), hasty.send(get(url))])
  for (const call of calls) {
    assert.ok(call.status === 'rejected' && failsWith('timeout')(call.reason))
  }
  const next = hasty.send(get(url)).catch((error: OutboundFailure) => error.reason)
  assert.equal(await next, 'timeout', 'the places of those who gave up are free')
})

test('clear text stays on this machine unless it was allowed', async () => {
  assert.match(outboundUrlProblem('http://auth.example/', false)!, /clear text/)
  assert.equal(outboundUrlProblem('http://auth.example/', true), null)
  assert.equal(outboundUrlProblem('https://auth.example/', false), null)
  assert.equal(outboundUrlProblem('http://127.0.0.1:99/', false), null)
  assert.match(outboundUrlProblem('http://127.0.0.1.example/', false)!, /clear text/)
  assert.match(outboundUrlProblem('https://a/#b', true)!, /fragment/)
  assert.match(outboundUrlProblem('//auth', true)!, /expected a URL/)
  const requests = new OutboundRequests(BOUNDS)
  await assert.rejects(requests.send(get('http://auth.example/')), failsWith('insecure'))
})
