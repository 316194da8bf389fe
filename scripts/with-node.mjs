// Runs a file of this project with the Node.js that the project brings itself (the `node` package),
// so that the README's commands work on a machine with any Node >= 20. Plain JavaScript on purpose:
// the machine's own Node runs it, and an old one cannot strip types.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const node = join(
  root,
  'node_modules',
  'node',
  'bin',
  process.platform === 'win32' ? 'node.exe' : 'node',
)
const stamp = join(root, 'node_modules', '.gatehouse-installed')

/** What the installed tree was made from; another lock file means another install. */
function fingerprint() {
  const hash = createHash('sha256')
  for (const name of ['package.json', 'package-lock.json'])
    hash.update(readFileSync(join(root, name)))
  return hash.digest('hex')
}

function isInstalled() {
  return existsSync(node) && existsSync(stamp) && readFileSync(stamp, 'utf8') === fingerprint()
}

function install() {
  process.stderr.write('gatehouse: installing what this checkout needs (once) ...\n')
  const result = spawnSync('npm', ['ci', '--no-fund', '--no-audit', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  })
  if (result.status !== 0) {
    process.stderr.write('gatehouse: `npm ci` failed; its output above says why.\n')
    process.exit(result.status ?? 1)
  }
  if (!existsSync(node)) {
    process.stderr.write(
      'gatehouse: the `node` package was installed without its runtime. Its install script must be\n' +
        'allowed to run: `npm ci --ignore-scripts=false`, or see `allowScripts` in package.json.\n',
    )
    process.exit(1)
  }
  mkdirSync(dirname(stamp), { recursive: true })
  writeFileSync(stamp, fingerprint())
}

if (!isInstalled()) install()

const [script, ...rest] = process.argv.slice(2)
if (script === undefined) process.exit(0)
const flags = []
while (rest[0]?.startsWith('--node-option='))
  flags.push(rest.shift().slice('--node-option='.length))
const child = spawn(node, [...flags, join(root, script), ...rest], { stdio: 'inherit' })

// A terminal sends Ctrl-C to the whole group; a supervisor signals this process alone.
let signalled = false
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    signalled = true
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
  })
}

// npm runs scripts through a shell, and a shell that is told to end does not tell its child. Whoever
// ends npm means this process too.
if (process.env.npm_lifecycle_event !== undefined) {
  const parent = process.ppid
  setInterval(() => {
    if (process.ppid === parent || signalled) return
    signalled = true
    child.kill('SIGTERM')
  }, 200).unref()
}

child.on('exit', (code, signal) => {
  if (signal !== null) {
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  } else process.exit(code ?? 1)
})
