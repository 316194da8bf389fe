// What fault tests share: requests that a service fails at, and the answers that must come of it.
import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import type { TestContext } from 'node:test'
import { ERRORS, type ErrorCode } from '../../src/errors.ts'
import { type Pair, type Settings, TestGateway } from './gateway.ts'
import { answersOk, type Script } from './recording-upstream.ts'
import type { WireResponse } from './strict-http.ts'

export const HOST = 'Host: shop.example\r\n'
export const GET = `GET / HTTP/1.1\r\n${HOST}\r\n`
export const ORDER = `POST /order HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\norder`

/** The answer that Gatehouse makes for a failure, in every detail that clients rely on. */
export function assertFailure(answer: WireResponse, code: ErrorCode): void {
  const { status, proxyStatus } = ERRORS[code]
  assert.equal(answer.problem.code, code)
  assert.equal(answer.status, status)
  assert.equal(answer.problem.status, status)
  assert.match(
    answer.header('proxy-status') ?? '',
    new RegExp(`^gatehouse; error=${proxyStatus}(;|$)`),
  )
  if (status === 503) assert.match(answer.header('retry-after') ?? '', /^[1-9][0-9]*$/)
}

/** The client's connection works on, and when it is gone nothing is left of it. */
export async function assertAlive({ gateway, client }: Pair, next = GET): Promise<void> {
  assert.equal((await client.exchange(next)).status, 200)
  client.end()
  assert.equal(await client.closed(), 'fin')
  await gateway.idle()
}

/** A script whose connections for one target fail, and which serves all others. */
export function failing(fail: Script): Script {
  return async (connection) => {
    await connection.head()
    if (connection.text.includes(' /fail ')) await fail(connection)
    else await answersOk(connection)
  }
}

export const FAIL_GET = `GET /fail HTTP/1.1\r\n${HOST}\r\n`
export const FAIL_POST = `POST /fail HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`
export const NO_RETRY: Settings = { retries: { attempts: 0 } }

/** A port that nobody listens on. */
export async function closedPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** A gateway in front of this service, whatever there is at its address, with a client. */
export async function gatewayBefore(t: TestContext, service: Settings, settings: Settings = {}) {
  const gateway = await TestGateway.to(service, settings)
  t.after(() => gateway.close())
  return { gateway, client: await gateway.connect() }
}
