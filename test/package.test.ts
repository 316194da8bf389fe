// The published package: built, packed, installed into an empty folder, and used from there.
import assert from 'node:assert/strict'
import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createNetServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const root = join(import.meta.dirname, '..')
const folder = mkdtempSync(join(tmpdir(), 'gatehouse-package-'))
const staging = join(folder, 'staging')
const home = join(folder, 'home')
const gatehouse = join(home, 'node_modules/.bin/gatehouse')
const oldest = join(folder, 'oldest')
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const oldestVersion = `${manifest.engines.node.replace('>=', '')}.0`
const env = runningOn(dirname(process.execPath))
const runtimes = [
  { version: process.versions.node, env },
  { version: oldestVersion, env: runningOn(join(oldest, 'node_modules/node/bin')) },
]
let packed: string[] = []

/** The environment in which `node` is the one in this folder. */
function runningOn(bin: string): NodeJS.ProcessEnv {
  return {
    ...process.env,
    PATH: `${bin}${delimiter}${process.env.PATH}`,
    NODE_TEST_CONTEXT: undefined,
  }
}

async function run(
  program: string,
  args: string[],
  cwd: string,
  environment = env,
): Promise<string> {
  const options = { cwd, env: environment, encoding: 'utf8' } as const
  const { stdout } = await promisify(execFile)(program, args, options)
  return stdout
}

before(async () => {
  mkdirSync(staging)
  mkdirSync(home)
  for (const file of ['package.json', ...manifest.files]) {
    if (file !== 'dist') cpSync(join(root, file), join(staging, file), { recursive: true })
  }
  await run(process.execPath, [join(root, 'scripts/build.ts'), join(staging, 'dist')], root)
  const [report] = JSON.parse(await run('npm', ['pack', '--json', '--loglevel=error'], staging))
  packed = report.files.map((file: { path: string }) => file.path)
  writeFileSync(join(home, 'package.json'), '{ "private": true, "type": "module" }')
  const options = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error']
  await run('npm', ['install', ...options, join(staging, report.filename)], home)
  mkdirSync(oldest)
  writeFileSync(
    join(oldest, 'package.json'),
    '{ "private": true, "allowScripts": { "node": true } }',
  )
  await run('npm', ['install', ...options, `node@${oldestVersion}`], oldest)
})
after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))

describe('the packed package', { concurrency: false }, () => {
  test('holds what runs, and nothing else', () => {
    const strange = packed.filter(
      (file) => /\.(test|contract|bench|test-support)\./.test(file) || /(?<!\.d)\.ts$/.test(file),
    )
    assert.deepEqual(strange, [])
    for (const file of [
      'dist/main.js',
      'dist/index.js',
      'dist/index.d.ts',
      'LICENSE',
      'README.md',
    ]) {
      assert.ok(packed.includes(file), file)
    }
  })

  test('brings a command that explains itself', async () => {
    const text = await run('npx', ['gatehouse', '--help'], home)
    for (const command of ['run', 'check', 'routes', 'explain', 'schema', 'init']) {
      assert.match(text, new RegExp(`^\\s+(gatehouse )?${command}\\b`, 'm'))
    }
  })

  const old = oldNode()
  if (old !== null) {
    test('tells an old Node.js in one line what it needs', () => {
      const main = join(home, 'node_modules/gatehouse/dist/main.js')
      const { status, stderr } = spawnSync(old, [main, '--help'], { encoding: 'utf8' })
      assert.equal(status, 1)
      assert.match(stderr, /^gatehouse: Node\.js 24\.21 or newer is needed; this is [\d.]+\.\n$/)
    })
  }

  test('checks a file', async () => {
    writeFileSync(join(home, 'good.yaml'), configuration(8080, 8081))
    await run(gatehouse, ['check', 'good.yaml'], home)
    writeFileSync(join(home, 'bad.yaml'), configuration(8080, 8081).replace('to: app', 'too: app'))
    const { status, stdout, stderr } = spawnSync(gatehouse, ['check', 'bad.yaml'], {
      cwd: home,
      env,
    })
    assert.equal(status, 1)
    assert.match(`${stdout}${stderr}`, /bad\.yaml:\d+:\d+/)
  })

  for (const { version, env } of runtimes) {
    test(`proxies a request on Node.js ${version}`, async () => {
      assert.equal((await run('node', ['--version'], home, env)).trim(), `v${version}`)
      const upstream = createServer((request, response) => response.end(`app saw ${request.url}`))
      upstream.listen(0, '127.0.0.1')
      await once(upstream, 'listening')
      const port = await freePort()
      writeFileSync(
        join(home, 'gatehouse.yaml'),
        configuration(port, (upstream.address() as AddressInfo).port),
      )
      const child = spawn(gatehouse, ['run', 'gatehouse.yaml'], { cwd: home, env, stdio: 'pipe' })
      const output: string[] = []
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (c) => output.push(String(c)))
      const exit = once(child, 'exit')
      try {
        const response = await answer(`http://127.0.0.1:${port}/hello?a=1`, () => child.exitCode)
        assert.ok(response, output.join(''))
        assert.equal(await response.text(), 'app saw /hello?a=1')
      } finally {
        child.kill('SIGTERM')
        upstream.close()
        upstream.closeAllConnections()
      }
      assert.deepEqual(await exit, [0, null], output.join(''))
    })
  }

  test('has types that an application compiles against', async () => {
    writeFileSync(
      join(home, 'use.ts'),
      "import { createGateway } from 'gatehouse'\nexport const make: typeof createGateway = createGateway\n",
    )
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    const roots = join(root, 'node_modules/@types')
    const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024']
    await run(
      process.execPath,
      [tsc, ...options, '--typeRoots', roots, '--types', 'node', 'use.ts'],
      home,
    )
  })
})

/** A Node.js on the path that is too old for Gatehouse, if this machine has one. */
function oldNode(): string | null {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const program = join(folder, 'node')
    const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' })
    if (Number(/^v(\d+)/.exec(stdout ?? '')?.[1]) < 24) return program
  }
  return null
}

function configuration(port: number, upstreamPort: number): string {
  return [
    `listen: http://127.0.0.1:${port}`,
    `services: { app: 'http://127.0.0.1:${upstreamPort}' }`,
    'routes:',
    '  - { path: /*, to: app }',
    '',
  ].join('\n')
}

async function freePort(): Promise<number> {
  const server = createNetServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** The answer, once there is one; null if the process ended before. */
async function answer(url: string, exitCode: () => number | null): Promise<Response | null> {
  for (;;) {
    try {
      return await fetch(url)
    } catch {
      if (exitCode() !== null) return null
      await sleep(50)
    }
  }
}
