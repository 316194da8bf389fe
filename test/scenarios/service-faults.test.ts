// What services do wrong, on real sockets: the client gets the right answer with its code, Proxy-Status
// names the reason, no order is placed twice, and afterwards nothing is left.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ErrorCode } from '../../src/errors.ts'
import {
  assertAlive,
  assertFailure,
  closedPort,
  FAIL_GET,
  FAIL_POST,
  failing,
  GET,
  gatewayBefore,
  NO_RETRY,
  ORDER,
} from '../support/faults.ts'
import { pair } from '../support/gateway.ts'
import { answersOk, RecordingUpstream, type Script } from '../support/recording-upstream.ts'
import { SilentPort } from '../support/silent-port.ts'

const OK = 'HTTP/1.1 200 OK\r\n'

describe('connecting', () => {
  test('refused', async (t) => {
    const { gateway, client } = await gatewayBefore(t, {
      url: `http://127.0.0.1:${await closedPort()}`,
    })
    assertFailure(await client.exchange(GET), 'connect_refused')
    assertFailure(await client.exchange(ORDER), 'connect_refused')
    client.end()
    await gateway.idle()
  })

  test('refused by one endpoint: another takes the request, orders too, for nothing was sent', async (t) => {
    const upstream = await RecordingUpstream.start(answersOk)
    t.after(() => upstream.close())
    const endpoints = [`http://127.0.0.1:${await closedPort()}`, upstream.url]
    const { gateway, client } = await gatewayBefore(t, { endpoints })
    for (let i = 0; i < 4; i++) {
      assert.equal((await client.exchange(GET)).text, 'ok')
      assert.equal((await client.exchange(ORDER)).text, 'ok')
    }
    client.end()
    await gateway.idle()
  })

  test('never answered', async (t) => {
    const silent = await SilentPort.open()
    t.after(() => silent.close())
    const service = { url: `http://127.0.0.1:${silent.port}`, timeouts: { connect: '200ms' } }
    const { gateway, client } = await gatewayBefore(t, { ...service, ...NO_RETRY })
    assertFailure(await client.exchange(GET), 'connect_timeout')
    client.end()
    await gateway.idle()
  })

  test('a client that leaves while its connection is being made', async (t) => {
    const silent = await SilentPort.open()
    t.after(() => silent.close())
    const service = { url: `http://127.0.0.1:${silent.port}`, timeouts: { connect: '500ms' } }
    const { gateway, client } = await gatewayBefore(t, { ...service, ...NO_RETRY })
    client.send(GET)
    client.reset()
    await gateway.idle()
  })
})

test('a gateway that is its own service notices, and nothing is left of the circle', async (t) => {
  const port = await closedPort()
  const url = `http://127.0.0.1:${port}`
  const service = { url, connections: { idle: '100ms' } }
  const { gateway, client } = await gatewayBefore(t, service, { listen: url })
  assertFailure(await client.exchange(GET), 'loop_detected')
  client.end()
  await gateway.idle()
})

describe('before the head', () => {
  for (const [name, code, fail] of [
    ['an end', 'upstream_closed', (connection) => connection.end()],
    ['a reset', 'upstream_reset', (connection) => connection.reset()],
    [
      'an end within the head',
      'upstream_closed',
      async (connection) => {
        await connection.send(`${OK}Content-L`)
        connection.end()
      },
    ],
    [
      'garbage',
      'upstream_invalid',
      (connection) => connection.send('\0\x01\x02\xff garbage\r\n\r\n'),
    ],
  ] as [string, ErrorCode, Script][]) {
    test(name, async (t) => {
      const made = await pair(t, failing(fail), NO_RETRY)
      assertFailure(await made.client.exchange(FAIL_GET), code)
      assertFailure(await made.client.exchange(FAIL_POST), code)
      await assertAlive(made)
    })
  }

  test('a stall', async (t) => {
    const service = { ...NO_RETRY, timeouts: { response: '400ms' } }
    const made = await pair(
      t,
      failing(() => {}),
      service,
    )
    assertFailure(await made.client.exchange(FAIL_GET), 'upstream_timeout')
    assert.notEqual(await made.upstream.connections[0]!.closed(), 'open')
    await assertAlive(made)
  })

  test('a stall within the head', async (t) => {
    const service = { ...NO_RETRY, timeouts: { response: '400ms' } }
    const made = await pair(
      t,
      failing((connection) => connection.send(`${OK}Content-`)),
      service,
    )
    assertFailure(await made.client.exchange(FAIL_GET), 'upstream_timeout')
    await assertAlive(made)
  })

  test('the bound of an exchange ends with it', async (t) => {
    const made = await pair(
      t,
      failing((connection) => connection.reset()),
      {
        ...NO_RETRY,
        timeouts: { exchange: '2m', response: '2m' },
      },
    )
    assertFailure(await made.client.exchange(FAIL_GET), 'upstream_reset')
    assertFailure(await made.client.exchange(FAIL_POST), 'upstream_reset')
    await assertAlive(made)
  })

  test('an exchange that takes longer than it may', async (t) => {
    const service = { timeouts: { exchange: '400ms' } }
    const made = await pair(
      t,
      failing(() => {}),
      service,
    )
    assertFailure(await made.client.exchange(FAIL_GET), 'exchange_timeout')
    await assertAlive(made)
  })
})

describe('within the body', () => {
  for (const [name, fail] of [
    [
      'an end within a length',
      async (connection) => {
        await connection.send(`${OK}Content-Length: 100\r\n\r\npart`)
        connection.end()
      },
    ],
    [
      'a reset within a length',
      async (connection) => {
        await connection.send(`${OK}Content-Length: 100\r\n\r\npart`)
        connection.reset()
      },
    ],
    [
      'an end within chunks',
      async (connection) => {
        await connection.send(`${OK}Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n`)
        connection.end()
      },
    ],
    [
      'a reset within chunks',
      async (connection) => {
        await connection.send(`${OK}Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n`)
        connection.reset()
      },
    ],
    [
      'garbage in the place of a chunk',
      async (connection) => {
        await connection.send(`${OK}Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\nrubbish\r\n`)
      },
    ],
    [
      'a stall',
      async (connection) => {
        await connection.send(`${OK}Content-Length: 100\r\n\r\npart`)
      },
    ],
    [
      'a reset of a body without a length',
      async (connection) => {
        await connection.send(`${OK}\r\npart`)
        connection.reset()
      },
    ],
  ] as [string, Script][]) {
    test(`${name} cuts the client off, and never ends its answer properly`, async (t) => {
      const begun = Promise.withResolvers<void>()
      const made = await pair(
        t,
        failing(async (connection) => {
          // The part is with the client before the rest goes wrong, so that no 502 is possible.
          const send = connection.send.bind(connection)
          connection.send = async (bytes) => {
            await send(bytes)
            await begun.promise
          }
          await fail(connection)
        }),
        { ...NO_RETRY, timeouts: { idle: '200ms' } },
      )
      made.client.send(FAIL_GET)
      if (name.startsWith('garbage')) begun.resolve()
      else {
        await made.client.receives('part')
        begun.resolve()
      }
      assert.notEqual(await made.client.closed(), 'open')
      const text = made.client.received.toString('latin1')
      assert.doesNotMatch(text, /\r\n0\r\n/)
      await made.gateway.idle()
      const next = await made.gateway.connect()
      assert.equal((await next.exchange(GET)).text, 'ok')
    })
  }
})
