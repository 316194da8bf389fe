import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { compileTree } from './condition/compiler.ts'
import { parseCondition } from './condition/syntax.ts'
import { compileCondition } from './condition.ts'
import { answer, type ExchangeParts, testExchange } from './exchange.test-support.ts'

const exchange = testExchange({
  method: 'POST',
  target: '/api/orders/7?size=xl',
  host: 'api.shop.example:8080',
  fields: ['X-Tenant: blue', 'Accept: text/html', 'accept: text/plain', 'X-Count: 12'],
  clientIp: '10.1.2.3',
  scheme: 'https',
  params: { id: '7' },
  consumer: {
    id: 'alice',
    groups: ['staff', 'buyers'],
    claims: {
      tier: 'gold',
      level: 3,
      admin: true,
      org: { roles: ['read', 'write'] },
      scope: 'a b',
    },
  },
})

const HOLDS = [
  "request.method == 'POST'",
  "request.path.startsWith('/api/')",
  "request.path.endsWith('/7') && !request.path.contains('secret')",
  "request.query == 'size=xl'",
  "request.host == 'api.shop.example'",
  "request.scheme != 'http'",
  "request.headers['x-tenant'] == 'blue'",
  "request.headers['X-Tenant'] == 'blue'",
  "request.headers.accept == 'text/html, text/plain'",
  "request.headers['x-absent'] == ''",
  "request.headers['x-absent'] != 'blue'",
  "'x-tenant' in request.headers && !('x-absent' in request.headers)",
  'has(request.headers.accept) && !has(request.headers.range)',
  "has(request.headers['x-tenant'])",
  "request.params.id == '7' && request.params['other'] == ''",
  "request.method in ['PUT', 'POST']",
  "!(request.method in ['GET'])",
  "request.path.matches('^/api/[a-z]+/[0-9]+$')",
  "ip_in(client.ip, '10.0.0.0/8')",
  "ip_in(client.ip, ['192.168.0.0/16', '10.0.0.0/8'])",
  "!ip_in(request.headers['x-tenant'], '10.0.0.0/8')",
  "consumer.id == 'alice'",
  "'staff' in consumer.groups",
  "consumer.claims.tier == 'gold' && consumer.claims['level'] == 3",
  'consumer.claims.admin',
  '!consumer.claims.absent',
  "consumer.claims.absent.deeper != 'x'",
  'consumer.claims.absent == null',
  "'write' in consumer.claims.org.roles",
  "consumer.claims.org.roles[0] == 'read'",
  "consumer.groups[1] == 'buyers' && consumer.groups[5] == ''",
  "!('write' in consumer.claims.absent)",
  "consumer.claims.scope.contains('b')",
  "!consumer.claims.level.startsWith('x')",
  "'tier' in consumer.claims",
  "(request.method == 'GET' ? 'a' : 'b') == 'b'",
  "request.method == 'GET' ? false : request.scheme == 'https'",
  "request.method < 'Q'",
  'true',
  '1 < 2 && 2.5 >= 1 && 3 == 3.0',
  // What only the library can evaluate.
  "int(request.headers['x-count']) > 10",
  'size(request.path) == 13 && request.path.size() < 100',
  "consumer.groups.exists(group, group == 'staff')",
  "consumer.groups.all(group, group.matches('^[a-z]+$'))",
  "consumer.groups.exists_one(group, group.startsWith('b'))",
  "consumer.claims.org.roles.exists(role, role in ['write', 'admin'])",
  "['/api/', '/v2/'].exists(prefix, request.path.startsWith(prefix))",
  'consumer.claims.level + 1 == 4',
  'consumer.claims.level >= 3',
  "request.method + '!' == 'POST!'",
  'consumer.claims.org == consumer.claims.org && consumer.claims.org != consumer.claims.tier',
  "int(request.headers['x-count']) % 5 == 2 && request.method == 'POST'",
  "string(int(request.params.id) * 2) == '14'",
]

describe('a condition that holds', () => {
  for (const source of HOLDS) {
    test(source, () => {
      const condition = compileCondition(source)
      assert.equal(condition.test(exchange), true)
      assert.equal(condition.failures, 0)
      // The opposite does not hold, so none of these is true because it failed.
      const opposite = compileCondition(`!(${source})`)
      assert.equal(opposite.test(exchange), false)
      assert.equal(opposite.failures, 0)
    })
  }
})

describe('evaluated without the library', () => {
  for (const source of HOLDS.slice(0, HOLDS.indexOf('true') + 1)) {
    test(source, () => {
      const { test: plain, bindings } = compileTree(source, parseCondition(source), 'request')
      assert.notEqual(plain, null)
      assert.equal(bindings.length, 0)
    })
  }
})

