import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CommandFolder, SHOP } from './cli.test-support.ts'

const folder = new CommandFolder()

describe('explain', () => {
  async function explained(...args: string[]) {
    folder.write('gatehouse.yaml', SHOP)
    return JSON.parse((await folder.run('explain', ...args, '--json')).out)
  }

  test('says who takes a request, who lost and why, what runs, and what is sent where', async () => {
    const args = ['GET', 'http://shop.example/users/J%C3%BC?q=1', '-H', 'X-Version: 2']
    const { candidates, otherRoutes, route, params, policies, forward, refused } = await explained(
      ...args,
    )
    assert.deepEqual(
      candidates.map((it: Record<string, unknown>) => [it.id, it.matched, it.reason]),
      [
        ['GET:/users/{id}', true, 'matched'],
        ['/users/*', false, 'would match, outranked by GET:/users/{id}'],
      ],
    )
    assert.equal(otherRoutes, 2)
    assert.equal(route, 'GET:/users/{id}')
    assert.deepEqual(params, { id: 'Jü' })
    assert.equal(refused, null)
    assert.deepEqual(
      policies.map(({ id, mode }: Record<string, unknown>) => [id, mode]),
      [
        ['request-id', 'enforce'],
        ['small', 'shadow'],
      ],
    )
    assert.equal(forward.target, '/v2/J%C3%BC?q=1')
    assert.equal(forward.host, 'shop.example')
    assert.deepEqual(forward.services, [
      {
        service: 'users',
        share: 75,
        balance: 'p2c',
        retries: 1,
        hedge: null,
        concurrency: null,
        discover: null,
        zone: null,
        endpoints: [{ url: 'http://127.0.0.1:4001', weight: 1, priority: 0, zone: null }],
      },
      {
        service: 'orders',
        share: 25,
        balance: 'round-robin',
        retries: 1,
        hedge: null,
        concurrency: null,
        discover: null,
        zone: null,
        endpoints: [
          { url: 'http://127.0.0.1:4002', weight: 1, priority: 0, zone: null },
          { url: 'http://127.0.0.1:4003', weight: 3, priority: 0, zone: null },
        ],
      },
    ])
  })

  test('says how much a request matters, and what bounds those in flight', async () => {
    folder.write(
      'gatehouse.yaml',
      `listen: http://127.0.0.1:8080
services:
  a: { url: http://127.0.0.1:4001, concurrency: { limit: 20, queue: { max: 5, timeout: 2s } } }
  b: { url: http://127.0.0.1:4002, concurrency: { adaptive: gradient, queue: { max: 0 } } }
routes: [{ importance: high, to: [{ service: a }, { service: b }] }]`,
    )
    const { out } = await folder.run('explain', 'GET', '/')
    assert.match(out, /importance {2}high/)
    assert.match(out, /limit {7}at most 20 in flight, 5 wait up to 2s/)
    assert.match(out, /limit {7}at most 4 to 1000 \(gradient\) in flight, none wait/)
  })

  test('says which condition a route lost by', async () => {
    const { candidates, route } = await explained('GET', '/users/7')
    assert.equal(candidates[0].reason, 'header x-version')
    assert.equal(route, '/users/*')
    assert.equal((await explained('GET', '/users/7', '--all')).candidates.length, 4)
  })

  test('says what Gatehouse answers itself', async () => {
    assert.deepEqual((await explained('GET', '/nowhere')).refused, {
      status: 404,
      code: 'route_not_found',
      reason: 'no route takes it',
    })
    assert.equal((await explained('GET', '/users/../x')).refused.code, 'bad_target')
    assert.match((await explained('GET', '/users//x')).refused.reason, /does not allow it/)
    assert.deepEqual((await explained('GET', 'http://OLD.example:81/?a')).redirect, {
      status: 308,
      location: '/new?a',
    })
    assert.deepEqual((await explained('GET', '/ping')).respond, { status: 200, body: 'pong' })
  })

  test('says who gets a copy', async () => {
    folder.write(
      'mirror.yaml',
      [
        'listen: http://127.0.0.1:8080',
        'services: { a: http://127.0.0.1:4001, b: http://127.0.0.1:4002 }',
        'routes: [{ to: a, mirror: { to: b, share: 0.125 } }]',
      ].join('\n'),
    )
    const asked = async (...args: string[]) =>
      (await folder.run('explain', ...args.slice(0, 2), 'mirror.yaml', ...args.slice(2))).out
    assert.deepEqual(JSON.parse(await asked('GET', '/x', '--json')).forward.mirror, {
      service: 'b',
      share: 12.5,
    })
    assert.match(await asked('GET', '/x'), /^ {2}copy to {5}b, 12.5 % of such requests$/m)
    assert.doesNotMatch(await asked('POST', '/x'), /copy to/)
    const { out } = await folder.run('routes', 'mirror.yaml')
    assert.match(out, /a \(12.5 % also to b\)/)
  })

  test('says where endpoints come from, which stand by, and which are preferred', async () => {
    folder.write('endpoints.yaml', '[]')
    folder.write(
      'zones.yaml',
      `listen: http://127.0.0.1:8080
zone: north
services:
  here:
    endpoints:
      - { url: http://127.0.0.1:4001, zone: north }
      - { url: http://127.0.0.1:4002, zone: south, priority: 1 }
  found: { discover: { file: ./endpoints.yaml } }
  named: { discover: { srv: _http._tcp.orders.internal } }
routes:
  - { path: /here, to: here }
  - { path: /found, to: found }
  - { path: /named, to: named }
`,
    )
    const lines = async (path: string) => {
      const { out } = await folder.run('explain', 'GET', path, 'zones.yaml')
      return out.split('\n').filter((line) => /^ {2}endpoint/.test(line))
    }
    assert.deepEqual(await lines('/here'), [
      '  endpoint    http://127.0.0.1:4001, zone north (preferred)',
      '  endpoint    http://127.0.0.1:4002, stands by with priority 1, zone south',
    ])
    assert.match(
      (await lines('/found'))[0]!,
      /^ {2}endpoints {3}found by the file .*endpoints.yaml$/,
    )
    assert.deepEqual(await lines('/named'), [
      '  endpoints   found by SRV records of _http._tcp.orders.internal',
    ])
  })

  test('says the same to people', async () => {
    folder.write('gatehouse.yaml', SHOP)
    const { out } = await folder.run(
      'explain',
      'GET',
      '/users/7',
      '-H',
      'X-Version: 2',
      '--from',
      '192.0.2.1',
    )
    assert.equal(
      out,
      `GET /users/7  host (none), from 192.0.2.1

Routes, in the order in which they are tried
  + GET:/users/{id}  * /users/{id} -> users*3 orders*1  takes it
  - /users/*         * /users/* -> users                would match, outranked by GET:/users/{id}
  2 for other hosts and paths

Policies, in the order in which they run
  1. request-id
  2. small       body-limit, shadow: never acts, when request.method == 'PUT'  skipped: the condition does not hold

Forwarded
  parameters  id=7
  target      /v2/7
  host        (none)
  service     users (75 %), p2c
  retries     1
  endpoint    http://127.0.0.1:4001
  service     orders (25 %), round-robin
  retries     1
  endpoint    http://127.0.0.1:4002
  endpoint    http://127.0.0.1:4003 weight 3
`,
    )
  })

  test('says what of a request is sent again, or twice', async () => {
    folder.write(
      'gatehouse.yaml',
      [
        'listen: http://127.0.0.1:8080',
        'services:',
        '  a: { url: http://127.0.0.1:4001, retries: { attempts: 2 }, hedge: { after: p95 } }',
        '  b: { url: http://127.0.0.1:4001, hedge: { after: 50ms, max: 2 } }',
        'routes:',
        '  - { path: /a, to: a }',
        '  - { path: /b, to: b, retries: { attempts: 3 } }',
        '  - { path: /never, to: a, retries: false }',
      ].join('\n'),
    )
    for (const [path, text] of [
      ['/a', 'retries     2, hedged after p95'],
      ['/b', 'retries     3, hedged after 50ms, up to 2'],
      ['/never', 'retries     none'],
    ] as const) {
      const { out } = await folder.run('explain', 'GET', path)
      assert.ok(out.includes(`  ${text}\n`), out)
    }
  })
})
