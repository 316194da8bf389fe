import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { compileExpression } from './condition.ts'
import { testExchange } from './exchange.test-support.ts'

const exchange = testExchange({
  method: 'POST',
  fields: ['X-Tenant: blue', 'X-Count: 12', 'X-Word: seven'],
  consumer: { id: 'ann', groups: [], claims: { level: 3, share: 0.5, name: 'Ann', list: ['a'] } },
})

describe('an expression with a text', () => {
  for (const [source, value] of [
    ["request.headers['x-tenant']", 'blue'],
    ["request.headers['x-tenant'] + ':' + consumer.id", 'blue:ann'],
    ["request.method == 'GET' ? 'read' : 'write'", 'write'],
    ['consumer.claims.name', 'Ann'],
    ['consumer.claims.level', '3'],
    ["request.headers['x-none']", ''],
    ['consumer.claims.none', null],
    ['consumer.claims.list', null],
    ['consumer.claims.list[0]', 'a'],
  ] as const) {
    test(`${source} is ${value}`, () => {
      assert.equal(compileExpression(source, 'text').read(exchange), value)
    })
  }
})

describe('an expression with a number', () => {
  for (const [source, value] of [
    ['5', 5],
    ["request.method == 'GET' ? 1 : 5", 5],
    ["int(request.headers['x-count']) * 2", 24],
    ["int(request.headers['x-word'])", null],
    ['consumer.claims.level + 1', 4],
    ['consumer.claims.share', 0.5],
    ['consumer.claims.name', null],
  ] as const) {
    test(`${source} is ${value}`, () => {
      assert.equal(compileExpression(source, 'number').read(exchange), value)
    })
  }

  test('that fails says so once, and counts each time', () => {
    const reasons: string[] = []
    let counted = 0
    const expression = compileExpression("int(request.headers['x-word'])", 'number', {
      onFailure: (reason) => reasons.push(reason),
      countFailure: () => counted++,
    })
    for (let time = 0; time < 3; time++) assert.equal(expression.read(exchange), null)
    assert.equal(reasons.length, 1)
    assert.match(reasons[0]!, /not a whole number/)
    assert.equal(counted, 3)
    assert.equal(expression.failures, 3)
  })
})

test('an expression of another kind, or with a mistake, does not compile', () => {
  const refused = (source: string, kind: 'text' | 'number', problem: RegExp) =>
    assert.throws(() => compileExpression(source, kind as 'text'), problem)
  refused('request.method', 'number', /a number is needed here, and this is a text/)
  refused('1 + 2', 'text', /a text is needed here, and this is a number/)
  refused("request.method == 'GET'", 'text', /this is true or false/)
  refused('response.status', 'number', /not known yet/)
  refused('request.metod', 'text', /did you mean "method"/)
  refused('', 'text', /needed/)
})
