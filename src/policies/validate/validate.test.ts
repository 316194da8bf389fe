import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type ExchangeParts, testExchange } from '../../proxy/pipeline/exchange.test-support.ts'
import { Reply } from '../../proxy/pipeline/reply.ts'
import { hooksOf, refusals, testEnvironment } from '../policy.test-support.ts'
import { readJson } from './strict-json.ts'
import { validate } from './validate.ts'

type Settings = Parameters<typeof hooksOf<typeof validate.settings>>[1]

interface Finding {
  readonly path: string
  readonly message: string
}

function findingsOf(verdict: unknown): Finding[] {
  assert.ok(verdict instanceof Reply)
  assert.equal(verdict.status, 400)
  assert.equal(verdict.code, 'validation_failed')
  return JSON.parse(verdict.body.toString()).errors
}

/** What is wrong with a body; null when it goes on as it is. */
function judged(settings: Settings, body: unknown): Finding[] | null {
  const hooks = hooksOf(validate, settings)
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  const exchange = testExchange({
    method: 'POST',
    fields: [`Content-Length: ${bytes.length}`, 'Content-Type: application/json'],
  })
  assert.equal(hooks.onRequest!(exchange), undefined)
  const result = hooks.onRequestBody!(exchange, bytes)
  if (result instanceof Reply) return findingsOf(result)
  assert.equal(result, bytes)
  assert.equal(hooks.onRequestBody!(exchange, null), null)
  return null
}

/** What is wrong with the parameters; null when the request passes. */
function judgedHead(settings: Settings, parts: ExchangeParts): Finding[] | null {
  const verdict = hooksOf(validate, settings).onRequest!(testExchange(parts))
  return verdict === undefined ? null : findingsOf(verdict)
}

const ORDER = {
  type: 'object',
  required: ['sku'],
  properties: {
    sku: { type: 'string', pattern: '^[A-Z]{2}[0-9]+$' },
    count: { type: 'integer', maximum: 10 },
    mail: { type: 'string', format: 'email' },
    tags: { type: 'array', uniqueItems: true },
  },
  additionalProperties: false,
}

