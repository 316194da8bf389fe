import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { testExchange } from '../proxy/pipeline/exchange.test-support.ts'
import { CredentialPlace } from './credential-place.ts'

describe('a place of a credential', () => {
  const queries: [target: string, count: number, value: string | null, rest: string][] = [
    ['/a', 0, null, '/a'],
    ['/a?x=1&y=2', 0, null, '/a?x=1&y=2'],
    ['/a?key=k', 1, 'k', '/a'],
    ['/a?x=1&key=k&y=%20', 1, 'k', '/a?x=1&y=%20'],
    ['/a?key=k&x=1', 1, 'k', '/a?x=1'],
    ['/a?x=1&key', 1, '', '/a?x=1'],
    ['/a?%6Bey=k&x=1', 1, 'k', '/a?x=1'],
    ['/a?key=1&key=2&x', 2, '1', '/a?x'],
    ['/a?keys=1&akey=2', 0, null, '/a?keys=1&akey=2'],
  ]
  for (const [target, count, value, rest] of queries) {
    test(`the query of ${target}`, () => {
      const place = CredentialPlace.parse('query:key')
      const exchange = testExchange({ target })
      assert.equal(place.count(exchange), count)
      assert.equal(place.value(exchange), value)
      place.strip(exchange)
      assert.equal(exchange.target, rest)
      assert.equal(exchange.path, '/a')
      assert.equal(place.count(exchange), 0)
    })
  }

  const cookies: [lines: string[], count: number, value: string | null, rest: string | null][] = [
    [[], 0, null, null],
    [['Cookie: a=1; b=2'], 0, null, 'a=1; b=2'],
    [['Cookie: key=k'], 1, 'k', null],
    [['Cookie: a=1; key=k; b=2'], 1, 'k', 'a=1; b=2'],
    [['Cookie: key=k;b=2'], 1, 'k', 'b=2'],
    [['Cookie: key=1', 'Cookie: key=2; c=3'], 2, '1', 'c=3'],
    [['Cookie: Key=1; xkey=2'], 0, null, 'Key=1; xkey=2'],
  ]
  for (const [fields, count, value, rest] of cookies) {
    test(`cookies in ${JSON.stringify(fields)}`, () => {
      const place = CredentialPlace.parse('cookie:key')
      const exchange = testExchange({ fields })
      assert.equal(place.count(exchange), count)
      assert.equal(place.value(exchange), value)
      place.strip(exchange)
      assert.equal(exchange.requestHeader('cookie'), rest)
    })
  }

  test('a header, however often', () => {
    const place = CredentialPlace.parse('header:x-key')
    assert.equal(place.count(testExchange()), 0)
    const once = testExchange({ fields: ['X-KEY: k'] })
    assert.equal(place.count(once), 1)
    assert.equal(place.value(once), 'k')
    place.strip(once)
    assert.equal(once.requestHeader('x-key'), null)
    assert.equal(place.count(testExchange({ fields: ['X-Key: 1', 'x-key: 2'] })), 2)
  })

  test('no query is set that a target cannot hold', () => {
    for (const query of ['a b', 'a\r\nX: y', 'a#b', 'ä']) {
      assert.throws(() => testExchange().setQuery(query), TypeError)
    }
  })
})
