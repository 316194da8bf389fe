// Routes that hide or meet each other are found, others are not, and 10,000 do not take long.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { findOverlaps, findUnreachable } from './overlaps.ts'
import { entryOf, type TestEntry, world } from './routing-table.contract.ts'
import { buildRoutingTable } from './routing-table.ts'

function pairs(entries: TestEntry[]): string[] {
  return findOverlaps(entries.map(entryOf)).map(({ a, b }) => `${a} ${b}`)
}

function hidden(entries: TestEntry[]): string[] {
  return findUnreachable(entries.map(entryOf)).map(({ id, by }) => `${id} by ${by}`)
}

/** Two routes that differ as given. */
function two(a: TestEntry, b: TestEntry): TestEntry[] {
  return [
    { path: '/x', ...a, id: 'a' },
    { path: '/x', ...b, id: 'b' },
  ]
}

describe('overlaps', () => {
  const meeting: [a: TestEntry, b: TestEntry][] = [
    [{}, {}],
    [{ path: '/x/{a}' }, { path: '/%78/{b}' }],
    [{ hosts: ['a.test', 'b.test'] }, { hosts: ['c.test', 'B.test.'] }],
    [{ methods: ['GET', 'POST'] }, { methods: ['POST', 'PUT'] }],
    [{ methods: ['GET'] }, { methods: ['HEAD'] }],
    [{ headers: [['a', 'exact', '1']] }, { headers: [['b', 'exact', '2']] }],
    [{ headers: [['a', 'exact', 'vw']] }, { headers: [['A', 'prefix', 'v']] }],
    [{ headers: [['a', 'prefix', 'v']] }, { headers: [['a', 'regex', '^v']] }],
    [{ headers: [['a', 'regex', 'x']] }, { headers: [['a', 'regex', 'y']] }],
    [{ query: [['q', 'present']] }, { query: [['q', 'exact', '']] }],
    [{ clientIps: ['10.0.0.0/8'] }, { clientIps: ['192.0.2.1', '10.1.0.0/16'] }],
    [{ path: '~ ^/a' }, { path: '~ ^/a/b' }],
    [{ path: '~ a' }, { path: '~ ^/b' }],
    [{ path: null }, { path: null }],
  ]
  for (const [a, b] of meeting) {
    test(`${JSON.stringify(a)} meets ${JSON.stringify(b)}`, () => {
      assert.deepEqual(pairs(two(a, b)), ['a b'])
      assert.deepEqual(pairs(two(b, a)), ['a b'])
      assert.deepEqual(pairs(two({ ...a, priority: 1 }, b)), [], 'a priority separates them')
    })
  }

  const apart: [a: TestEntry, b: TestEntry][] = [
    [{ path: '/x/{a}' }, { path: '/{b}/y' }],
    [{ path: '/x/*' }, { path: '/x/{a}' }],
    [{ path: '/x/*' }, { path: '~ ^/x/' }],
    [{ path: null }, { path: '/*' }],
    [{ hosts: ['a.test'] }, { hosts: ['*.test'] }],
    [{ hosts: ['*.a.test'] }, { hosts: ['*.test'] }],
    [{ methods: ['GET'] }, { methods: ['POST'] }],
    [{ methods: ['GET'] }, {}],
    [{ headers: [['a', 'exact', '1']] }, { headers: [['a', 'exact', '2']] }],
    [{ headers: [['a', 'present']] }, { headers: [['a', 'absent']] }],
    [{ headers: [['a', 'prefix', 'v']] }, { headers: [['a', 'prefix', 'w']] }],
    [{ headers: [['a', 'regex', '^[0-9]$']] }, { headers: [['a', 'exact', 'x']] }],
    [{ headers: [['a', 'present']] }, { query: [['a', 'present']] }],
    [{ clientIps: ['10.0.0.0/8'] }, { clientIps: ['11.0.0.0/8', '::/0'] }],
    [{ path: '~ ^/a/' }, { path: '~ ^/b/' }],
  ]
  for (const [a, b] of apart) {
    test(`${JSON.stringify(a)} does not meet ${JSON.stringify(b)}`, () => {
      assert.deepEqual(pairs(two(a, b)), [])
    })
  }

  test('are found across values and routes that ask for none', () => {
    const entries: TestEntry[] = [
      { id: 'other', headers: [['b', 'present']] },
      { id: 'one', headers: [['a', 'exact', '1']] },
      { id: 'three', headers: [['a', 'exact', '3']] },
    ]
    assert.deepEqual(pairs(entries), ['one other', 'other three'])
    assert.deepEqual(
      hidden(entries.map((it) => (it.id === 'other' ? { ...it, priority: 1 } : it))),
      [],
    )
    assert.deepEqual(
      hidden(
        entries.map((it) =>
          it.id === 'other' ? { headers: [['a', 'present']], id: 'other', priority: 1 } : it,
        ),
      ),
      ['one by other', 'three by other'],
    )
  })

  test('say where', () => {
    const [overlap] = findOverlaps(two({ hosts: ['a.test'] }, { hosts: ['a.test'] }).map(entryOf))
    assert.equal(overlap?.reason, 'both take /x on a.test')
  })

  test('of many equal routes are one for each but the first', () => {
    assert.equal(pairs(Array.from({ length: 50 }, (_, index) => ({ id: `r${index}` }))).length, 49)
  })
})

