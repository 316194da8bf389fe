// Installs the Debian packages that tests (or, with `bench`, the benchmarks) need and this machine
// lacks. Only as root, and only if asked with --yes or by CI=true; otherwise it says what to do.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { benchTools, findTool, testTools } from './debian-tools.ts'
import { findTestFiles } from './test-files.ts'

const root = join(import.meta.dirname, '..')
const wanted = new Set(findTestFiles(root).flatMap(({ needs }) => needs))
if (process.argv.includes('bench')) for (const tool of Object.keys(benchTools)) wanted.add(tool)

const packages = [...wanted]
  .filter((tool) => findTool(tool) === null)
  .map((tool) => testTools[tool] ?? benchTools[tool])
const mayInstall = process.env.CI === 'true' || process.argv.includes('--yes')

if (packages.length > 0) process.exitCode = install()

function install(): number {
  const command = `apt-get install --yes --no-install-recommends ${packages.join(' ')}`
  if (!mayInstall || process.getuid?.() !== 0 || findTool('apt-get') === null) {
    process.stderr.write(`Missing here: ${packages.join(', ')}. As root: ${command}\n`)
    return 1
  }
  const options = {
    stdio: 'inherit',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  } as const
  for (const line of ['apt-get update', command]) {
    const [program = '', ...rest] = line.split(' ')
    const status = spawnSync(program, rest, options).status ?? 1
    if (status !== 0) return status
  }
  return 0
}
