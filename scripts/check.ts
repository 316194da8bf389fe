// `npm run check`: everything that is wrong without running the gateway. All checks run, whatever
// the earlier ones said.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const node = [process.execPath]

const checks: Record<string, string[]> = {
  types: [...node, 'node_modules/typescript/bin/tsc', '-p', '.', '--noEmit'],
  lint: [...node, 'node_modules/@biomejs/biome/bin/biome', 'check', '--error-on-warnings'],
  architecture: [...node, '--test', '--test-reporter=dot', 'test/architecture.test.ts'],
  docs: [...node, 'scripts/generate-docs.ts', '--check'],
}

const failed: string[] = []
for (const [name, [program = '', ...args]] of Object.entries(checks)) {
  const startedAt = performance.now()
  const { status } = spawnSync(program, args, { cwd: root, stdio: 'inherit' })
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  if (status !== 0) failed.push(name)
  console.log(`${status === 0 ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)`)
}
if (failed.length > 0) {
  console.error(`\nFailed: ${failed.join(', ')}`)
  process.exitCode = 1
}
