import assert from 'node:assert/strict'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { WatchedFile } from './watched-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'watched-file-'))
after(() => rmSync(folder, { recursive: true }))

const errors: Record<string, unknown>[] = []
const log = {
  info() {},
  warn() {},
  error: (fields: Readonly<Record<string, unknown>>) => void errors.push(fields),
  line() {},
}

function watch(path: string): WatchedFile<number> {
  const parse = (text: string) => {
    const found = Number(text)
    if (Number.isNaN(found)) throw new Error('it holds no number')
    return found
  }
  return new WatchedFile({ path, bytesMax: 10, parse, log })
}

describe('a watched file', () => {
  test('is read again when it changed, in place or renamed over', async () => {
    const path = join(folder, 'changing')
    writeFileSync(path, '1')
    const file = watch(path)
    assert.equal(file.current, 1)
    writeFileSync(path, '2')
    await file.check()
    assert.equal(file.current, 2)
    writeFileSync(`${path}.new`, '3')
    renameSync(`${path}.new`, path)
    await file.check()
    assert.equal(file.current, 3)
    file.dispose()
  })

  test('keeps its last good version, and tells of each trouble once', async () => {
    const path = join(folder, 'troubled')
    writeFileSync(path, '1')
    const file = watch(path)
    errors.length = 0
    writeFileSync(path, 'x')
    await file.check()
    await file.check()
    assert.equal(file.current, 1)
    assert.deepEqual(errors, [{ file: path, error: 'it holds no number' }])
    writeFileSync(path, '12345678901')
    await file.check()
    assert.deepEqual(errors[1], { file: path, error: 'it is longer than 10 bytes' })
    rmSync(path)
    await file.check()
    assert.deepEqual(errors[2], { file: path, error: 'ENOENT' })
    writeFileSync(path, '4')
    await file.check()
    assert.equal(file.current, 4)
    assert.equal(errors.length, 3)
    writeFileSync(path, 'x')
    await file.check()
    assert.equal(errors.length, 4, 'trouble that comes back is told again')
    file.dispose()
  })

  test('that cannot be used at first is an error that names it', () => {
    const path = join(folder, 'bad')
    writeFileSync(path, 'x')
    for (const [name, message] of [
      ['absent', /absent cannot be used: ENOENT/],
      ['bad', /bad cannot be used: it holds no number/],
      ['.', /cannot be used: it is not a file/],
    ] as const) {
      assert.throws(() => watch(join(folder, name)), message)
    }
    assert.throws(() => watch('/dev/zero'), /it is not a file/)
  })

  test('changes nothing once it was given back', async () => {
    const path = join(folder, 'gone')
    writeFileSync(path, '1')
    const file = watch(path)
    writeFileSync(path, '2')
    const check = file.check()
    file.dispose()
    await check
    assert.equal(file.current, 1)
  })
})
