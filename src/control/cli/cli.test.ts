import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach, describe, test } from 'node:test'
import { main } from './cli.ts'
import { makePaint, type Terminal } from './terminal.ts'

const MAIN = join(import.meta.dirname, '../../main.ts')
const root = mkdtempSync(join(tmpdir(), 'gatehouse-cli-'))
after(() => rmSync(root, { recursive: true }))

let directory = root
let count = 0
beforeEach(() => {
  directory = join(root, String(++count))
  mkdirSync(directory)
})

/** Runs a command as `gatehouse` does, without a process of its own. */
async function gatehouse(...args: string[]) {
  let out = ''
  let err = ''
  const terminal: Terminal = {
    cwd: directory,
    out: (text) => {
      out += text
    },
    err: (text) => {
      err += text
    },
    paint: makePaint(false),
    errPaint: makePaint(false),
  }
  return { status: await main(args, terminal), out, err }
}

/** Runs a command in a process of its own. */
function spawnGatehouse(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    cwd: directory,
    encoding: 'utf8',
  })
  return { status, out: stdout, err: stderr }
}

function write(name: string, text: string): void {
  writeFileSync(join(directory, name), text)
}

const SHOP = `listen: http://127.0.0.1:0
admin: false
services:
  users: http://127.0.0.1:4001
  orders: { endpoints: [http://127.0.0.1:4002, { url: http://127.0.0.1:4003, weight: 3 }], balance: round-robin }
use: [request-id]
routes:
  - { path: /users/*, to: users }
  - path: '/users/{id}'
    methods: [GET]
    headers: { x-version: '2' }
    use: [{ body-limit: {}, when: "request.method == 'PUT'", mode: shadow, id: small }]
    rewrite: { path: '/v2/{id}' }
    to: [{ service: users, weight: 3 }, { service: orders }]
  - { host: old.example, redirect: { to: /new } }
  - { path: /ping, respond: { body: pong } }
`

describe('the program', () => {
  test('without a command shows its commands, and that this was not how to call it', async () => {
    const { status, err } = await gatehouse()
    assert.equal(status, 2)
    for (const name of ['run', 'check', 'routes', 'explain', 'init', 'schema', 'version']) {
      assert.match(err, new RegExp(`^  ${name} `, 'm'))
    }
  })

  test('has help for itself and for every command', async () => {
    for (const args of [['--help'], ['-h'], ['help']]) {
      const { status, out } = await gatehouse(...args)
      assert.equal(status, 0)
      assert.match(out, /Usage: gatehouse COMMAND/)
    }
    for (const name of ['run', 'check', 'routes', 'explain', 'init', 'schema', 'version']) {
      const { status, out } = await gatehouse(name, '--help')
      assert.equal(status, 0)
      assert.match(out, new RegExp(`Usage: gatehouse ${name}`))
      assert.match(out, /--help/)
    }
    assert.equal(
      (await gatehouse('help', 'check')).out,
      (await gatehouse('check', '--nonsense', '-h')).out,
    )
  })

  test('suggests commands and options, and exits with 2', async () => {
    for (const [args, pattern] of [
      [['chek'], /no command "chek"; did you mean `gatehouse check`/],
      [['check', '--jsn'], /no option --jsn; did you mean --json/],
      [['check', '-x'], /no option -x/],
      [['check', 'a', 'b'], /"b" is one argument too many/],
      [['check', 'absent.yaml'], /no file .*absent\.yaml/],
      [['check'], /no configuration in .*gatehouse init/],
      [['check', '--json=yes'], /--json takes no value/],
      [['run', '--threads', 'many'], /--threads takes a number from 1 to 64/],
      [['explain', 'GET', '/', '--from'], /--from needs a value/],
      [['explain', 'GET'], /a method and a URL/],
      [['explain', 'GET', 'ftp://a'], /neither a URL/],
      [['explain', 'GET', '/', '-H', 'x'], /not a header/],
      [['explain', 'GET', '/', '--from', 'me'], /not an IP address/],
    ] as const) {
      const { status, out, err } = await gatehouse(...args)
      assert.equal(status, 2, args.join(' '))
      assert.match(err, pattern)
      assert.equal(out, '')
    }
  })

  test('tells its version', async () => {
    const { version } = JSON.parse(readFileSync(join(MAIN, '../../package.json'), 'utf8'))
    assert.ok((await gatehouse('version')).out.startsWith(`gatehouse ${version} (node `))
    assert.equal((await gatehouse('--version')).out, (await gatehouse('version')).out)
    assert.equal(JSON.parse((await gatehouse('version', '--json')).out).version, version)
  })

  test('takes the first default file there is', async () => {
    write(
      'gatehouse.config.ts',
      "export default { listen: 'http://127.0.0.1:0', routes: [{ respond: {} }] }",
    )
    assert.match((await gatehouse('check')).out, /^ok {2}gatehouse\.config\.ts/)
    write('gatehouse.json', '{ "listen": "http://127.0.0.1:0", "routes": [{ "respond": {} }] }')
    assert.match((await gatehouse('check')).out, /^ok {2}gatehouse\.json/)
    write('gatehouse.yaml', SHOP)
    assert.match(
      (await gatehouse('check')).out,
      /^ok {2}gatehouse\.yaml: 1 listener, 4 routes, 2 services$/m,
    )
  })
})

