import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { testExchange } from './exchange.test-support.ts'
import { compileValueTemplate } from './value-template.ts'

const exchange = testExchange({
  method: 'PUT',
  target: '/a%20b?x=1',
  host: 'Shop.Example:8080',
  fields: ['X-Foo: one', 'x-foo: two', 'X-Bytes: caf\xe9'],
  clientIp: '192.0.2.7',
  scheme: 'https',
  params: { id: '42', name: 'Zoë', bad: 'a\r\nX-Injected: 1', nul: 'a\0b' },
  route: 'orders',
  service: 'shop',
  consumer: { id: 'alice', groups: [], claims: null },
})
exchange.requestId = 'abc-123'

describe('a value with parts from the exchange', () => {
  for (const [source, value] of [
    ['${client.ip}', '192.0.2.7'],
    [
      '${request.method} ${request.scheme}://${request.host}${request.path}?${request.query}',
      'PUT https://shop.example/a%20b?x=1',
    ],
    ['${request.id}', 'abc-123'],
    ['${route.id}/${service}', 'orders/shop'],
    ['user=${consumer.id};', 'user=alice;'],
    ['${request.headers.X-Foo}', 'one, two'],
    ['${params.id}', '42'],
    // Bytes of the request go on as they are, other text as UTF-8.
    ['${request.headers.x-bytes}', 'caf\xe9'],
    ['${params.name}', 'Zo\xc3\xab'],
    ['$ {not} a } part', '$ {not} a } part'],
  ] as const) {
    test(`${source} is ${value}`, () => {
      assert.equal(compileValueTemplate(source).render(exchange), value)
    })
  }

  for (const source of ['${params.bad}', 'x${params.nul}', 'pre ${params.bad} post']) {
    test(`${source} is nothing, for it would break the header`, () => {
      assert.equal(compileValueTemplate(source).render(exchange), '')
    })
  }

  for (const source of [
    '${request.headers.x-absent}',
    'id-${params.absent}',
    '${params.toString}',
  ]) {
    test(`${source} is nothing, for a part is absent`, () => {
      assert.equal(compileValueTemplate(source).render(exchange), '')
    })
  }

  test('is nothing where the exchange has no consumer, route or id', () => {
    const bare = testExchange()
    for (const source of [
      'a ${consumer.id}',
      '${route.id}',
      '${service}',
      '${request.id}',
      '${params.id}',
    ]) {
      assert.equal(compileValueTemplate(source).render(bare), '', source)
    }
  })
})

describe('a constant value', () => {
  test('is known without an exchange', () => {
    assert.equal(compileValueTemplate(' nosniff ').constant, 'nosniff')
    assert.equal(compileValueTemplate('${client.ip}').constant, null)
  })
})

describe('a value that is refused', () => {
  for (const [source, problem] of [
    ['${cleint.ip}', /"\$\{cleint.ip}" is not known; did you mean "client.ip"\?/],
    ['${consumer.name}', /did you mean "consumer.id"\?/],
    ['${nonsense}', /is not known; known are client.ip, .*params.NAME/],
    ['${constructor}', /is not known/],
    ['${client.ip', /the "\$\{" at character 1 has no closing "}"/],
    ['${request.headers.}', /is not a header name/],
    ['${request.headers.a b}', /is not a header name/],
    ['${params.}', /is not the name of a path parameter/],
    ['line\nbreak', /a control character/],
    ['smörgås', /not ASCII/],
  ] as const) {
    test(JSON.stringify(source), () => {
      assert.throws(() => compileValueTemplate(source), problem)
    })
  }
})
