// Differences of JSON values, beside node's own deep equality.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { propertyOptions } from '../../../../test/support/property.ts'
import { DIFFERENCES_MAX, IgnoredPaths, JsonDifference } from './json-difference.ts'

/** All pointers, found in steps of so many members. */
function differences(a: unknown, b: unknown, ignore: readonly string[] = [], step = 3): string[] {
  const difference = new JsonDifference(a, b, IgnoredPaths.of(ignore))
  for (let steps = 0; !difference.step(step); steps++) assert.ok(steps < 100_000, 'it never ends')
  return difference.pointers
}

describe('pointers', () => {
  const cases: [string, unknown, unknown, string[]][] = [
    ['of members', { a: 1, b: { c: [1, 2] } }, { a: 2, b: { c: [1, 3] } }, ['/a', '/b/c/1']],
    ['of what only one has', { a: 1, b: 2 }, { a: 1, c: null }, ['/b', '/c']],
    ['of arrays of other lengths', [1, 2, 3], [1], ['/1', '/2']],
    [
      'of other types',
      { a: [], b: {}, c: null, d: '1' },
      { a: {}, b: null, c: 0, d: 1 },
      ['/a', '/b', '/c', '/d'],
    ],
    ['of the whole', [1], { 0: 1 }, ['']],
    ['with their escapes', { 'a/b': { '~': 1 } }, { 'a/b': { '~': 2 } }, ['/a~1b/~0']],
    ['of empty names', { '': { '': 1 } }, { '': { '': 2 } }, ['//']],
  ]
  for (const [name, a, b, pointers] of cases) {
    test(name, () => assert.deepEqual(differences(a, b), pointers))
  }

  test('of names that every object has', () => {
    const a = JSON.parse('{"__proto__":{"x":1},"constructor":1}')
    assert.deepEqual(differences(a, {}), ['/__proto__', '/constructor'])
    assert.deepEqual(differences(a, JSON.parse('{"__proto__":{"x":2},"constructor":1}')), [
      '/__proto__/x',
    ])
  })

  test('are few and short, however much differs', () => {
    const a = Array.from({ length: 1000 }, (_, i) => ({ ['k'.repeat(1000)]: i }))
    const found = differences(
      a,
      a.map(() => ({})),
    )
    assert.equal(found.length, DIFFERENCES_MAX)
    for (const pointer of found) assert.ok(pointer.length < 250, String(pointer.length))
  })

  test('of what lies as deep as text can say', () => {
    const deep = (value: string) => JSON.parse(`${'['.repeat(50_000)}${value}${']'.repeat(50_000)}`)
    assert.deepEqual(differences(deep('1'), deep('1')), [])
    assert.equal(differences(deep('1'), deep('2')).length, 1)
  })
})

describe('what is ignored', () => {
  const cases: [string, string[], unknown, unknown, string[]][] = [
    ['a member', ['/a'], { a: 1, b: 1 }, { a: 2, b: 2 }, ['/b']],
    ['all below it', ['/a'], { a: { b: 1 } }, { a: { b: 2 } }, []],
    ['one that only one has', ['/a'], { a: 1 }, {}, []],
    ['in every element', ['/*/id'], [{ id: 1 }, { id: 2, x: 1 }], [{ id: 3 }, { id: 4 }], ['/1/x']],
    ['in any member', ['/*/id'], { p: { id: 1 } }, { p: { id: 2 } }, []],
    ['one name beside any', ['/*/x', '/a/y'], { a: { x: 1, y: 1, z: 1 } }, { a: {} }, ['/a/z']],
    ['but not where the path only passes', ['/a/b'], { a: 1 }, { a: 2 }, ['/a']],
    ['an index', ['/1'], [1, 2, 3], [1, 0, 0], ['/2']],
    ['with escapes', ['/a~1b', '/~0', '/~01'], { 'a/b': 1, '~': 1, '~1': 1 }, {}, []],
  ]
  for (const [name, ignore, a, b, pointers] of cases) {
    test(name, () => assert.deepEqual(differences(a, b, ignore), pointers))
  }
})

const json = fc.jsonValue({ maxDepth: 4 }).map((value) => JSON.parse(JSON.stringify(value)))

test('there is no difference exactly where values are deeply equal', () => {
  fc.assert(
    fc.property(json, json, fc.integer({ min: 1, max: 5 }), (a, b, step) => {
      // Node tells 0 from -0; JSON numbers are the same.
      const isEqual = isDeepStrictEqual(unsigned(a), unsigned(b))
      assert.equal(differences(a, b, [], step).length === 0, isEqual)
      assert.equal(differences(b, a, [], step).length === 0, isEqual)
      assert.deepEqual(differences(a, structuredClone(a), [], step), [])
    }),
    propertyOptions(300),
  )
})

test('what differs is found, at a place where values differ, and is no difference once ignored', () => {
  fc.assert(
    fc.property(json, json, (a, b) => {
      for (const pointer of differences(a, b)) {
        assert.notDeepEqual(at(unsigned(a), pointer), at(unsigned(b), pointer))
        if (pointer === '') continue
        assert.ok(!differences(a, b, [pointer]).includes(pointer))
      }
      const all = differences(a, b)
      if (all.length < DIFFERENCES_MAX && !all.includes('') && !all.some(hasStar)) {
        assert.deepEqual(differences(a, b, all), [])
      }
    }),
    propertyOptions(300),
  )
})

function hasStar(pointer: string): boolean {
  return pointer.split('/').includes('*')
}

function unsigned(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

const MISSING = Symbol('missing')

function at(value: unknown, pointer: string): unknown {
  let found = value
  for (const token of pointer.split('/').slice(1)) {
    const key = token.replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, key)) return MISSING
    found = (found as Record<string, unknown>)[key]
  }
  return found
}