describe('without a consumer', () => {
  const anonymous = testExchange()
  for (const source of [
    "consumer.id == ''",
    '!has(consumer.id)',
    "!('staff' in consumer.groups)",
    "consumer.claims.tier != 'gold'",
    "!consumer.groups.exists(group, group == 'staff')",
    "request.params.id == ''",
  ]) {
    test(source, () => {
      const condition = compileCondition(source)
      assert.equal(condition.test(anonymous), true)
      assert.equal(condition.failures, 0)
    })
  }
})

describe('the status of the response', () => {
  test('decides when it is known', () => {
    const condition = compileCondition('response.status >= 500', { moment: 'response' })
    const answered = testExchange()
    answer(answered, 502)
    assert.equal(condition.test(answered), true)
    answer(answered, 200)
    assert.equal(condition.test(answered), false)
    const sum = compileCondition('response.status + 0 == 200', { moment: 'response' })
    assert.equal(sum.test(answered), true)
  })

  test('cannot be asked for before', () => {
    assert.throws(() => compileCondition('response.status >= 500'), /not known yet/)
  })
})

describe('a condition that cannot be evaluated', () => {
  test('counts as true, is counted, and is reported once', () => {
    const reasons: string[] = []
    const onFailure = (reason: string) => reasons.push(reason)
    let counted = 0
    const countFailure = () => {
      counted++
    }
    const options = { onFailure, countFailure }
    const condition = compileCondition("int(request.headers['x-count']) > 10", options)
    assert.equal(condition.test(testExchange({ fields: ['x-count: many'] })), true)
    assert.equal(condition.test(testExchange({ fields: [`x-count: ${'9'.repeat(5_000)}`] })), true)
    assert.equal(condition.test(testExchange({ fields: ['x-count: 3'] })), false)
    assert.equal(condition.failures, 2)
    assert.equal(counted, 2)
    assert.deepEqual(reasons, ['the text is not a whole number'])
  })

  for (const [source, claims] of [
    ['consumer.claims.level > 3', { level: 'high' }],
    ['consumer.claims.level > 3', {}],
    ['1 / consumer.claims.level > 0', { level: 'x' }],
    ['consumer.claims.deep == consumer.claims.deep', { deep: nested(100) }],
    ['[1, 2][5] == consumer.claims.level', {}],
  ] as const) {
    test(`${source} for ${JSON.stringify(claims).slice(0, 30)}`, () => {
      const parts: ExchangeParts = { consumer: { id: 'a', groups: [], claims } }
      const condition = compileCondition(source)
      assert.equal(condition.test(testExchange(parts)), true)
      assert.equal(condition.failures, 1)
    })
  }
})

function nested(depth: number): unknown {
  let value: unknown = 1
  for (let level = 0; level < depth; level++) value = [value]
  return value
}

