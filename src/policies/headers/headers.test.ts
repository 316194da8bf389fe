import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { answer, testExchange } from '../../proxy/pipeline/exchange.test-support.ts'
import { hooksOf, refusals } from '../policy.test-support.ts'
import { headers } from './headers.ts'

describe('headers', () => {
  test('sets, adds and removes in the request', () => {
    const hooks = hooksOf(headers, {
      request: {
        set: { 'X-Client': '${client.ip}', 'x-fixed': 'one' },
        add: { 'x-tag': ['a', '${request.host}'], accept: 'text/plain' },
        remove: ['X-Debug'],
      },
    })
    const exchange = testExchange({
      fields: ['x-client: forged', 'X-Client: twice', 'x-debug: 1', 'Accept: text/html'],
    })
    hooks.onRequest!(exchange)
    assert.equal(exchange.requestHeader('x-client'), '192.0.2.1')
    assert.equal(exchange.requestHeader('x-fixed'), 'one')
    assert.equal(exchange.requestHeader('x-tag'), 'a, shop.example')
    assert.equal(exchange.requestHeader('accept'), 'text/html, text/plain')
    assert.equal(exchange.requestHeader('x-debug'), null)
    assert.equal(hooks.onResponse, undefined)
  })

  test('sets, adds and removes in the response', () => {
    const hooks = hooksOf(headers, {
      response: {
        set: { 'x-content-type-options': 'nosniff', 'X-Route': '${route.id}' },
        add: { 'set-cookie': ['a=1', 'b=2'] },
        remove: ['x-powered-by', 'server-timing'],
      },
    })
    const exchange = testExchange({ route: 'orders' })
    answer(exchange, 200, ['X-Powered-By: something', 'X-Route: wrong', 'Set-Cookie: c=3'])
    hooks.onResponse!(exchange)
    assert.equal(exchange.responseHeader('x-powered-by'), null)
    assert.equal(exchange.responseHeader('x-content-type-options'), 'nosniff')
    assert.equal(exchange.responseHeader('x-route'), 'orders')
    assert.equal(exchange.responseHeader('set-cookie'), 'c=3, a=1, b=2')
    assert.equal(hooks.onRequest, undefined)
  })

  test('removes what a client sent where a value of ours is absent', () => {
    const hooks = hooksOf(headers, {
      request: { set: { 'x-user': '${consumer.id}' }, add: { 'x-group': 'g-${params.group}' } },
    })
    const exchange = testExchange({ fields: ['X-User: admin'] })
    hooks.onRequest!(exchange)
    assert.equal(exchange.requestHeader('x-user'), null)
    assert.equal(exchange.requestHeader('x-group'), null)
  })

  test('removes it too where a value would break the header', () => {
    const hooks = hooksOf(headers, { request: { set: { 'x-name': '${params.name}' } } })
    const exchange = testExchange({ params: { name: 'a\r\nX-Admin: 1' }, fields: ['x-name: b'] })
    hooks.onRequest!(exchange)
    assert.equal(exchange.requestHeader('x-name'), null)
    assert.equal(exchange.requestHeader('x-admin'), null)
  })

  for (const [settings, refusal] of [
    [
      { request: { set: { 'Content-Length': '1' } } },
      /^request\.set\.Content-Length: .*gateway itself writes/,
    ],
    [
      { request: { remove: ['Transfer-Encoding'] } },
      /^request\.remove\.0: the gateway itself writes/,
    ],
    [{ request: { add: { connection: 'x' } } }, /gateway itself writes/],
    [{ request: { set: { host: 'x' } } }, /gateway itself writes/],
    [{ request: { set: { 'x-forwarded-for': 'x' } } }, /gateway itself writes/],
    [
      { response: { remove: ['content-length'] } },
      /gateway itself writes this header of the response/,
    ],
    [{ response: { set: { 'a b': 'x' } } }, /not a valid header name/],
    [{ response: { set: { a: '${nothing}' } } }, /^response\.set\.a: "\$\{nothing\}" is not known/],
    [{ response: { set: { a: 'line\nbreak' } } }, /control character/],
    [{ response: { set: { a: '' } } }, /use `remove`/],
    [{ response: { set: { a: '1', A: '2' } } }, /^response\.set\.A: "A" is set or removed twice/],
    [
      { response: { set: { a: '1' }, remove: ['A'] } },
      /^response\.remove\.0: "A" is set or removed twice/,
    ],
    [{ response: { sett: { a: '1' } } }, /sett/],
  ] as const) {
    test(`refuses ${JSON.stringify(settings)}`, () => {
      const found = refusals(headers, settings)
      assert.equal(found.length, 1)
      assert.match(found[0]!, refusal)
    })
  }

  test('lets a response name things that only a request must not', () => {
    assert.deepEqual(refusals(headers, { response: { set: { via: 'x' } } }), [])
  })
})