describe('unreachable routes', () => {
  const found: [outer: TestEntry, inner: TestEntry][] = [
    [{ priority: 1 }, {}],
    [{ priority: 1, methods: ['GET', 'POST'] }, { methods: ['GET'] }],
    [{ priority: 1, headers: [['a', 'present']] }, { headers: [['a', 'exact', '1']] }],
    [{ priority: 1, headers: [['a', 'prefix', 'v']] }, { headers: [['a', 'prefix', 'vw']] }],
    [{ priority: 1, clientIps: ['10.0.0.0/8'] }, { clientIps: ['10.1.0.0/16', '10.2.0.1'] }],
    [{ path: '/*' }, { path: null }],
    [{ path: '/*' }, { path: '~ ^/a' }],
    [{ path: '/api/*' }, { path: '~ ^/api/v[0-9]' }],
    [{ path: '/{a}/b/*' }, { path: '~ ^/api/b/[0-9]', methods: ['GET'] }],
    [{ path: '~ ^/a', priority: 1 }, { path: '~ ^/a' }],
  ]
  for (const [outer, inner] of found) {
    test(`${JSON.stringify(inner)} is never reached beside ${JSON.stringify(outer)}`, () => {
      assert.deepEqual(hidden(two(outer, inner)), ['b by a'])
    })
  }

  const notFound: [outer: TestEntry, inner: TestEntry][] = [
    [{}, {}],
    [{ priority: 1, methods: ['GET'] }, { methods: ['GET', 'PUT'] }],
    [{ priority: 1, methods: ['GET'] }, {}],
    [{ priority: 1, headers: [['a', 'exact', '1']] }, { headers: [['a', 'present']] }],
    [{ priority: 1, hosts: ['a.test'] }, { hosts: ['a.test', 'b.test'] }],
    [{ path: '/api/*' }, { path: '~ ^/api' }],
    [{ path: '/api/*' }, { path: '~ /api/x' }],
    [{ path: '/*', methods: ['GET'] }, { path: null }],
    [{ path: '/x/*', priority: 9 }, { path: '/x/{a}' }],
  ]
  for (const [outer, inner] of notFound) {
    test(`${JSON.stringify(inner)} is reached beside ${JSON.stringify(outer)}`, () => {
      assert.deepEqual(hidden(two(outer, inner)), [])
    })
  }

  test('with several hosts are hidden only if they are under each', () => {
    const hosts = ['a.test', 'b.test']
    assert.deepEqual(
      hidden([
        { id: 'on a', hosts: ['a.test'], priority: 1 },
        { id: 'on b', hosts: ['b.test'], priority: 1 },
        { id: 'both', hosts },
      ]),
      ['both by on b'],
    )
  })
})

describe('against trying requests', () => {
  const probes = fc.array(world.probe, { minLength: 20, maxLength: 60 })

  test('what meets is reported, and what is unreachable is never chosen', () => {
    fc.assert(
      fc.property(world.entries, probes, (entries, requests) => {
        const met = new Set(requests.flatMap((probe) => world.unseparated(entries, probe).flat()))
        const reported = new Set(findOverlaps(entries.map(entryOf)).flatMap(({ a, b }) => [a, b]))
        for (const id of met) assert.ok(reported.has(id), `${id} meets another`)
        const unreachable = new Set(findUnreachable(entries.map(entryOf)).map((it) => it.id))
        for (const probe of requests) {
          const { id } = world.scan(entries, probe)
          assert.ok(id === null || !unreachable.has(id), `${id} is reachable`)
        }
      }),
      { numRuns: 300 },
    )
  })
})

describe('10,000 routes', () => {
  const count = 10_000
  const many = (make: (index: number) => TestEntry) =>
    Array.from({ length: count }, (_, index) => entryOf({ ...make(index), id: `r${index}` }))
  const sets: [name: string, make: (index: number) => TestEntry][] = [
    ['with paths of their own', (index) => ({ path: `/service-${index}/{id}` })],
    ['that one header tells apart', (index) => ({ headers: [['tenant', 'exact', `${index}`]] })],
    [
      'that two parameters tell apart',
      (index) => ({
        query: [
          ['a', 'exact', `${index % 2}`],
          ['b', 'exact', `${index >> 1}`],
        ],
      }),
    ],
    ['of regular expressions', (index) => ({ path: `~ ^/service-${index}x/[0-9]+$` })],
  ]
  for (const [name, make] of sets) {
    test(`${name} are checked without finding anything`, () => {
      const entries = many(make)
      assert.deepEqual(findOverlaps(entries), [])
      assert.deepEqual(findUnreachable(entries), [])
    })
  }

  test('that are all equal are found too', () => {
    assert.equal(findOverlaps(many(() => ({}))).length, count - 1)
  })

  test('make a table that is listed in full', () => {
    assert.equal(buildRoutingTable(many((index) => ({ path: `/s/${index}` }))).list().length, count)
  })
})