describe('a body', () => {
  test('that fits goes on as it is', () => {
    assert.equal(judged({ body: ORDER }, { sku: 'AB12', count: 3, mail: 'a@shop.example' }), null)
  })

  for (const [body, path, message] of [
    [{}, 'body', /must have required property 'sku'/],
    [{ sku: 'ab' }, 'body/sku', /must match pattern/],
    [{ sku: 'AB1', count: 11 }, 'body/count', /must be <= 10/],
    [{ sku: 'AB1', count: '1' }, 'body/count', /must be integer/],
    [{ sku: 'AB1', mail: 'x' }, 'body/mail', /must match format "email"/],
    [{ sku: 'AB1', mail: `${'a'.repeat(3000)}@shop.example` }, 'body/mail', /must match format/],
    [{ sku: 'AB1', 'a/b~': 1 }, 'body/a~1b~0', /must NOT be there/],
    [
      {
        sku: 'AB1',
        tags: [
          { a: 1, b: 2 },
          { b: 2, a: 1 },
        ],
      },
      'body/tags',
      /duplicate/,
    ],
    ['[]', 'body', /must be object/],
    ['{"sku":"AB1","sku":"AB2"}', 'body', /the same key twice/],
    ['{"sku":"AB1","s\\u006bu":"AB2"}', 'body', /the same key twice/],
    ['{"sku":', 'body', /is not valid JSON/],
    ['\ufeff{"sku":"AB1"}', 'body', /is not valid JSON/],
    ['{"sku":"AB1"} {}', 'body', /is not valid JSON/],
    ['{"sku":"AB1","count":1e999}', 'body/count', /must be integer/],
  ] as const) {
    test(`is refused for ${JSON.stringify(body).slice(0, 60)}`, () => {
      const findings = judged({ body: ORDER }, body)!
      assert.equal(findings.length, 1)
      assert.equal(findings[0]!.path, path)
      assert.match(findings[0]!.message, message)
    })
  }

  test('is told everything that is wrong, but never at length', () => {
    const findings = judged({ body: ORDER }, { count: 'x', mail: 3 })!
    assert.deepEqual(
      findings.map(({ path }) => path),
      ['body', 'body/count', 'body/mail'],
    )
    const many = judged(
      { body: ORDER },
      Object.fromEntries([...'abcdefghijklmnopqrstuvwxyz'].map((key) => [key.repeat(500), 1])),
    )!
    assert.equal(many.length, 20)
    for (const { path, message } of many) assert.ok(path.length <= 200 && message.length <= 200)
  })

  test('never has its values repeated', () => {
    const secret = 'hunter2hunter2'
    const text = JSON.stringify(
      judged({ body: ORDER }, { sku: secret, count: secret, mail: secret }),
    )
    assert.ok(!text.includes(secret))
  })

  test('with more members than are looked at in full is told the first thing', () => {
    const items = Array.from({ length: 600 }, () => 'x')
    const schema = { type: 'array', items: { type: 'integer' } }
    assert.equal(judged({ body: schema }, items)!.length, 1)
  })

  test('cannot make an object of its own look complete', () => {
    const schema = { type: 'object', required: ['constructor', 'toString'] }
    assert.equal(judged({ body: schema }, {})!.length, 2)
    const closed = { type: 'object', properties: {}, additionalProperties: false }
    assert.equal(judged({ body: closed }, '{"__proto__":{"a":1}}')![0]!.path, 'body/__proto__')
  })

  test('is bounded in depth and in members', () => {
    const bounds = { body: {}, depthMax: 3, membersMax: 4 }
    assert.equal(judged(bounds, '[[[1]]]'), null)
    assert.match(judged(bounds, '[[[[]]]]')![0]!.message, /deeper than 3 levels/)
    assert.equal(judged(bounds, '[1,2,3,4]'), null)
    assert.equal(judged(bounds, '{"a":[1,2],"b":{}}'), null)
    assert.match(judged(bounds, '[1,2,3,4,5]')![0]!.message, /more than 4 members/)
    assert.match(judged(bounds, '{"a":[1,2],"b":{"c":1}}')![0]!.message, /more than 4 members/)
  })

  test('that is long and hostile is judged in time that grows with its length', () => {
    const evil = { body: { type: 'string', pattern: '^(a+)+$', maxLength: 100_000 } }
    assert.match(judged(evil, `"${'a'.repeat(50_000)}!"`)![0]!.message, /must match pattern/)
    const unique = { body: { type: 'array', uniqueItems: true }, membersMax: 200_000 }
    const items = Array.from({ length: 50_000 }, (_, index) => ({ index }))
    assert.equal(judged(unique, items), null)
  })

  test('that is empty is none', () => {
    const hooks = hooksOf(validate, { body: {} })
    const exchange = testExchange({
      method: 'POST',
      fields: ['Transfer-Encoding: chunked', 'Content-Type: application/json'],
    })
    assert.equal(hooks.onRequest!(exchange), undefined)
    assert.match(findingsOf(hooks.onRequestBody!(exchange, null))[0]!.message, /must be there/)
  })

  test('is missed where the method lives by one', () => {
    for (const [method, isMissed] of [
      ['POST', true],
      ['PUT', true],
      ['PATCH', true],
      ['QUERY', true],
      ['GET', false],
      ['DELETE', false],
    ] as const) {
      assert.equal(judgedHead({ body: {} }, { method }) !== null, isMissed, method)
    }
  })

  test('must say that it is JSON, in UTF-8 and not compressed', () => {
    const hooks = hooksOf(validate, { body: {} })
    for (const [fields, passes] of [
      [['Content-Type: application/json'], true],
      [['Content-Type: application/merge-patch+json; charset=UTF-8'], true],
      [['Content-Type: text/plain'], false],
      [['Content-Type: application/json; charset=utf-16'], false],
      [['Content-Type: application/json', 'Content-Type: text/plain'], false],
      [['Content-Type: application/json', 'Content-Encoding: gzip'], false],
      [[], false],
    ] as const) {
      const exchange = testExchange({ method: 'POST', fields: ['Content-Length: 2', ...fields] })
      const verdict = hooks.onRequest!(exchange)
      assert.equal(verdict === undefined, passes, JSON.stringify(fields))
      if (verdict instanceof Reply) assert.equal(verdict.code, 'unsupported_media_type')
    }
  })
})

describe('parameters', () => {
  const query = {
    type: 'object',
    required: ['page'],
    properties: {
      page: { type: 'integer', minimum: 1 },
      all: { type: 'boolean' },
      name: { type: 'string', maxLength: 3 },
      tag: { type: 'array', items: { type: 'number' }, maxItems: 2 },
    },
    additionalProperties: false,
  }

  for (const [target, path, message] of [
    ['/?page=1', null, null],
    ['/?page=1&all=true&name=a%20b&tag=1&tag=2.5', null, null],
    ['/?page=1&tag=7&&', null, null],
    ['/?name=%31+2&page=2', null, null],
    ['/', 'query', /required property 'page'/],
    ['/?page=', 'query/page', /must be integer/],
    ['/?page=0', 'query/page', /must be >= 1/],
    ['/?page=0x10', 'query/page', /must be integer/],
    ['/?page=+1', 'query/page', /must be integer/],
    ['/?page=01', 'query/page', /must be integer/],
    ['/?page=1&page=2', 'query/page', /must be integer/],
    ['/?page=1&%70age=2', 'query/page', /must be integer/],
    ['/?page=1&all=yes', 'query/all', /must be boolean/],
    ['/?page=1&name=abcd', 'query/name', /more than 3/],
    ['/?page=1&tag=1&tag=x', 'query/tag/1', /must be number/],
    ['/?page=1&tag=1&tag=2&tag=3', 'query/tag', /more than 2 items/],
    ['/?page=1&other', 'query/other', /must NOT be there/],
    ['/?page=1&__proto__=x', 'query/__proto__', /must NOT be there/],
    ['/?page=1&name=%ff', 'query', /percent-encoded UTF-8/],
  ] as const) {
    test(`of a query ${target}`, () => {
      const findings = judgedHead({ query }, { target })
      if (path === null) assert.equal(findings, null)
      else {
        assert.equal(findings![0]!.path, path)
        assert.match(findings![0]!.message, message)
      }
    })
  }

  test('of a query may not be too many', () => {
    const findings = judgedHead({ query: {}, membersMax: 2 }, { target: '/?a&b&c' })
    assert.match(findings![0]!.message, /more than 2 parameters/)
  })

  test('of a path and of headers are held against their schemas', () => {
    const settings = {
      path: { type: 'object', properties: { id: { type: 'integer' } } },
      headers: {
        type: 'object',
        required: ['x-version'],
        properties: { 'x-version': { enum: [1, 2], type: 'integer' } },
        additionalProperties: false,
      },
    }
    const fields = ['X-Version: 2', 'X-Other: 1']
    assert.equal(judgedHead(settings, { params: { id: '7' }, fields }), null)
    assert.equal(judgedHead(settings, { params: { id: 'x' }, fields })![0]!.path, 'path/id')
    assert.equal(judgedHead(settings, { params: { id: '7' } })![0]!.path, 'headers')
    const wrong = judgedHead(settings, {
      params: { id: '7' },
      fields: ['X-Version: 3', 'X-Other: 1'],
    })!
    assert.equal(wrong[0]!.path, 'headers/x-version')
    const required = { headers: { type: 'object', required: ['x-version'] } }
    assert.equal(judgedHead(required, { fields }), null)
    assert.equal(judgedHead(required, {})![0]!.path, 'headers')
  })
})

