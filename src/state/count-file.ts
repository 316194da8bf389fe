// Keeps the counts that must outlive the process in an SQLite file: read at the start, and from then on
// written once a second. Only hashes of keys are in it, and the secret they were made with.
import { randomFillSync } from 'node:crypto'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { HASH_KEY_WORDS } from './keyed-hash.ts'
import { LastingCounts } from './lasting-counts.ts'
import { processClock } from './process-clock.ts'
import type { StoreBuffers } from './shared-memory-store.ts'

const WRITE_INTERVAL_MS = 1_000
/** Another gateway process, about to take over or to end, may be writing. */
const BUSY_TIMEOUT_MS = 2_000
const FORMAT = 1

// WAL without a sync per write: a crash of the process loses nothing that was written, one of the
// machine may lose the last writes, but not the file.
const SCHEMA = `
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counts (
  key BLOB PRIMARY KEY, count REAL NOT NULL, ends_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`
// Added, not set: two processes may share the file while one takes over from the other.
const ADD = `
INSERT INTO counts (key, count, ends_at) VALUES (?, ?, ?)
ON CONFLICT (key) DO UPDATE SET count = count + excluded.count, ends_at = excluded.ends_at
RETURNING count
`

/** What is told of a file that is in use. */
export interface CountFileEvents {
  /** Writing failed, and is tried again every second; told once until it succeeds. */
  onFailure(reason: string): void
}

/** The file of one process, and the only one in it that touches the file. */
export class CountFile {
  readonly #database: DatabaseSync
  readonly #add: StatementSync
  readonly #removeEnded: StatementSync
  readonly #counts: LastingCounts
  readonly #events: CountFileEvents
  readonly #timer: NodeJS.Timeout
  #hasFailed = false

  private constructor(database: DatabaseSync, counts: LastingCounts, events: CountFileEvents) {
    this.#database = database
    this.#counts = counts
    this.#events = events
    this.#add = database.prepare(ADD)
    this.#removeEnded = database.prepare('DELETE FROM counts WHERE ends_at <= ?')
    this.#timer = setInterval(() => this.write(), WRITE_INTERVAL_MS)
    this.#timer.unref()
  }

  /**
   * Opens or makes the file and fills the store with its counts. Call it before the store is used.
   * @param threadIndex whose locks it uses; a thread that uses the store itself may lend its own.
   * @throws Error when the file cannot be used.
   */
  static async open(
    path: string,
    store: StoreBuffers,
    threadIndex: number,
    events: CountFileEvents,
  ): Promise<CountFile> {
    const sqlite = await import('node:sqlite')
    let database: DatabaseSync | null = null
    try {
      database = new sqlite.DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS })
      database.exec(SCHEMA)
      adoptFacts(database, store.hashKeys.subarray(HASH_KEY_WORDS))
      const counts = new LastingCounts(store.lasting, threadIndex)
      const file = new CountFile(database, counts, events)
      file.#load()
      return file
    } catch (error) {
      database?.close()
      throw new Error(`the file of counts ${path} cannot be used: ${(error as Error).message}`)
    }
  }

  /** Writes what changed. Never throws. */
  write(): void {
    const now = processClock.now()
    const wallNow = processClock.wallTime()
    const changes = this.#counts.changes(now)
    if (changes.length === 0) return
    const totals: number[] = []
    try {
      this.#database.exec('BEGIN IMMEDIATE')
      for (const { key, added, leftMs } of changes) {
        const row = this.#add.get(bytesOf(key), added, Math.ceil(wallNow + leftMs))
        totals.push(row!.count as number)
      }
      this.#removeEnded.run(wallNow)
      this.#database.exec('COMMIT')
    } catch (error) {
      this.#counts.giveBack(changes)
      this.#fail(error)
      return
    }
    this.#hasFailed = false
    for (const [index, { key, added, leftMs }] of changes.entries()) {
      this.#counts.settle(key, added, totals[index]!, leftMs, now)
    }
  }

  /** Writes what changed last, and closes the file. */
  close(): void {
    clearInterval(this.#timer)
    this.write()
    this.#database.close()
  }

  #load(): void {
    const wallNow = processClock.wallTime()
    const now = processClock.now()
    const rows = this.#database
      .prepare('SELECT key, count, ends_at FROM counts WHERE ends_at > ?')
      .iterate(wallNow)
    for (const { key, count, ends_at } of rows) {
      const words = new Int32Array((key as Uint8Array).slice().buffer)
      this.#counts.settle(words, 0, count as number, (ends_at as number) - wallNow, now)
    }
  }

  #fail(error: unknown): void {
    if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
    if (!this.#hasFailed) this.#events.onFailure((error as Error).message)
    this.#hasFailed = true
  }
}

/** Takes the secret of the file, or gives it one. @throws Error when it was written by another version. */
function adoptFacts(database: DatabaseSync, hashKey: Int32Array): void {
  const fact = database.prepare('INSERT INTO facts VALUES (?, ?) ON CONFLICT DO NOTHING')
  fact.run('format', FORMAT)
  fact.run('hash-key', randomFillSync(new Uint8Array(hashKey.byteLength)))
  const read = database.prepare('SELECT value FROM facts WHERE name = ?')
  if (read.get('format')!.value !== FORMAT) throw new Error('another version has written it')
  const bytes = read.get('hash-key')!.value as Uint8Array
  hashKey.set(new Int32Array(bytes.slice().buffer))
}

function bytesOf(words: Int32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength)
}
