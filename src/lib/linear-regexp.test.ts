// Patterns from configuration match like those of the language, but can neither hang nor surprise.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { LinearRegExp } from './linear-regexp.ts'

describe('linear regular expression', () => {
  test('matches anywhere unless it is anchored', () => {
    assert.equal(new LinearRegExp('b+').test('abbc'), true)
    assert.equal(new LinearRegExp('^b+').test('abbc'), false)
    assert.equal(new LinearRegExp('^a$').test('a\n'), false)
    assert.equal(new LinearRegExp('(?i)^ABC$').test('abc'), true)
  })

  test('hands out named groups', () => {
    const pattern = new LinearRegExp('^/v(?<version>\\d+)(?:/(?P<rest>.*))?$')
    assert.deepEqual(pattern.groupNames, ['version', 'rest'])
    assert.deepEqual({ ...pattern.groups('/v12/a/b') }, { version: '12', rest: 'a/b' })
    assert.deepEqual({ ...pattern.groups('/v12') }, { version: '12', rest: '' })
    assert.equal(pattern.groups('/x'), null)
  })

  for (const pattern of ['(a)\\1', 'a(?=b)', 'a(?!b)', '(?<=a)b', '(?<!a)b', '(?>a)b', 'a++b']) {
    test(`refuses ${pattern} and says why`, () => {
      assert.throws(() => new LinearRegExp(pattern), {
        name: 'SyntaxError',
        message: /linear time/,
      })
    })
  }

  for (const pattern of ['(', 'a**', '[z', 'a{3001}', '((a{100}){100}){100}', 'a'.repeat(5000)]) {
    test(`refuses ${pattern.slice(0, 20)}`, () => {
      assert.throws(() => new LinearRegExp(pattern), SyntaxError)
    })
  }

  test('patterns that ruin a backtracking engine end', () => {
    const text = 'x'.repeat(50_000)
    for (const pattern of [
      '^(x+x+)+y$',
      '^(x|x)*y$',
      '^(.*)(.*)(.*)(.*)(.*)y$',
      '^(x?){50}x{50}y',
    ]) {
      assert.equal(new LinearRegExp(pattern).test(text), false)
    }
  })

  test("agrees with the language's own engine", () => {
    const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '\\d', '(?:a|bc)', '(a)')
    const piece = fc
      .tuple(atom, fc.constantFrom('', '*', '+', '?', '{2}', '{1,3}'))
      .map(([head, tail]) => head + tail)
    const pattern = fc
      .tuple(fc.constantFrom('', '^'), fc.array(piece, { maxLength: 5 }), fc.constantFrom('', '$'))
      .map(([start, pieces, end]) => start + pieces.join('') + end)
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '1', '/'), maxLength: 12 })
    fc.assert(
      fc.property(pattern, text, (source, input) => {
        assert.equal(new LinearRegExp(source).test(input), new RegExp(source).test(input))
      }),
    )
  })
})
