// Paths that a person writes are understood or refused with a reason; paths and text convert into
// each other without changing what they mean.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { literalPrefix, matchesPath, parsePathPattern } from './path-pattern.ts'
import { canonicalPath, decodeSegment, encodePathText, encodeSegment } from './path-text.ts'

describe('a path pattern', () => {
  const wrong: [text: string, reason: RegExp][] = [
    ['', /begins with/],
    ['users', /begins with/],
    ['*', /begins with/],
    ['/a/*/b', /only at the end/],
    ['/a*', /only at the end/],
    ['/v{version}', /whole segment/],
    ['/{}', /whole segment/],
    ['/{1a}', /whole segment/],
    ['/{a}/{a}', /twice/],
    ['/a?b=c', /query/],
    ['/a#b', /"#"/],
    ['/a/../b', /never match/],
    ['/a/%2e', /never match/],
    ['/100%', /%25/],
    ['/a%2', /%25/],
    ['~', /follows/],
    ['~ (', /missing/],
    ['~ ^/(?=a)', /linear time/],
    [`${'/a'.repeat(101)}`, /100 segments/],
  ]
  for (const [text, reason] of wrong) {
    test(`"${text.slice(0, 30)}" is refused`, () => {
      assert.throws(() => parsePathPattern(text), { name: 'SyntaxError', message: reason })
    })
  }

  test('has the same shape as another if both match the same paths', () => {
    const shape = (text: string) => parsePathPattern(text).shape
    assert.equal(shape('/a/{x}/*'), shape('/%61/{y}/*'))
    assert.notEqual(shape('/a/*'), shape('/a/%2A'))
    assert.notEqual(shape('/a/{x}'), shape('/a/%7Bx%7D'))
    assert.notEqual(shape('/a/{x}'), shape('/a/%7B%7D'))
    assert.notEqual(shape('/a'), shape('/a/'))
    assert.notEqual(shape('/a/b'), shape('/a%2Fb'))
    assert.notEqual(shape('/'), shape('/*'))
  })
})

describe('the plain text an expression begins with', () => {
  const cases: [source: string, prefix: string][] = [
    ['^/api/v[0-9]+', '/api/v'],
    ['^/api/?$', '/api'],
    ['^/api/*', '/api'],
    ['^/ab{2}', '/a'],
    ['^/ab+', '/ab'],
    ['^/a$', '/a'],
    ['/a', ''],
    ['^/a|^/b', ''],
    ['^/(a|b)', '/'],
    ['^/[|]a', '/'],
    ['^/a[)]|b', ''],
    ['^/a[]|]b', '/a'],
    ['^/a[[:alpha:])]|b', ''],
    ['^/a\\|b', '/a'],
    ['^/a\\Q(\\E|b', ''],
    ['(?i)^/a', ''],
    ['^', ''],
    ['^?a', ''],
  ]
  for (const [source, prefix] of cases) {
    test(`of ${source} is "${prefix}"`, () => assert.equal(literalPrefix(source), prefix))
  }

  test('is one that every match has', () => {
    const piece = fc.constantFrom(
      'a',
      'b',
      '/',
      '.',
      '[ab]',
      '(a|b)',
      '(?:a)',
      '\\/',
      'a*',
      'b?',
      'a{2}',
      'b+',
      '|',
      '$',
    )
    const source = fc.array(piece, { maxLength: 6 }).map((it) => `^${it.join('')}`)
    const path = fc
      .string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 6 })
      .map((it) => `/${it}`)
    fc.assert(
      fc.property(source, path, (expression, text) => {
        const pattern = parsePathPattern(`~${expression}`)
        if (matchesPath(pattern, text)) assert.ok(text.startsWith(pattern.prefix))
      }),
      { numRuns: 500 },
    )
  })
})

describe('text in paths', () => {
  test('survives being encoded as a segment and decoded', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const encoded = encodeSegment(text)
        assert.equal(decodeSegment(encoded), text)
        assert.equal(encoded.includes('/'), false)
        assert.match(encoded, /^[\x21-\x7e]*$/)
      }),
    )
  })

  test('keeps separators and octets where they are kept', () => {
    assert.equal(encodePathText('a/b%2Fc é'), 'a/b%2Fc%20%C3%A9')
    assert.equal(encodeSegment('a/b%2F'), 'a%2Fb%252F')
  })

  test('in canonical form is the same whatever was encoded', () => {
    const byte = fc.integer({ min: 1, max: 255 }).filter((it) => it !== 0x25 && it !== 0x2f)
    fc.assert(
      fc.property(fc.array(fc.tuple(byte, fc.boolean())), (bytes) => {
        const plain = String.fromCharCode(...bytes.map(([code]) => code))
        const mixed = bytes
          .map(([code, encoded]) =>
            encoded ? `%${code.toString(16).padStart(2, '0')}` : String.fromCharCode(code),
          )
          .join('')
        assert.equal(canonicalPath(mixed), plain)
        assert.equal(canonicalPath(plain), plain)
      }),
    )
  })

  test('that is not validly encoded does no harm', () => {
    assert.equal(canonicalPath('/%/%4/%zz/%41'), '/%/%4/%zz/A')
    assert.equal(decodeSegment('%ff%zz'), '\ufffd%zz')
  })
})
