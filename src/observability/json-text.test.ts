import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { jsonText } from './json-text.ts'

test('any text comes back from its JSON, which is printable ASCII', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const json = jsonText(text)
      assert.match(json, /^[\x20-\x7e]*$/)
      assert.equal(JSON.parse(json), text)
    }),
  )
})

test('lone surrogates, quotes and control characters are no exception', () => {
  for (const text of ['\ud800', 'a"b\\c', '\u0000\n\r\t\u007f\u2028', '\xff\xe9']) {
    assert.equal(JSON.parse(jsonText(text)), text)
  }
})

test('what is too long keeps its beginning', () => {
  assert.equal(jsonText('x'.repeat(100), 5), '"xxxxx..."')
  assert.equal(jsonText('\nxxxxxxx', 5), '"\\nxxxx..."')
})
