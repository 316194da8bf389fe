import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { answer, testExchange } from '../../proxy/pipeline/exchange.test-support.ts'
import { hooksOf, refusals, testEnvironment } from '../policy.test-support.ts'
import { requestId } from './request-id.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

describe('request-id', () => {
  test('gives each request an id of its own, forwards it and returns it', () => {
    const hooks = hooksOf(requestId, {})
    const ids = new Set<string>()
    for (let count = 0; count < 100; count++) {
      const exchange = testExchange()
      hooks.onRequest!(exchange)
      const id = exchange.requestId!
      assert.match(id, UUID)
      assert.equal(exchange.requestHeader('x-request-id'), id)
      answer(exchange, 200, ['X-Request-Id: of-the-service'])
      hooks.onResponse!(exchange)
      assert.equal(exchange.responseHeader('x-request-id'), id)
      ids.add(id)
    }
    assert.equal(ids.size, 100)
  })

  test('takes the time of the id from the clock', () => {
    const environment = testEnvironment()
    const exchange = testExchange()
    hooksOf(requestId, {}, environment).onRequest!(exchange)
    const ms = Number.parseInt(exchange.requestId!.replace('-', '').slice(0, 12), 16)
    assert.equal(ms, environment.clock.wallTime())
  })

  test('replaces what a client sends, unless it is told to trust', () => {
    const exchange = testExchange({ fields: ['X-Request-Id: mine'] })
    hooksOf(requestId, {}).onRequest!(exchange)
    assert.match(exchange.requestHeader('x-request-id')!, UUID)
    const trusted = testExchange({ fields: ['X-Request-Id: mine.1-~+/=:@_Z'] })
    hooksOf(requestId, { trust: true }).onRequest!(trusted)
    assert.equal(trusted.requestId, 'mine.1-~+/=:@_Z')
    assert.equal(trusted.requestHeader('x-request-id'), 'mine.1-~+/=:@_Z')
  })

  for (const fields of [
    ['X-Request-Id: two words'],
    ['X-Request-Id: one', 'X-Request-Id: two'],
    ['X-Request-Id: "quoted"'],
    ['X-Request-Id: a{b}'],
    ['X-Request-Id: caf\xe9'],
    ['X-Request-Id: a\tb'],
    ['X-Request-Id:'],
    [`X-Request-Id: ${'a'.repeat(129)}`],
  ]) {
    test(`trusts no id like ${JSON.stringify(fields).slice(0, 50)}`, () => {
      const exchange = testExchange({ fields })
      hooksOf(requestId, { trust: true }).onRequest!(exchange)
      assert.match(exchange.requestHeader('x-request-id')!, UUID)
    })
  }

  test('uses another header and form when asked to, and keeps the id from the client', () => {
    const hooks = hooksOf(requestId, { header: 'X-Trace', format: 'hex', respond: false })
    const exchange = testExchange()
    hooks.onRequest!(exchange)
    assert.match(exchange.requestHeader('x-trace')!, /^[0-9a-f]{32}$/)
    assert.equal(hooks.onResponse, undefined)
  })

  test('refuses headers that are not its to write', () => {
    for (const header of ['Content-Length', 'host', 'x-forwarded-for', 'no name']) {
      assert.equal(refusals(requestId, { header }).length, 1, header)
    }
  })
})
