// `npm test` itself, on a small tree of its own: what fails, what is left out, and what it says then.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

const root = mkdtempSync(join(tmpdir(), 'gatehouse-test-'))

function runTests(filter: string, environment: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(root, 'scripts/test.ts'), filter],
    { env: { PATH: '', ...environment }, encoding: 'utf8' },
  )
  return { status, text: stdout + stderr }
}

before(() => {
  mkdirSync(join(root, 'test'))
  for (const name of ['test.ts', 'test-files.ts', 'debian-tools.ts', 'process-tree.ts']) {
    cpSync(join(import.meta.dirname, name), join(root, 'scripts', name))
  }
  const passing = "import { test } from 'node:test'\ntest('fine', () => {})\n"
  writeFileSync(join(root, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(root, 'test/good.test.ts'), passing)
  writeFileSync(join(root, 'test/browser.test.ts'), `// needs: chromium\n${passing}`)
  const lasting = 'setInterval(() => {}, 1000)\n'
  writeFileSync(join(root, 'test/endless.test.ts'), passing + lasting)
  writeFileSync(join(root, 'test/bad.test.ts'), passing.replace('{})', '{ throw new Error() })'))
})
after(() => rmSync(root, { recursive: true, force: true }))

test('passes with the counts of the runner', () => {
  const { status, text } = runTests('good')
  assert.equal(status, 0, text)
  assert.match(text, /pass 1/)
})

test('fails when a test fails, or none matches', () => {
  assert.equal(runTests('bad').status, 1)
  const { status, text } = runTests('nonsense')
  assert.equal(status, 1)
  assert.match(text, /No test file matches nonsense/)
})

test('ends a file that does not end by itself, which is a failure', () => {
  const { status, text } = runTests('endless', { TEST_FILE_MS_MAX: '500' })
  assert.equal(status, 1)
  assert.match(text, /test\/endless\.test\.ts did not end within 500 ms/)
})

test('says loudly which files could not run, which is a failure in CI', () => {
  const { status, text } = runTests('browser')
  assert.equal(status, 0)
  assert.match(text, /GATEHOUSE_SKIPPED: 1 of 1 .*\n {2}test\/browser.test.ts \(needs chromium\)/)
  assert.match(text, /apt-get install chromium/)
  assert.equal(runTests('browser', { CI: 'true' }).status, 1)
})
