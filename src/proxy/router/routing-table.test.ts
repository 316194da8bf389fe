// The contract of the router: the precedence of DESIGN.md section 4, by examples and against a
// linear scan that applies its sentence word by word.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { entryOf, type Probe, requestOf, type TestEntry, world } from './routing-table.contract.ts'
import { buildRoutingTable, type RoutingTable } from './routing-table.ts'

function tableOf(entries: TestEntry[]) {
  return buildRoutingTable(entries.map(entryOf))
}

/** Which of the routes, given by path alone, takes the path. */
function winner(paths: string[], path: string): string | null {
  return tableOf(paths.map((it) => ({ id: it, path: it }))).find(requestOf({ path }))
}

describe('precedence of paths', () => {
  const cases: [path: string, expected: string | null, ...routes: string[]][] = [
    ['/a', '/a', '/*', '/{x}', '/a/*', '/a'],
    ['/a', '/{x}', '/*', '/{x}', '/a/b'],
    ['/a/b', '/a/{x}', '/{x}/b', '/a/{x}', '/*'],
    ['/c/b', '/{x}/b', '/{x}/b', '/a/{x}', '/*'],
    ['/a/b/c', '/a/*', '/a/*', '/{x}/{y}/{z}', '/*'],
    ['/a/b', '/a/{x}/*', '/a/*', '/a/{x}/*'],
    ['/a/b/d', '/{x}/b/d', '/a/b/c', '/a/{y}/e', '/{x}/b/d'],
    ['/a/b', '/*', '/*', '~ ^/a/b$'],
    ['/a/b', '~ ^/a/b$', '/b/*', '~ ^/a/b$'],
    ['/api/orders', '/api/orders/*', '/api/orders/*'],
    ['/api/orders/', '/api/orders/*', '/api/orders/*'],
    ['/api/orders/1/2', '/api/orders/*', '/api/orders/*'],
    ['/api/orders-2', null, '/api/orders/*'],
    ['/a/', null, '/a'],
    ['/a', null, '/a/'],
    ['/a/', '/a/', '/a', '/a/', '/a/*'],
    ['/a/', null, '/a/{x}'],
    ['/', '/', '/', '/*', '/{x}'],
    ['/', '/*', '/{x}', '/*'],
    ['/a//b', '/a//b', '/a//b', '/a/b'],
    ['/a//b', null, '/a/{x}/b', '/a/b'],
    ['/A', null, '/a'],
  ]
  for (const [path, expected, ...routes] of cases) {
    test(`${path} goes to ${expected} of ${routes.join(' ')}`, () => {
      assert.equal(winner(routes, path), expected)
      assert.equal(winner(routes.toReversed(), path), expected)
    })
  }

  test('a route without a path comes after everything', () => {
    const table = tableOf([{ id: 'any' }, { id: 'regex', path: '~ ^/a' }])
    assert.equal(table.find(requestOf({ path: '/a' })), 'regex')
    assert.equal(table.find(requestOf({ path: '/b' })), 'any')
  })
})

describe('encoded paths', () => {
  const cases: [route: string, path: string, matches: boolean][] = [
    ['/admin', '/%61dmin', true],
    ['/admin', '/%61%64%6D%69%6e', true],
    ['/a b', '/a%20b', true],
    ['/a%20b', '/a%20b', true],
    ['/a:b', '/a%3Ab', true],
    ['/a%3Ab', '/a:b', true],
    ['/café', '/caf%C3%A9', true],
    ['/caf%c3%a9', '/caf%C3%A9', true],
    ['/café', '/caf\xc3\xa9', true],
    ['/a/b', '/a%2Fb', false],
    ['/a%2Fb', '/a%2fb', true],
    ['/a%2Fb', '/a/b', false],
    ['/a%252Fb', '/a%2Fb', false],
    ['/a%252fb', '/a%252fb', true],
    ['/%7Bx%7D', '/{x}', true],
    ['/%2A', '/*', true],
    ['/%2A', '/b', false],
    ['/a%zz', '/a', false],
    ['~ ^/admin$', '/%61dmin', true],
    ['~ ^/café$', '/caf%C3%A9', true],
    ['~ ^/[^/]+$', '/a%2Fb', true],
  ]
  for (const [route, path, matches] of cases) {
    if (route.includes('%zz')) continue
    test(`${route} ${matches ? 'takes' : 'does not take'} ${path}`, () => {
      assert.equal(winner([route], path), matches ? route : null)
    })
  }
})

