import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  answer,
  type ExchangeParts,
  testExchange,
} from '../../proxy/pipeline/exchange.test-support.ts'
import { hooksOf, refusals, testEnvironment } from '../policy.test-support.ts'
import { accessLog } from './access-log.ts'

type Settings = Parameters<typeof hooksOf<typeof accessLog.settings>>[1]

/** The text of the lines for one exchange that ends with this status after so long. */
function linesFor(
  settings: Settings,
  parts: ExchangeParts,
  status = 200,
  durationMs = 5,
): string[] {
  const environment = testEnvironment()
  const exchange = testExchange(parts)
  answer(exchange, status)
  exchange.durationMs = durationMs
  hooksOf(accessLog, settings, environment).onFinish!(exchange)
  return environment.lines
}

function lineFor(settings: Settings, parts: ExchangeParts): Record<string, unknown> {
  return JSON.parse(linesFor(settings, parts)[0]!)
}

describe('access-log', () => {
  test('writes everything there is to know about an exchange', () => {
    const environment = testEnvironment()
    const exchange = testExchange({
      method: 'POST',
      target: '/api/orders?page=2',
      host: 'Shop.example:8080',
      scheme: 'https',
      fields: ['User-Agent: curl/8', 'Authorization: Bearer abc'],
      clientIp: '198.51.100.7',
      service: 'orders',
      consumer: { id: 'alice', groups: [], claims: null },
    })
    answer(exchange, 502)
    exchange.durationMs = 12.34567
    exchange.upstreamDurationMs = 10
    exchange.requestBytes = 5
    exchange.responseBytes = 70
    exchange.endpoint = '127.0.0.1:4002'
    exchange.attempts = 2
    exchange.requestId = 'id-1'
    exchange.errorCode = 'upstream_reset'
    exchange.errorDetail = 'said "no"'
    hooksOf(accessLog, {}, environment).onFinish!(exchange)
    assert.equal(environment.lines.length, 1)
    assert.deepEqual(JSON.parse(environment.lines[0]!), {
      level: 'info',
      time: '2026-01-01T00:00:00.123Z',
      kind: 'access',
      method: 'POST',
      scheme: 'https',
      host: 'shop.example',
      path: '/api/orders',
      protocol: 'HTTP/1.1',
      status: 502,
      durationMs: 12.346,
      upstreamMs: 10,
      requestBytes: 5,
      responseBytes: 70,
      clientIp: '198.51.100.7',
      route: 'orders',
      service: 'orders',
      endpoint: '127.0.0.1:4002',
      attempts: 2,
      requestId: 'id-1',
      error: 'upstream_reset',
      detail: 'said "no"',
      consumer: 'alice',
      userAgent: 'curl/8',
    })
    assert.ok(!environment.lines[0]!.includes('abc'))
  })

  test('leaves out what there is not', () => {
    const line = lineFor({}, {})
    for (const name of [
      'query',
      'upstreamMs',
      'service',
      'endpoint',
      'requestId',
      'error',
      'detail',
      'consumer',
      'userAgent',
      'headers',
    ]) {
      assert.ok(!(name in line), name)
    }
  })

  test('writes times of every millisecond and second as they are', () => {
    const environment = testEnvironment()
    const hooks = hooksOf(accessLog, {}, environment)
    for (const ms of [1_767_225_600_007, 1_767_225_600_999, 1_767_225_601_000, 1_767_225_599_050]) {
      const exchange = testExchange()
      Object.assign(exchange, { startedAtMs: ms })
      hooks.onFinish!(exchange)
      assert.equal(JSON.parse(environment.lines.pop()!).time, new Date(ms).toISOString())
    }
  })

  test('cannot be broken out of, and stays ASCII', () => {
    const nasty = '"},{"level":"error"\\ \xff\xe9'
    const parts = { fields: [`User-Agent: ${nasty}`, `X-Mark: ${nasty}`] }
    const [line] = linesFor({ headers: ['x-mark'] }, parts)
    assert.match(line!, /^[\x20-\x7e]*$/)
    const read = JSON.parse(line!)
    assert.equal(read.userAgent, nasty)
    assert.equal(read.headers['x-mark'], nasty)
    assert.equal(read.level, 'info')
  })

  test('bounds what a client can make it write', () => {
    const [line] = linesFor({}, { fields: [`User-Agent: ${'x'.repeat(50_000)}`] })
    assert.ok(line!.length < 6_000)
  })
})

