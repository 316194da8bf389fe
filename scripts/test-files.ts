// Finds the test files and what each needs beside Node: `// needs: curl, openssl` in its first lines.
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { testTools } from './debian-tools.ts'

/** A test file, with the programs that it cannot do without. */
export interface TestFile {
  path: string
  needs: string[]
}

/** Every test file of the project, by path from its root. Throws if one needs an unknown program. */
export function findTestFiles(root: string): TestFile[] {
  return globSync('{src,test,examples,bench,scripts}/**/*.test.ts', { cwd: root })
    .sort()
    .map((path) => ({ path, needs: needsOf(path, readFileSync(join(root, path), 'utf8')) }))
}

function needsOf(path: string, text: string): string[] {
  const line = /^\/\/ needs: (.+)$/m.exec(text.slice(0, 500))
  const needs = line?.[1]?.split(',').map((name) => name.trim()) ?? []
  for (const name of needs) {
    if (!(name in testTools)) throw new Error(`${path} needs ${name}, of which no package is known`)
  }
  return needs
}