describe('check', () => {
  const WRONG = `listen: http://127.0.0.1:0
services: { users: http://127.0.0.1:4001 }
routes:
  - { path: /a, too: users }
  - { path: /b, to: user }
`

  test('shows every problem with its line, a caret, and what would be right', async () => {
    write('gatehouse.yaml', WRONG)
    const { status, out } = await gatehouse('check')
    assert.equal(status, 1)
    assert.equal(
      out.replace(/expected id, .*/, 'expected ...'),
      `gatehouse.yaml:4:17  error  routes[0].too: there is no setting "too" here
    4 |   - { path: /a, too: users }
                        ^
    expected ...
    did you mean to?

gatehouse.yaml:5:21  error  routes[1].to: there is no service named "user"
    5 |   - { path: /b, to: user }
                            ^
    expected one of users, or a URL
    did you mean users?

2 errors
`.replace('expected id, ...', 'expected ...'),
    )
  })

  test('prints the same as JSON', async () => {
    write('gatehouse.yaml', WRONG)
    const { status, out } = await gatehouse('check', '--json')
    assert.equal(status, 1)
    const { ok, problems } = JSON.parse(out)
    assert.equal(ok, false)
    assert.deepEqual(
      problems.map((it: Record<string, unknown>) => [it.line, it.column, it.path, it.suggestion]),
      [
        [4, 17, 'routes[0].too', 'to'],
        [5, 21, 'routes[1].to', 'users'],
      ],
    )
  })

  test('takes warnings for errors only when asked to', async () => {
    write('gatehouse.yaml', `${SHOP}policies: { unused: { body-limit: {} } }\n`)
    const relaxed = await gatehouse('check')
    assert.equal(relaxed.status, 0)
    assert.match(relaxed.out, /warning {2}policies\.unused/)
    assert.equal((await gatehouse('check', '--strict')).status, 1)
  })
})

describe('routes', () => {
  test('are listed in the order in which they are tried', async () => {
    write('gatehouse.yaml', SHOP)
    const { status, out } = await gatehouse('routes')
    assert.equal(status, 0)
    const rows = out
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ {2,}/))
    assert.deepEqual(rows, [
      ['HOST', 'PATH', 'METHODS', 'CONDITIONS', 'TARGET', 'POLICIES', 'ID'],
      ['old.example', '*', '*', '-', '308 -> /new', 'request-id', 'old.example/*'],
      ['*', '/ping', '*', '-', 'respond 200', 'request-id', '/ping'],
      [
        '*',
        '/users/{id}',
        'GET',
        'header x-version=2',
        'users*3 orders*1',
        'request-id, small',
        'GET:/users/{id}',
      ],
      ['*', '/users/*', '*', '-', 'users', 'request-id', '/users/*'],
    ])
    const json = JSON.parse((await gatehouse('routes', '--json')).out)
    assert.deepEqual(
      json.map(({ id }: { id: string }) => id),
      rows.slice(1).map((row) => row[6]),
    )
  })

  test('of a wrong file are its problems', async () => {
    write('gatehouse.yaml', 'listen: 1')
    const { status, out, err } = await gatehouse('routes')
    assert.equal(status, 1)
    assert.equal(out, '')
    assert.match(err, /gatehouse\.yaml:1:9 {2}error/)
  })
})