describe('path parameters', () => {
  const paramsOf = (table: RoutingTable<string>, path: string) =>
    table.lastParameters?.parametersOf(path)

  test('are decoded, separators within them too', () => {
    const table = tableOf([{ id: 'r', path: '/users/{id}/files/{name}/*' }])
    assert.equal(table.find(requestOf({ path: '/users/4%202/files/a%2Fb%25%C3%A9/x/y' })), 'r')
    assert.deepEqual(paramsOf(table, '/users/4%202/files/a%2Fb%25%C3%A9/x/y'), {
      id: '4 2',
      name: 'a/b%é',
    })
  })

  test('are null for a route without any, and after a failed lookup', () => {
    const table = tableOf([
      { id: 'p', path: '/p/{id}' },
      { id: 'q', path: '/q' },
    ])
    table.find(requestOf({ path: '/p/1' }))
    assert.deepEqual(paramsOf(table, '/p/1'), { id: '1' })
    table.find(requestOf({ path: '/q' }))
    assert.equal(table.lastParameters, null)
    table.find(requestOf({ path: '/p/1' }))
    table.find(requestOf({ path: '/x' }))
    assert.equal(table.lastParameters, null)
  })

  test('of a regular expression are its named groups', () => {
    const table = tableOf([{ id: 'r', path: '~ ^/v(?<version>[0-9]+)/(?<rest>.*)$' }])
    table.find(requestOf({ path: '/v2/a/%62' }))
    assert.deepEqual({ ...paramsOf(table, '/v2/a/%62') }, { version: '2', rest: 'a/b' })
  })

  test('names are those of the route that won', () => {
    const table = tableOf([
      { id: 'posts', path: '/x/{post}', methods: ['POST'] },
      { id: 'gets', path: '/x/{get}', methods: ['GET'] },
    ])
    assert.equal(table.find(requestOf({ path: '/x/1' })), 'gets')
    assert.deepEqual(paramsOf(table, '/x/1'), { get: '1' })
  })
})

describe('precedence of hosts', () => {
  const table = tableOf([
    { id: 'exact', hosts: ['api.example.com'], path: '/only' },
    { id: 'deep', hosts: ['*.eu.example.com'] },
    { id: 'wide', hosts: ['*.example.com'] },
    { id: 'two', hosts: ['one.test', 'two.test'], path: '/x' },
    { id: 'v6', hosts: ['[2001:DB8::1]'], path: '/x' },
    { id: 'idn', hosts: ['bücher.example'], path: '/x' },
    { id: 'any', path: '/x' },
  ])
  const cases: [host: string, path: string, expected: string | null][] = [
    ['api.example.com', '/only', 'exact'],
    ['api.example.com', '/x', 'wide'],
    ['api.example.com.', '/only', 'exact'],
    ['a.eu.example.com', '/x', 'deep'],
    ['a.b.eu.example.com', '/x', 'deep'],
    ['eu.example.com', '/x', 'wide'],
    ['example.com', '/x', 'any'],
    ['.example.com', '/x', 'any'],
    ['badexample.com', '/x', 'any'],
    ['one.test', '/x', 'two'],
    ['two.test', '/x', 'two'],
    ['[2001:db8::1]', '/x', 'v6'],
    ['xn--bcher-kva.example', '/x', 'idn'],
    ['', '/x', 'any'],
    ['', '/y', null],
  ]
  for (const [host, path, expected] of cases) {
    test(`${host}${path} goes to ${expected}`, () => {
      assert.equal(table.find(requestOf({ host, path })), expected)
    })
  }
})