const REFUSED: readonly [source: string, problem: RegExp][] = [
  ['', /^a condition is needed/],
  ['   ', /^a condition is needed/],
  [`request.path == '${'x'.repeat(3_000)}'`, /at most 2048 characters/],
  [`${'('.repeat(40)}true${')'.repeat(40)}`, /nested too deep \(at character 33\)/],
  ["reqest.path == 'a'", /unknown name "reqest"; did you mean "request"\? \(at character 1\)/],
  ["request.paht == 'a'", /"request" has no part "paht"; did you mean "path"\?/],
  ["true && reponse == 'a'", /did you mean "response"\? \(at character 9\)/],
  ["request == 'a'", /"request" is not a value; name a part of it, like request.method/],
  ["request.headers == 'a'", /name one of them, like request.headers\['name'\]/],
  ["request.path.length == 'a'", /"request.path" has no part "length"/],
  ["request.headers[request.path] == 'a'", /name one of them/],
  ["request.path.startWith('/a')", /unknown function "startWith"; did you mean "startsWith"\?/],
  ["startsWith(request.path, '/a')", /written after its text, like request.path.startsWith/],
  ["lower(request.path) == 'a'", /unknown function "lower"; known are /],
  ['request.path', /must be true or false, and this is a text \(at character 1\)/],
  ['1', /must be true or false, and this is a number/],
  ['request.path && true', /what && joins must be true or false, and this is a text/],
  ['!request.path', /what ! turns around must be true or false/],
  ['request.path == 5', /a text is never equal to a number/],
  ["request.headers['x'] == null", /a text is never equal to null/],
  ['request.path in [1, 2]', /a text is never equal to a number/],
  [
    "'a' in request.path",
    /in needs a list on its right, and this is a text; a part of a text is found by contains/,
  ],
  ['request.path > 5', /only two numbers or two texts have an order/],
  ['request.path * 2 == 4', /\* needs numbers, and this is a text/],
  ['1 + 1.5 > 2', /both sides must be of one kind/],
  ["request.path.matches('(')", /not a regular expression: .*\(at character 22\)/],
  ["request.path.matches('(?=a)')", /not supported/],
  ['request.path.matches(request.query)', /matches takes a text in quotes/],
  ['request.path.contains(request.query)', /contains takes a text in quotes/],
  ["ip_in(client.ip, '10.0.0.0/33')", /"10.0.0.0\/33" is not an IP address or network/],
  ['ip_in(client.ip)', /takes an address and a network/],
  ['ip_in(client.ip, client.ip)', /takes a network in quotes/],
  ['has(request.path)', /this is always there/],
  ['has(request.path == 1)', /has takes a name/],
  [
    "consumer.groups.map(g, g) == ['a']",
    /map is not available in conditions; use exists, all or exists_one/,
  ],
  ["consumer.groups.filter(g, g == 'a').size() > 0", /filter is not available/],
  [
    'consumer.groups.exists(g, consumer.groups.exists(h, h == g))',
    /cannot stand inside another one/,
  ],
  ["consumer.groups.exists('a')", /exists takes a name and a condition/],
  ['consumer.groups.exists(request, true)', /needs a name other than request/],
  ["request.path.exists(c, c == 'a')", /exists needs a list, and this is a text/],
  ["consumer.groups.exists(g, g + request.path == 'a')", /texts of the item cannot be joined/],
  [
    "consumer.groups.exists(g, (g == 'a' ? request.path : g).contains('b'))",
    /can only choose between true and false/,
  ],
  ['consumer.groups.exists(g, g in consumer.groups)', /only be looked for in a list of constants/],
  ["consumer.groups.exists(g, [g] == ['a'])", /a list cannot be made of the item/],
  ["{'a': 1} == consumer.claims", /maps and messages are not available/],
  ["b'a' == b'a'", /only texts, numbers, true, false and null/],
  ['99999999999999999999 == 1', /./],
  // Mistakes of syntax.
  ["request.path = '/a'", /"=" is no operator; did you mean "=="\? \(at character 14\)/],
  ["request.path == '/a' & true", /did you mean "&&"\?/],
  [
    "request.path == '/a' and true",
    /"and" is no operator; did you mean "&&"\? \(at character 22\)/,
  ],
  ["not request.path == '/a'", /did you mean "!"\?/],
  ['request.path ==', /expected a value after "==" \(at its end\)/],
  ["&& request.path == 'a'", /expected a value before "&&" \(at character 1\)/],
  ["request.path == '/a", /the text that begins here has no closing ' \(at character 17\)/],
  ["(request.path == '/a'", /this "\(" is never closed \(at character 1\)/],
  ["request.path == '/a')", /this "\)" closes nothing \(at character 21\)/],
  ["request.headers['a') == 'b'", /expected "]" for the "\[" before, found "\)"/],
  ["request.path constructor '/a'", /expected an operator like && or == before constructor/],
  ["request.path '/a'", /expected an operator like && or == before '\/a' \(at character 14\)/],
  ["request.path == '/a' ; true", /";" has no meaning here/],
  ["true &&\n  request.path = 'a'", /\(at line 2, character 16\)/],
  ['request..path', /expected a value before "\."/],
  ['a ? b', /./],
]

describe('a condition that is refused', () => {
  for (const [source, problem] of REFUSED) {
    test(JSON.stringify(source.slice(0, 70)), () => {
      assert.throws(
        () => compileCondition(source),
        (error: Error) => {
          assert.match(error.message, problem)
          assert.equal(error.name, 'ConditionError')
          return true
        },
      )
    })
  }
})

test('what the library is asked does not grow faster than the request', () => {
  // Quadratic work over requests of this size would take minutes.
  const groups = Array.from({ length: 20_000 }, (_, index) => `group-${index}`)
  const big = testExchange({
    target: `/${'a'.repeat(50_000)}`,
    fields: [`x-long: ${'a'.repeat(100_000)}`],
    consumer: { id: 'x', groups, claims: { list: groups } },
  })
  for (const source of [
    "consumer.groups.exists(g, g == request.path || request.path.startsWith(g) || g.contains('!'))",
    "consumer.groups.exists(g, request.path.contains('b') || g.matches('(a+)+!'))",
    "consumer.claims.list.all(g, g == request.headers['x-long'])",
    "request.headers['x-long'].matches('(a|aa)+b')",
    "request.path.matches('(.*)(.*)(.*)(.*)!')",
    "int(request.headers['x-long']) == 1 && false",
  ]) {
    assert.equal(compileCondition(source).test(big), false, source)
  }
})