describe('the query in the access log', () => {
  for (const [query, written] of [
    ['page=2&sort=name', 'page=2&sort=name'],
    ['access_token=abc&page=2', 'access_token=***&page=2'],
    ['a=1&ApiKey=abc&b=2', 'a=1&ApiKey=***&b=2'],
    ['X-Amz-Signature=abc&code=xyz&state=ok', 'X-Amz-Signature=***&code=***&state=ok'],
    ['%74oken=abc', '%74oken=***'],
    ['new-password=abc&flag&=x', 'new-password=***&flag&=x'],
    ['%zz=abc', '%zz=***'],
    ['flag&token', 'flag&token'],
    ['a=b=token=c', 'a=b=token=c'],
    ['&&', '&&'],
  ] as const) {
    test(`${query} is ${written}`, () => {
      // A percent sign that the engine refuses may still come through a Referer.
      const referer = lineFor(
        { headers: ['Referer'] },
        { fields: [`Referer: https://x/y?${query}`] },
      )
      assert.deepEqual(referer.headers, { referer: `https://x/y?${written}` })
      if (query.includes('%zz')) return
      assert.equal(lineFor({ query: true }, { target: `/?${query}` }).query, written)
      assert.ok(!('query' in lineFor({}, { target: `/?${query}` })))
    })
  }
})

describe('which exchanges are written', () => {
  for (const [settings, status, durationMs, count] of [
    [{ statuses: ['5xx', 404] }, 503, 1, 1],
    [{ statuses: ['5xx', 404] }, 404, 1, 1],
    [{ statuses: ['5xx', 404] }, 403, 1, 0],
    [{ slowerThan: '1s' }, 200, 999, 0],
    [{ slowerThan: '1s' }, 200, 1_000, 1],
    [{ statuses: ['5xx'], slowerThan: '1s' }, 200, 2_000, 1],
    [{ statuses: ['5xx'], slowerThan: '1s' }, 500, 1, 1],
    [{ statuses: ['5xx'], slowerThan: '1s' }, 200, 1, 0],
    [{ sample: 0 }, 200, 1, 0],
    [{ sample: 0, statuses: ['2xx'] }, 200, 1, 0],
  ] as const) {
    test(`${JSON.stringify(settings)}: ${status} after ${durationMs} ms, ${count}`, () => {
      const { statuses, ...rest } = settings as { statuses?: readonly (string | number)[] }
      const given = { ...rest, ...(statuses && { statuses: [...statuses] }) }
      assert.equal(linesFor(given, {}, status, durationMs).length, count)
    })
  }

  test('a share of them, by chance', (context) => {
    const environment = testEnvironment()
    const hooks = hooksOf(accessLog, { sample: 0.25 }, environment)
    const drawn = [0, 0.1, 0.2499, 0.25, 0.5, 0.9999]
    context.mock.method(Math, 'random', () => drawn.shift())
    for (let count = 0; count < 6; count++) hooks.onFinish!(testExchange())
    assert.equal(environment.lines.length, 3)
  })
})

describe('settings of the access log that are refused', () => {
  for (const name of [
    'Authorization',
    'cookie',
    'Set-Cookie',
    'Proxy-Authorization',
    'X-Api-Key',
    'x-auth-token',
    'X_API_KEY',
    'x-csrf-token',
    'x-session-id',
  ]) {
    test(`the header ${name}`, () => {
      assert.match(refusals(accessLog, { headers: [name] })[0]!, /^headers\.0: .*secrets/)
    })
  }

  test('shares and statuses that do not exist', () => {
    assert.match(refusals(accessLog, { sample: 2 })[0]!, /^sample:/)
    assert.match(
      refusals(accessLog, { statuses: ['6xx'] })[0]!,
      /^statuses\.0: expected a status like 404/,
    )
    assert.match(refusals(accessLog, { statuses: [42] })[0]!, /^statuses\.0: expected a status/)
    assert.match(refusals(accessLog, { slowerThan: 5 })[0]!, /^slowerThan: expected a duration/)
  })
})
