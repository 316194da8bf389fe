import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { CommandFolder, MAIN, ROOT, SHOP } from './cli.test-support.ts'

const folder = new CommandFolder()

describe('the program', () => {
  test('without a command shows its commands, and that this was not how to call it', async () => {
    const { status, err } = await folder.run()
    assert.equal(status, 2)
    for (const name of ['run', 'check', 'routes', 'explain', 'init', 'schema', 'version']) {
      assert.match(err, new RegExp(`^  ${name} `, 'm'))
    }
  })

  test('has help for itself and for every command', async () => {
    for (const args of [['--help'], ['-h'], ['help']]) {
      const { status, out } = await folder.run(...args)
      assert.equal(status, 0)
      assert.match(out, /Usage: gatehouse COMMAND/)
    }
    for (const name of ['run', 'check', 'routes', 'explain', 'init', 'schema', 'version']) {
      const { status, out } = await folder.run(name, '--help')
      assert.equal(status, 0)
      assert.match(out, new RegExp(`Usage: gatehouse ${name}`))
      assert.match(out, /--help/)
    }
    assert.equal(
      (await folder.run('help', 'check')).out,
      (await folder.run('check', '--nonsense', '-h')).out,
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
      const { status, out, err } = await folder.run(...args)
      assert.equal(status, 2, args.join(' '))
      assert.match(err, pattern)
      assert.equal(out, '')
    }
  })

  test('tells its version', async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    assert.ok((await folder.run('version')).out.startsWith(`gatehouse ${version} (node `))
    assert.equal((await folder.run('--version')).out, (await folder.run('version')).out)
    assert.equal(JSON.parse((await folder.run('version', '--json')).out).version, version)
  })

  test('takes the first default file there is', async () => {
    folder.write(
      'gatehouse.config.ts',
      "export default { listen: 'http://127.0.0.1:0', routes: [{ respond: {} }] }",
    )
    assert.match((await folder.run('check')).out, /^ok {2}gatehouse\.config\.ts/)
    folder.write(
      'gatehouse.json',
      '{ "listen": "http://127.0.0.1:0", "routes": [{ "respond": {} }] }',
    )
    assert.match((await folder.run('check')).out, /^ok {2}gatehouse\.json/)
    folder.write('gatehouse.yaml', SHOP)
    assert.match(
      (await folder.run('check')).out,
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
    folder.write('gatehouse.yaml', WRONG)
    const { status, out } = await folder.run('check')
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
    folder.write('gatehouse.yaml', WRONG)
    const { status, out } = await folder.run('check', '--json')
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
    folder.write('gatehouse.yaml', `${SHOP}policies: { unused: { body-limit: {} } }\n`)
    const relaxed = await folder.run('check')
    assert.equal(relaxed.status, 0)
    assert.match(relaxed.out, /warning {2}policies\.unused/)
    assert.equal((await folder.run('check', '--strict')).status, 1)
  })
})

describe('routes', () => {
  test('are listed in the order in which they are tried', async () => {
    folder.write('gatehouse.yaml', SHOP)
    const { status, out } = await folder.run('routes')
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
    const json = JSON.parse((await folder.run('routes', '--json')).out)
    assert.deepEqual(
      json.map(({ id }: { id: string }) => id),
      rows.slice(1).map((row) => row[6]),
    )
  })

  test('of a wrong file are its problems', async () => {
    folder.write('gatehouse.yaml', 'listen: 1')
    const { status, out, err } = await folder.run('routes')
    assert.equal(status, 1)
    assert.equal(out, '')
    assert.match(err, /gatehouse\.yaml:1:9 {2}error/)
  })
})

describe('init', () => {
  test('writes a file without a problem, for an editor that finds the schema, and only once', async () => {
    assert.equal((await folder.run('init')).status, 0)
    const text = readFileSync(join(folder.directory, 'gatehouse.yaml'), 'utf8')
    const schema = /^# yaml-language-server: \$schema=(.+)$/m.exec(text)?.[1]
    const { title } = JSON.parse(readFileSync(join(folder.directory, schema!), 'utf8'))
    assert.equal(title, 'Gatehouse configuration')
    assert.equal((await folder.run('check', '--strict')).status, 0)
    const again = await folder.run('init')
    assert.equal(again.status, 1)
    assert.match(again.err, /there already/)
    assert.equal(readFileSync(join(folder.directory, 'gatehouse.yaml'), 'utf8'), text)
  })
})

describe('schema', () => {
  test('is JSON, with the policies of plugins when a file names them', async () => {
    const plain = JSON.parse((await folder.run('schema')).out)
    assert.deepEqual(plain.required, ['listen', 'routes'])
    mkdirSync(join(folder.directory, 'node_modules'))
    symlinkSync(join(ROOT, 'node_modules/zod'), join(folder.directory, 'node_modules/zod'))
    folder.write(
      'stamp.ts',
      `import { z } from 'zod'
const settings = z.strictObject({ ink: z.string() })
export default { name: 'stamp', summary: '', settings, examples: [], create: () => ({}) }`,
    )
    folder.write('gatehouse.yaml', `plugins: [./stamp.ts]\n${SHOP}`)
    const extended = JSON.parse((await folder.run('schema', 'gatehouse.yaml')).out)
    const titles = (schema: typeof plain) =>
      schema.$defs.use.anyOf.map(({ title }: { title?: string }) => title)
    assert.deepEqual(titles(extended), [...titles(plain), 'stamp'])
  })
})

describe('in a process of its own', () => {
  test('the exit code and both outputs are those of the command', () => {
    folder.write('gatehouse.yaml', SHOP)
    const fine = folder.spawn(['check'])
    assert.deepEqual(fine, {
      status: 0,
      out: 'ok  gatehouse.yaml: 1 listener, 4 routes, 2 services\n',
      err: '',
    })
    assert.equal(folder.spawn(['chek']).status, 2)
    folder.write('gatehouse.yaml', 'listen: 1')
    assert.equal(folder.spawn(['routes']).status, 1)
  })

  test('`run` does not start with a wrong file', () => {
    folder.write('gatehouse.yaml', 'listen: 1')
    const { status, err } = folder.spawn(['run'])
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

  test('an old Node.js is told so, in one line', () => {
    const old = 'Object.defineProperty(process,"versions",{value:{node:"24.20.9"}})'
    assert.deepEqual(folder.spawn(['version'], ['--import', `data:text/javascript,${old}`]), {
      status: 1,
      out: '',
      err: 'gatehouse: Node.js 24.21 or newer is needed; this is 24.20.9.\n',
    })
  })
})