describe('conditions', () => {
  test('more of them win in the order of the sentence, priority comes last', () => {
    const entries: TestEntry[] = [
      { id: 'method', methods: ['GET'] },
      {
        id: 'two headers',
        headers: [
          ['a', 'present'],
          ['b', 'present'],
        ],
      },
      { id: 'header', headers: [['a', 'present']], query: [['q', 'present']] },
      { id: 'query', query: [['q', 'present']], clientIps: ['10.0.0.0/8'] },
      { id: 'ip', clientIps: ['10.0.0.0/8'] },
      { id: 'priority', priority: 5 },
      { id: 'plain' },
      { id: 'last', priority: -1 },
    ]
    const request = requestOf({
      path: '/x',
      query: 'q=1',
      headers: { a: '1', b: '2' },
      clientIp: '10.1.1.1',
    })
    for (let first = 0; first < entries.length; first++) {
      const table = tableOf(entries.slice(first).toReversed())
      assert.equal(table.find(request), entries[first]!.id)
      assert.deepEqual(
        table.list().map((row) => row.entry.id),
        entries.slice(first).map((entry) => entry.id),
      )
    }
  })

  const cases: [condition: TestEntry, request: Probe, matches: boolean][] = [
    [{ headers: [['X-Tenant', 'exact', 'a']] }, { headers: { 'x-tenant': 'a' } }, true],
    [{ headers: [['X-Tenant', 'exact', 'a']] }, { headers: { 'x-tenant': 'A' } }, false],
    [{ headers: [['x', 'prefix', 'ab']] }, { headers: { x: 'abc' } }, true],
    [{ headers: [['x', 'regex', '^[0-9]+$']] }, { headers: { x: '12' } }, true],
    [{ headers: [['x', 'regex', '^[0-9]+$']] }, { headers: { x: '1a' } }, false],
    [{ headers: [['x', 'absent']] }, { headers: {} }, true],
    [{ headers: [['x', 'absent']] }, { headers: { x: '' } }, false],
    [{ headers: [['x', 'present']] }, { headers: { x: '' } }, true],
    [{ query: [['v', 'exact', '2']] }, { query: 'a=1&v=2' }, true],
    [{ query: [['v', 'exact', '2']] }, { query: 'v=1&v=2' }, false],
    [{ query: [['v', 'absent']] }, { query: 'va=1&av=2' }, true],
    [{ query: [['v', 'present']] }, { query: 'v' }, true],
    [{ clientIps: ['10.0.0.0/8', '::1'] }, { clientIp: '::ffff:10.2.3.4' }, true],
    [{ clientIps: ['10.0.0.0/8', '::1'] }, { clientIp: '11.0.0.1' }, false],
    [{ methods: ['GET'] }, { method: 'HEAD' }, true],
    [{ methods: ['POST'] }, { method: 'HEAD' }, false],
    [{ methods: ['PROPFIND'] }, { method: 'PROPFIND' }, true],
    [{ methods: ['GET'] }, { method: 'get' }, false],
  ]
  for (const [condition, probe, matches] of cases) {
    test(`${JSON.stringify(condition)} ${matches ? 'takes' : 'refuses'} ${JSON.stringify(probe)}`, () => {
      assert.equal(
        tableOf([{ ...condition, id: 'r' }]).find(requestOf(probe)),
        matches ? 'r' : null,
      )
    })
  }

  test('when they fail, the next candidate is tried, down to another host', () => {
    const table = tableOf([
      { id: 'host', hosts: ['a.test'], path: '/x/{id}', headers: [['beta', 'present']] },
      { id: 'literal', path: '/x/1', query: [['q', 'exact', '1']] },
      { id: 'parameter', path: '/x/{id}', clientIps: ['192.0.2.0/24'] },
      { id: 'wildcard', path: '/x/*' },
    ])
    const to = (probe: Probe) => table.find(requestOf({ host: 'a.test', path: '/x/1', ...probe }))
    assert.equal(to({ headers: { beta: '' } }), 'host')
    assert.equal(to({ query: 'q=1' }), 'literal')
    assert.equal(to({ clientIp: '192.0.2.9' }), 'parameter')
    assert.equal(to({}), 'wildcard')
  })
})

describe('a wrong method', () => {
  const table = tableOf([
    { id: 'read', path: '/x', methods: ['GET'] },
    { id: 'write', path: '/x', methods: ['PUT', 'DELETE'] },
    { id: 'beta', path: '/x', methods: ['PATCH'], headers: [['beta', 'present']] },
    { id: 'all', path: '/{any}', methods: ['REPORT'] },
    { id: 'host', hosts: ['a.test'], path: '/y', methods: ['GET', 'HEAD'] },
  ])

  test('is reported with the methods of every route that lacked nothing else', () => {
    assert.equal(table.find(requestOf({ path: '/x', method: 'POST' })), null)
    assert.equal(table.allow, 'DELETE, GET, HEAD, PUT, REPORT')
    table.find(requestOf({ path: '/x', method: 'POST', headers: { beta: '1' } }))
    assert.equal(table.allow, 'DELETE, GET, HEAD, PATCH, PUT, REPORT')
  })

  test('is not the reason when something else failed too, and is forgotten by the next lookup', () => {
    table.find(requestOf({ path: '/y', host: 'a.test', method: 'POST' }))
    assert.equal(table.allow, 'GET, HEAD, REPORT')
    table.find(requestOf({ path: '/y/z', host: 'a.test', method: 'POST' }))
    assert.equal(table.allow, null)
    table.find(requestOf({ path: '/x', method: 'POST' }))
    table.find(requestOf({ path: '/x', method: 'GET' }))
    assert.equal(table.allow, null)
    const conditional = tableOf([{ id: 'r', methods: ['GET'], headers: [['a', 'present']] }])
    assert.equal(conditional.find(requestOf({ method: 'POST' })), null)
    assert.equal(conditional.allow, null)
  })

  test('with a regular expression counts only if the path matches', () => {
    const one = tableOf([{ id: 'r', path: '~ ^/a/[0-9]+$', methods: ['GET'] }])
    one.find(requestOf({ path: '/a/1', method: 'POST' }))
    assert.equal(one.allow, 'GET, HEAD')
    one.find(requestOf({ path: '/a/b', method: 'POST' }))
    assert.equal(one.allow, null)
  })
})

