// `npm run build [-- folder]`: makes dist/ (or the folder), what the published package runs. JavaScript
// and declarations by tsc; then what tsc leaves out: files that are not TypeScript, the entry's mode.
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'

const root = join(import.meta.dirname, '..')
const source = join(root, 'src')
const target = resolve(process.argv[2] ?? join(root, 'dist'))

rmSync(target, { recursive: true, force: true })
compile()
for (const file of globSync('**/*.js', { cwd: target })) refuseSourcePaths(file)
copyOtherFiles()
makeExecutable(join(target, 'main.js'))

function compile(): void {
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const project = join(import.meta.dirname, 'tsconfig.build.json')
  const { status } = spawnSync(process.execPath, [tsc, '-p', project, '--outDir', target], {
    stdio: 'inherit',
  })
  if (status !== 0) fail('tsc found errors; see above')
}

/** tsc rewrites the extension in imports only; elsewhere, the path of a source file would fail when it runs. */
function refuseSourcePaths(file: string): void {
  const text = readFileSync(join(target, file), 'utf8')
  for (const [, path = ''] of text.matchAll(/['"`](\.{1,2}\/[^'"`\n]*\.ts)['"`]/g)) {
    if (!existsSync(join(source, dirname(file), path))) continue
    fail(`dist/${file} names ${path}; see src/control/process/module-url.ts`)
  }
}

function copyOtherFiles(): void {
  for (const file of globSync('**/*.{json,html,css,svg}', { cwd: source })) {
    cpSync(join(source, file), join(target, file))
  }
  cpSync(join(root, 'schema/gatehouse.schema.json'), join(target, 'gatehouse.schema.json'))
}

function makeExecutable(path: string): void {
  const shebang = '#!/usr/bin/env node\n'
  const text = readFileSync(path, 'utf8')
  if (!text.startsWith('#!')) writeFileSync(path, shebang + text)
  chmodSync(path, 0o755)
}

function fail(message: string): never {
  process.stderr.write(`build: ${message}\n`)
  process.exit(1)
}