describe('explain', () => {
  async function explained(...args: string[]) {
    write('gatehouse.yaml', SHOP)
    return JSON.parse((await gatehouse('explain', ...args, '--json')).out)
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
        endpoints: [{ url: 'http://127.0.0.1:4001', weight: 1 }],
      },
      {
        service: 'orders',
        share: 25,
        balance: 'round-robin',
        endpoints: [
          { url: 'http://127.0.0.1:4002', weight: 1 },
          { url: 'http://127.0.0.1:4003', weight: 3 },
        ],
      },
    ])
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

  test('says the same to people', async () => {
    write('gatehouse.yaml', SHOP)
    const { out } = await gatehouse(
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
  2. small       body-limit, shadow: never acts, when request.method == 'PUT'

Forwarded
  parameters  id=7
  target      /v2/7
  host        (none)
  service     users (75 %), p2c
  endpoint    http://127.0.0.1:4001
  service     orders (25 %), round-robin
  endpoint    http://127.0.0.1:4002
  endpoint    http://127.0.0.1:4003 weight 3
`,
    )
  })
})

describe('init', () => {
  test('writes a file without a problem, for an editor that finds the schema, and only once', async () => {
    assert.equal((await gatehouse('init')).status, 0)
    const text = readFileSync(join(directory, 'gatehouse.yaml'), 'utf8')
    const schema = /^# yaml-language-server: \$schema=(.+)$/m.exec(text)?.[1]
    const { title } = JSON.parse(readFileSync(join(directory, schema!), 'utf8'))
    assert.equal(title, 'Gatehouse configuration')
    assert.equal((await gatehouse('check', '--strict')).status, 0)
    const again = await gatehouse('init')
    assert.equal(again.status, 1)
    assert.match(again.err, /there already/)
    assert.equal(readFileSync(join(directory, 'gatehouse.yaml'), 'utf8'), text)
  })
})

describe('schema', () => {
  test('is JSON, with the policies of plugins when a file names them', async () => {
    const plain = JSON.parse((await gatehouse('schema')).out)
    assert.deepEqual(plain.required, ['listen', 'routes'])
    assert.ok(!JSON.stringify(plain).includes('"stamp"'))
    write(
      'stamp.mjs',
      `const settings = { safeParse: (data) => ({ success: true, data }) }
export default { name: 'stamp', summary: '', settings, examples: [], create: () => ({}) }`,
    )
    write('gatehouse.yaml', `plugins: [./stamp.mjs]\n${SHOP}`)
    assert.equal((await gatehouse('check')).status, 0)
  })
})

describe('in a process of its own', () => {
  test('the exit code and both outputs are those of the command', () => {
    write('gatehouse.yaml', SHOP)
    const fine = spawnGatehouse('check')
    assert.deepEqual(fine, {
      status: 0,
      out: 'ok  gatehouse.yaml: 1 listener, 4 routes, 2 services\n',
      err: '',
    })
    assert.equal(spawnGatehouse('chek').status, 2)
    write('gatehouse.yaml', 'listen: 1')
    assert.equal(spawnGatehouse('routes').status, 1)
  })

  test('`run` does not start with a wrong file', () => {
    write('gatehouse.yaml', 'listen: 1')
    const { status, err } = spawnGatehouse('run')
    assert.equal(status, 1)
    assert.match(err, /gatehouse\.yaml:1:9/)
  })

  test('a reader that goes away early is no failure', () => {
    const command = `'${process.execPath}' '${MAIN}' schema | head -c 1`
    const { status, stdout, stderr } = spawnSync('bash', ['-o', 'pipefail', '-c', command], {
      encoding: 'utf8',
    })
    assert.deepEqual([status, stdout, stderr], [0, '{', ''])
  })
})