describe('schemas', () => {
  for (const [schema, problem] of [
    [{ type: 'objekt' }, /schema\/type must be/],
    [{ typ: 'object' }, /unknown keyword: "typ"/],
    [{ type: 'string', format: 'mail' }, /unknown format "mail"/],
    [{ $ref: 'https://evil.example/schema.json' }, /can't resolve reference/],
    [{ $schema: 'http://json-schema.org/draft-07/schema#' }, /no schema with key or ref/],
    [{ required: ['a', 1] }, /schema\/required\/1 must be string/],
    [{ $async: true }, /\$async/],
    [{ pattern: '(?=a)b' }, /not supported|look-around/],
    [{ pattern: '(a)\\1' }, /not supported/],
  ] as const) {
    test(`${JSON.stringify(schema)} cannot be used`, () => {
      assert.throws(() => hooksOf(validate, { body: schema }), problem)
    })
  }

  test('may refer to themselves', () => {
    const tree = {
      $defs: {
        node: {
          type: 'object',
          properties: { left: { $ref: '#/$defs/node' } },
          additionalProperties: false,
        },
      },
      $ref: '#/$defs/node',
    }
    assert.equal(judged({ body: tree }, { left: { left: {} } }), null)
    assert.equal(judged({ body: tree }, { left: { right: {} } })![0]!.path, 'body/left/right')
  })

  test('with several patterns keep them apart', () => {
    const schema = {
      type: 'object',
      properties: { a: { type: 'string', pattern: '^a$' }, b: { type: 'string', pattern: '^b$' } },
      patternProperties: { '^x-': { type: 'integer' } },
      additionalProperties: false,
    }
    assert.equal(judged({ body: schema }, { a: 'a', b: 'b', 'x-1': 1 }), null)
    assert.equal(judged({ body: schema }, { a: 'b' })![0]!.path, 'body/a')
    assert.equal(judged({ body: schema }, { 'x-1': 'one' })![0]!.path, 'body/x-1')
  })

  test('are compiled once for all routes that share them', () => {
    let made = 0
    const environment = testEnvironment({
      keep(_key, make) {
        made++
        return make()
      },
    })
    hooksOf(validate, { body: ORDER, query: { type: 'object' } }, environment)
    assert.equal(made, 2)
  })

  test('are needed, and may not be endless', () => {
    assert.match(refusals(validate, {})[0]!, /give a schema/)
    const long = { description: 'x'.repeat(300_000) }
    assert.match(refusals(validate, { body: long })[0]!, /longer than 262144 characters/)
  })
})

test('strict JSON takes every text that JSON takes, but for what two readers could read in two ways', () => {
  const bounds = { depthMax: 10, membersMax: 100 }
  for (const text of [
    '1',
    '"a\\"b"',
    'null',
    ' [ ] ',
    '{ }',
    '{"a":{"a":1}}',
    '[{"a":1},{"a":1}]',
    '["a","a"]',
    '{"a":"a"}',
    '{"":1," ":2}',
    '"\\ud800"',
    '{"a":[],"b":"\\\\"}',
  ]) {
    const read = readJson(Buffer.from(text), bounds)
    assert.ok(typeof read === 'object', text)
    assert.deepEqual(read.value, JSON.parse(text))
  }
  const invalid = Buffer.from('["a\xff"]', 'latin1')
  assert.equal(readJson(invalid, bounds), 'is not valid UTF-8')
  assert.equal(typeof readJson(Buffer.from('{"a":1,"b":{},"a":2}'), bounds), 'string')
})
