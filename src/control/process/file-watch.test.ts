import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { Changes } from '../../../test/support/changes.ts'
import { codeFingerprint, fileState } from './code-files.ts'
import { FileWatch } from './file-watch.ts'

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-watch-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

/** Watches one file and counts what is reported. */
async function watching(t: TestContext, file: string, folder: string) {
  const changes = new Changes()
  let count = 0
  const onChange = () => {
    count++
    changes.notify()
  }
  const watch = new FileWatch(
    () => fileState(file),
    onChange,
    (error) => assert.fail(error),
  )
  t.after(() => watch.close())
  await watch.start([folder])
  return (wanted: number) =>
    changes.until(
      () => (count === wanted ? true : null),
      () => `change ${wanted}, seen ${count}`,
    )
}

test('a file is noticed when it is written, and when another takes its place', async (t) => {
  const folder = folderFor(t)
  const file = join(folder, 'gatehouse.yaml')
  writeFileSync(file, 'a: 1')
  const changed = await watching(t, file, folder)
  writeFileSync(file, 'a: 12')
  await changed(1)
  writeFileSync(join(folder, 'new'), 'a: 123')
  renameSync(join(folder, 'new'), file)
  await changed(2)
})

test('the way Kubernetes changes a mounted file is noticed', async (t) => {
  const folder = folderFor(t)
  for (const version of ['one', 'two']) {
    mkdirSync(join(folder, version))
    writeFileSync(join(folder, version, 'gatehouse.yaml'), version)
  }
  symlinkSync('one', join(folder, '..data'))
  const file = join(folder, 'gatehouse.yaml')
  symlinkSync('..data/gatehouse.yaml', file)
  const changed = await watching(t, file, folder)
  symlinkSync('two', join(folder, 'next'))
  renameSync(join(folder, 'next'), join(folder, '..data'))
  await changed(1)
})

test('the code of plugins has another fingerprint when any of it changes', async (t) => {
  const folder = folderFor(t)
  const plugins = join(folder, 'policies')
  mkdirSync(join(plugins, 'parts'), { recursive: true })
  mkdirSync(join(plugins, 'node_modules'))
  const configuration = join(plugins, 'gatehouse.config.ts')
  for (const file of ['one.ts', 'parts/two.ts']) writeFileSync(join(plugins, file), '')
  const urls = [pathToFileURL(join(plugins, 'one.ts')).href]
  const seen = [await codeFingerprint(urls, configuration)]
  const isNew = async (): Promise<boolean> => {
    const now = await codeFingerprint(urls, configuration)
    const before = seen.includes(now)
    seen.push(now)
    return !before
  }
  writeFileSync(configuration, 'changed')
  writeFileSync(join(plugins, 'notes.txt'), 'changed')
  writeFileSync(join(plugins, 'node_modules', 'other.js'), 'changed')
  assert.equal(await isNew(), false)
  writeFileSync(join(plugins, 'parts/two.ts'), 'changed')
  assert.equal(await isNew(), true)
  writeFileSync(join(plugins, 'three.mjs'), '')
  assert.equal(await isNew(), true)
  assert.notEqual(await codeFingerprint([...urls, 'file:///other.ts'], configuration), seen.at(-1))
})
