import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, type TestContext, test } from 'node:test'
import { CountFile } from './count-file.ts'
import { allocateStore, SharedMemoryStore } from './shared-memory-store.ts'

const HOUR = 3_600_000

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'gatehouse-counts-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** One process: its store, and its hand on the file. */
async function open(path: string, failures: string[] = []) {
  const buffers = allocateStore({ threads: 1, keysMax: 1_000 })
  const onFailure = (reason: string) => failures.push(reason)
  const file = await CountFile.open(path, buffers, 1, { onFailure })
  const store = new SharedMemoryStore(buffers, 0)
  return { file, used: (key: string, amount = 0) => store.spend(key, amount, 1e9, HOUR).used }
}

describe('the file of counts', () => {
  test('has the counts of the process before, as far as they were written', async (t) => {
    const path = join(folder(t), 'counts.db')
    const first = await open(path)
    for (let key = 0; key < 100; key++) first.used(`k${key}`, key)
    first.file.write()
    first.used('k7', 5)
    first.file.close()
    const second = await open(path)
    for (let key = 0; key < 100; key++) {
      assert.equal(second.used(`k${key}`), key === 7 ? 12 : key)
    }
    second.used('k7', 1)
    second.file.close()
    const third = await open(path)
    assert.equal(third.used('k7'), 13)
    third.file.close()
  })

  test('of two processes at once holds what both have used, and tells both', async (t) => {
    const path = join(folder(t), 'counts.db')
    const old = await open(path)
    old.used('k', 10)
    old.file.write()
    const next = await open(path)
    next.used('k', 5)
    old.used('k', 3)
    old.file.write()
    next.file.write()
    assert.equal(next.used('k'), 18)
    old.used('k', 1)
    old.file.close()
    assert.equal(old.used('k'), 19)
    assert.equal(next.used('k'), 18, 'it hears of the others when it writes')
    next.used('k', 1)
    next.file.close()
    assert.equal(next.used('k'), 20)
  })

  test('forgets what has ended', async (t) => {
    const path = join(folder(t), 'counts.db')
    const first = await open(path)
    first.used('k', 10)
    first.file.close()
    const database = new DatabaseSync(path)
    database.exec(`UPDATE counts SET ends_at = ${Date.now() - 1}`)
    database.close()
    const second = await open(path)
    assert.equal(second.used('k'), 0)
    second.used('other', 1)
    second.file.close()
    const after = new DatabaseSync(path)
    assert.equal(after.prepare('SELECT count(*) AS n FROM counts').get()!.n, 1)
    after.close()
  })

  test('holds no key that can be read', async (t) => {
    const path = join(folder(t), 'counts.db')
    const { file, used } = await open(path)
    used('alice@shop.example', 1)
    file.close()
    assert.equal(readFileSync(path).includes('alice'), false)
  })

  test('that cannot be written to is tried again, and said once', async (t) => {
    const path = join(folder(t), 'counts.db')
    const failures: string[] = []
    const { file, used } = await open(path, failures)
    const other = new DatabaseSync(path)
    other.exec("CREATE TRIGGER refuse BEFORE INSERT ON counts BEGIN SELECT RAISE(ABORT, 'no'); END")
    used('k', 4)
    file.write()
    file.write()
    assert.deepEqual(failures, ['no'])
    other.exec('DROP TRIGGER refuse')
    other.close()
    file.close()
    const next = await open(path)
    assert.equal(next.used('k'), 4)
    next.file.close()
  })

  test('that is something else keeps the gateway from starting', async (t) => {
    const path = join(folder(t), 'counts.db')
    writeFileSync(
      path,
      'this is a letter, not a database, and it is long enough to be read as one.',
    )
    await assert.rejects(open(path), /counts\.db cannot be used: file is not a database/)
    await assert.rejects(open(join(path, 'below', 'it.db')), /cannot be used/)
  })
})
