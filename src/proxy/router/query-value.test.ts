// The first parameter of a name is found and decoded, as URLSearchParams would.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { queryValue } from './query-value.ts'

describe('a query parameter', () => {
  const cases: [query: string, name: string, value: string | null][] = [
    ['', 'a', null],
    ['a=1', 'a', '1'],
    ['b=2&a=1&a=3', 'a', '1'],
    ['a', 'a', ''],
    ['a=', 'a', ''],
    ['&&a=1', 'a', '1'],
    ['ab=1&ba=2', 'a', null],
    ['x=a=1', 'a', null],
    ['a=1=2', 'a', '1=2'],
    ['%61=1', 'a', '1'],
    ['a+b=c+d%2B', 'a b', 'c d+'],
    ['a=%C3%A9', 'a', 'é'],
    ['a=%ff%zz', 'a', '\ufffd%zz'],
  ]
  for (const [query, name, value] of cases) {
    test(`"${name}" of "${query}"`, () => assert.equal(queryValue(query, name), value))
  }

  test('agrees with URLSearchParams', () => {
    const unit = fc.constantFrom('a', 'b', '=', '&', '+', '%61', '%3d', '%26', '%C3%A9', '%')
    fc.assert(
      fc.property(
        fc.string({ unit, maxLength: 12 }),
        fc.constantFrom('a', 'b', 'aa', 'a b', 'é'),
        (query, name) => {
          assert.equal(queryValue(query, name), new URLSearchParams(query).get(name))
        },
      ),
      { numRuns: 500 },
    )
  })
})
