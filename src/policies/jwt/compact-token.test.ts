// Strictness in what tokens are made of, against the plain definition of each.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { propertyOptions } from '../../../test/support/property.ts'
import { decodeBase64Url } from './compact-token.ts'
import { parseStrictObject } from './strict-json.ts'

describe('base64url', () => {
  const byDefinition = (text: string): string | null => {
    const bytes = Buffer.from(text, 'base64url')
    return bytes.toString('base64url') === text ? bytes.toString('hex') : null
  }
  const read = (text: string): string | null => decodeBase64Url(text)?.toString('hex') ?? null

  test('of any bytes is read', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const text = Buffer.from(bytes).toString('base64url')
        assert.equal(read(text), Buffer.from(bytes).toString('hex'))
      }),
      propertyOptions(300),
    )
  })

  test('has one spelling for each', () => {
    const alphabet =
      'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/= \t\r\n.,é\0'
    const spelling = fc.string({ unit: fc.constantFrom(...alphabet), maxLength: 12 })
    fc.assert(
      fc.property(spelling, (text) => assert.equal(read(text), byDefinition(text))),
      propertyOptions(2_000),
    )
    for (const text of ['', 'A', 'AA', 'AB', 'AAA', 'AAB', 'AA==', 'AA=', 'A+A', 'AAA/', 'AA A']) {
      assert.equal(read(text), byDefinition(text), text)
    }
  })
})

describe('JSON', () => {
  const read = (text: string): unknown => parseStrictObject(Buffer.from(text))

  test('of any object is read, however it is spaced', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 5 })),
        fc.constantFrom('', ' ', '\t', '\n  '),
        (value, space) => {
          const text = JSON.stringify(value, null, space)
          assert.deepEqual(read(text), JSON.parse(text))
        },
      ),
      propertyOptions(500),
    )
  })

  test('names no member twice, at any depth and in any spelling', () => {
    for (const text of [
      '{"a":1,"a":1}',
      '{"a":1,"\\u0061":2}',
      '{"a" : {}, "b": 1, "a"\n:[]}',
      '{"a":{"a":1},"b":[{"c":1,"c":2}]}',
      '{"__proto__":1,"__proto__":2}',
      '{"":1,"":2}',
      '{"a":{"x":1,"y":2},"a":{"x":1,"y":2,"z":3}}',
    ]) {
      assert.equal(read(text), 'duplicate_member', text)
    }
    for (const text of [
      '{"a":":","b":"\\":","c":"\\\\"}',
      '{"a":["b","b"],"b":{"a":{"a":"a"}}}',
      '{"__proto__":{"__proto__":1}}',
      '{ "a" :\t"\\"a\\":1, \\"a\\":2" , "b":\r\n["a",{"a":"b"},[],{}]}',
      '{}',
    ]) {
      assert.deepEqual(read(text), JSON.parse(text), text)
    }
  })

  test('is an object, in UTF-8, and not too deep', () => {
    for (const text of ['', '1', '"a"', 'null', '[]', '{"a":1', "{'a':1}", '{"a":1}x']) {
      assert.equal(read(text), 'malformed', text)
    }
    assert.equal(parseStrictObject(Buffer.from('{"a":"é"}', 'latin1')), 'malformed')
    const nested = (depth: number) => `{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`
    assert.equal(typeof read(nested(32)), 'object')
    assert.equal(read(nested(33)), 'malformed')
    assert.equal(read(nested(5_000)), 'malformed')
  })
})