describe('a lookup', () => {
  test('is bounded although every segment has alternatives', () => {
    const depth = 40
    const paths = []
    for (let index = 0; index < depth; index++) {
      const names = Array.from({ length: depth }, (_, at) => (at === index ? 'a' : `{p${at}}`))
      paths.push(`/${names.join('/')}/end`)
    }
    paths.push(`/${Array.from({ length: depth }, (_, at) => `{p${at}}`).join('/')}/x`)
    const table = tableOf(paths.map((path, index) => ({ id: `${index}`, path })))
    assert.equal(table.find(requestOf({ path: '/a'.repeat(depth) })), null)
    assert.equal(table.find(requestOf({ path: `${'/a'.repeat(depth)}/y` })), null)
    assert.equal(table.find(requestOf({ path: `${'/a'.repeat(depth)}/x` })), `${depth}`)
    assert.equal(table.find(requestOf({ path: '/a'.repeat(4000) })), null)
  })

  test('of a host of thousands of labels ends at once', () => {
    const table = tableOf([{ id: 'r', hosts: ['*.example.com'] }])
    assert.equal(table.find(requestOf({ host: `${'a.'.repeat(30_000)}example.com` })), 'r')
    assert.equal(table.find(requestOf({ host: 'a.'.repeat(30_000) })), null)
  })
})

describe('an explanation', () => {
  test('names for every route why it lost', () => {
    const table = tableOf([
      { id: 'host', hosts: ['b.test'] },
      { id: 'path', path: '/y/*' },
      { id: 'method', path: '/x', methods: ['POST'] },
      {
        id: 'header',
        path: '/x',
        headers: [
          ['X-A', 'present'],
          ['x-b', 'present'],
        ],
      },
      { id: 'query', path: '/x', query: [['q', 'present']] },
      { id: 'ip', path: '/x', clientIps: ['10.0.0.0/8'] },
      { id: 'won', path: '/x' },
      { id: 'outranked', path: '/*' },
    ])
    const request = requestOf({
      host: 'a.test',
      path: '/x',
      headers: { 'x-a': '1' },
      clientIp: '192.0.2.1',
    })
    const reasons = table.explain(request).map(({ entry, reason }) => [entry.id, reason])
    assert.deepEqual(reasons, [
      ['host', 'host'],
      ['method', 'method'],
      ['header', 'header x-b'],
      ['query', 'query q'],
      ['ip', 'client ip'],
      ['won', 'matched'],
      ['path', 'path'],
      ['outranked', 'would match, outranked by won'],
    ])
  })
})

describe('the list', () => {
  test('is in the order of precedence, whatever the order of the file', () => {
    const order = [
      ['a.test', '/z'],
      ['b.test', '/a'],
      ['*.long.example', '/a'],
      ['*.x.example', '/a'],
      [null, '/'],
      [null, '/a'],
      [null, '/a/b'],
      [null, '/a/{x}'],
      [null, '/a/*'],
      [null, '/{x}/b'],
      [null, '/*'],
      [null, '~ ^/a'],
      [null, null],
    ]
    const entries = order.map(([host, path], index) => ({
      id: `r${index}`,
      hosts: host === null ? [] : [host!],
      path: path!,
    }))
    const rows = tableOf(entries.toReversed()).list()
    assert.deepEqual(
      rows.map(({ host, entry }) => [host, entry.path]),
      order,
    )
  })

  test('has a row for every host of a route', () => {
    const rows = tableOf([{ id: 'r', hosts: ['b.test', 'A.test', 'a.test.'] }]).list()
    assert.deepEqual(
      rows.map((row) => row.host),
      ['a.test', 'b.test'],
    )
  })
})

describe('against a linear scan', () => {
  test('finds what the sentence of precedence says', () => {
    fc.assert(
      fc.property(
        world.entries,
        fc.array(world.probe, { minLength: 5, maxLength: 30 }),
        (entries, probes) => {
          const table = tableOf(entries)
          for (const probe of probes) {
            const request = requestOf(probe)
            const expected = world.scan(entries, probe)
            assert.equal(table.find(request), expected.id)
            assert.equal(table.allow, expected.allow)
            const explained = table.explain(request).find((it) => it.reason === 'matched')
            assert.equal(explained?.entry.id ?? null, expected.id)
          }
        },
      ),
      { numRuns: 300 },
    )
  })
})
