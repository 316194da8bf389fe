// The launcher behind every npm script, on a small tree of its own: installs when it must, passes
// arguments, exit code and signals on, and never outlives npm.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

const root = mkdtempSync(join(tmpdir(), 'gatehouse-launcher-'))
const launcher = join(root, 'scripts/with-node.mjs')

function markInstalled(): void {
  const fingerprint = createHash('sha256').update('{}').update('{}').digest('hex')
  writeFileSync(join(root, 'node_modules/.gatehouse-installed'), fingerprint)
}

/** An `npm` that leaves a runtime behind as the real one would. */
function writeNpm(lines: string[]): Record<string, string> {
  mkdirSync(join(root, 'bin'), { recursive: true })
  writeFileSync(join(root, 'bin/npm'), ['#!/bin/sh', 'echo "npm $*"', ...lines].join('\n'), {
    mode: 0o755,
  })
  return { PATH: `${join(root, 'bin')}:/usr/bin:/bin` }
}

async function readLine(child: ChildProcess): Promise<string> {
  const [chunk] = await once(child.stdout!, 'data')
  return String(chunk).trim()
}

before(() => {
  cpSync(join(import.meta.dirname, 'with-node.mjs'), launcher)
  for (const name of ['package.json', 'package-lock.json']) writeFileSync(join(root, name), '{}')
  mkdirSync(join(root, 'node_modules/node/bin'), { recursive: true })
  symlinkSync(process.execPath, join(root, 'node_modules/node/bin/node'))
  writeFileSync(join(root, 'say.js'), 'console.log(...process.argv.slice(2)); process.exitCode = 3')
  const wait = 'console.log(process.pid); setInterval(() => {}, 1000)'
  writeFileSync(join(root, 'wait.js'), wait)
})
after(() => rmSync(root, { recursive: true, force: true }))

test('installs once for each lock file, then passes arguments and the exit code on', () => {
  const env = writeNpm([])
  const run = () => spawnSync(process.execPath, [launcher, 'say.js', 'a', 'b'], { env })
  const first = run()
  assert.equal(first.stdout.toString(), 'npm ci --no-fund --no-audit --loglevel=error\na b\n')
  assert.equal(first.status, 3)
  assert.equal(run().stdout.toString(), 'a b\n')
})

test('a failed install is the end', () => {
  writeFileSync(join(root, 'node_modules/.gatehouse-installed'), 'another lock file')
  const env = writeNpm(['exit 7'])
  const { status, stderr } = spawnSync(process.execPath, [launcher, 'say.js'], { env })
  assert.equal(status, 7)
  assert.match(stderr.toString(), /`npm ci` failed/)
})

test('passes a signal on, and ends as its child did', async () => {
  markInstalled()
  const child = spawn(process.execPath, [launcher, 'wait.js'])
  await readLine(child)
  child.kill('SIGTERM')
  assert.deepEqual(await once(child, 'exit'), [null, 'SIGTERM'])
})

test('ends when the shell that npm started it in is ended', async () => {
  markInstalled()
  const line = `"${process.execPath}" "${launcher}" wait.js; true`
  const env = { ...process.env, npm_lifecycle_event: 'start' }
  const shell = spawn('sh', ['-c', line], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const pid = Number(await readLine(shell))
  shell.kill('SIGTERM')
  await once(shell, 'close')
  assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
})
