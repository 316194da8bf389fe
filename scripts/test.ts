// `npm test [-- filter ...]`: runs every test file, or those whose path contains a filter, with
// Node's own runner. Suites that need a program this machine lacks are left out, loudly; a file that
// does not end by itself is ended, and has failed.
import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { findTool, testTools } from './debian-tools.ts'
import { childrenOf, commandOf, familyOf } from './process-tree.ts'
import { findTestFiles } from './test-files.ts'

const root = join(import.meta.dirname, '..')
const testMsMax = 120_000
const fileMsMax = Number(process.env.TEST_FILE_MS_MAX ?? 240_000)

const filters = process.argv.slice(2)
const files = findTestFiles(root).filter(
  ({ path }) => filters.length === 0 || filters.some((filter) => path.includes(filter)),
)
if (files.length === 0) fail(`No test file matches ${filters.join(' ')}`)

const missing = new Map<string, string[]>()
for (const { path, needs } of files) {
  const lacking = needs.filter((tool) => findTool(tool) === null)
  if (lacking.length > 0) missing.set(path, lacking)
}
const runnable = files.map(({ path }) => path).filter((path) => !missing.has(path))

let code = runnable.length === 0 ? 0 : await runNode(runnable)
if (missing.size > 0) {
  reportSkipped()
  if (process.env.CI === 'true') code ||= 1
}
process.exitCode = code

/** Runs the files, each in a process of its own; resolves with the exit code. */
function runNode(paths: string[]): Promise<number> {
  const options = [
    '--test',
    `--test-concurrency=${Math.max(2, availableParallelism())}`,
    `--test-timeout=${testMsMax}`,
    '--test-reporter=spec',
  ]
  const child = spawn(process.execPath, [...options, ...paths], { cwd: root, stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => child.kill(signal))
  }
  const watch = setInterval(endOverdueFiles, 1000, child.pid!, new Map<number, number>())
  return new Promise((resolve) => {
    child.on('exit', (exitCode, signal) => {
      clearInterval(watch)
      resolve(signal === null ? (exitCode ?? 1) : 1)
    })
  })
}

/** The runner bounds tests, but waits for ever for a file with an open handle, or whose child lives on. */
function endOverdueFiles(runner: number, firstSeen: Map<number, number>): void {
  for (const pid of childrenOf(runner)) {
    const since = firstSeen.get(pid) ?? Date.now()
    firstSeen.set(pid, since)
    if (Date.now() - since < fileMsMax) continue
    process.stderr.write(`${commandOf(pid).at(-1)} did not end within ${fileMsMax} ms\n`)
    for (const member of familyOf(pid).reverse()) {
      try {
        process.kill(member, 'SIGKILL')
      } catch {
        // It ended meanwhile.
      }
    }
  }
}

function reportSkipped(): void {
  const tools = [...new Set([...missing.values()].flat())]
  const packages = tools.map((tool) => testTools[tool])
  const lines = [...missing].map(([file, lacking]) => `  ${file} (needs ${lacking.join(', ')})`)
  process.stderr.write(
    `\n${'!'.repeat(72)}\nGATEHOUSE_SKIPPED: ${missing.size} of ${files.length} test files did not run:\n` +
      `${lines.join('\n')}\nThey run after: apt-get install ${packages.join(' ')}\n${'!'.repeat(72)}\n`,
  )
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}
