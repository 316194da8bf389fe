// Counts that are meant to outlive the process: spent by all threads, and read by the one that keeps
// them in a file.
import { allocateCells, CellTable, type CellTableBuffers, WAYS } from './cell-table.ts'
import type { KeyedHash } from './keyed-hash.ts'
import { endOf, LIMIT_CELL_WORDS, setEnd, setValue, valueIn } from './limit-cell.ts'
import type { SpendResult } from './store.ts'

/** How much of a count the file knows of; only its keeper reads and writes it. */
const KEPT = 4

/** The counts in shared memory; can be posted to a worker. */
export interface LastingBuffers extends CellTableBuffers {
  readonly changed: SharedArrayBuffer
}

/** Makes room for about `keysMax` counts. */
export function allocateLasting(keysMax: number): LastingBuffers {
  const cells = allocateCells(keysMax, LIMIT_CELL_WORDS)
  const bytes = cells.buckets * Int32Array.BYTES_PER_ELEMENT
  return { ...cells, changed: new SharedArrayBuffer(bytes) }
}

/** A count that has changed. */
export interface CountChange {
  /** Four words of the key's hash. */
  readonly key: Int32Array
  /** Added since the last look. */
  readonly added: number
  /** Until it ends, in ms. */
  readonly leftMs: number
}

/** What a spend finds when there is no room for another key, or no lock in time. */
export const NO_ROOM: SpendResult = Object.freeze({ allowed: false, used: 0 })

/** The counts, as one thread sees them. Times are of the store's clock, in ms. */
export class LastingCounts {
  readonly #table: CellTable
  /** One word per bucket: whether something in it was spent since the last look. */
  readonly #changed: Int32Array
  readonly #result: SpendResult = { allowed: false, used: 0 }

  constructor(buffers: LastingBuffers, threadIndex: number) {
    this.#table = new CellTable(buffers, threadIndex)
    this.#changed = new Int32Array(buffers.changed)
  }

  /** Adds to the count of the key that was hashed last, as `Store.spend` does. */
  spend(
    { a, b, c, d }: KeyedHash,
    amount: number,
    max: number,
    now: number,
    lifetimeMs: number,
  ): SpendResult {
    const table = this.#table
    const result = this.#result
    result.allowed = false
    result.used = 0
    const bucket = table.bucketOf(a)
    if (!table.lock(bucket)) return NO_ROOM
    let cell = table.find(bucket, a, b, c, d)
    const isLive = cell !== -1 && endOf(table, cell) > now
    result.used = isLive ? valueIn(table, cell) : 0
    if (cell === -1) cell = freeCell(table, bucket, now)
    if (cell !== -1 && result.used + amount <= max) {
      result.allowed = true
      result.used += amount
      if (amount > 0) {
        if (!isLive) this.#begin(bucket, cell, a, b, c, d)
        setValue(table, cell, result.used)
        if (!isLive) setEnd(table, cell, now + lifetimeMs)
        Atomics.store(this.#changed, a & (table.buckets - 1), 1)
      }
    }
    table.unlock(bucket)
    return cell === -1 ? NO_ROOM : result
  }

  /** What changed since the last call of `settle` for each key. Give back what could not be settled. */
  changes(now: number): CountChange[] {
    const table = this.#table
    const changes: CountChange[] = []
    for (let index = 0; index < table.buckets; index++) {
      if (Atomics.exchange(this.#changed, index, 0) === 0) continue
      const bucket = table.bucketAt(index)
      if (!table.lock(bucket)) {
        Atomics.store(this.#changed, index, 1)
        continue
      }
      for (let way = 0; way < WAYS; way++) {
        const cell = table.cellAt(bucket, way)
        const leftMs = endOf(table, cell) - now
        const added = valueIn(table, cell) - table.numbers[(cell >> 1) + KEPT]!
        if (leftMs <= 0 || added === 0) continue
        const { words } = table
        const key = Int32Array.of(
          words[cell]!,
          words[bucket + 1 + way]!,
          words[cell + 1]!,
          words[cell + 2]!,
        )
        changes.push({ key, added, leftMs })
      }
      table.unlock(bucket)
    }
    return changes
  }

  /** Has the next look find these again. */
  giveBack(changes: readonly CountChange[]): void {
    for (const { key } of changes) {
      Atomics.store(this.#changed, key[0]! & (this.#table.buckets - 1), 1)
    }
  }

  /** Opens the locks that a dead thread held. */
  releaseThread(threadIndex: number): void {
    this.#table.releaseThread(threadIndex)
  }

  /**
   * The file now holds `total` for the key, of which `added` came from here: the rest came from another
   * process, or from before this one. @returns false when there is no room.
   */
  settle(key: Int32Array, added: number, total: number, leftMs: number, now: number): boolean {
    const table = this.#table
    const [a, b, c, d] = key as unknown as [number, number, number, number]
    const bucket = table.bucketOf(a)
    if (!table.lock(bucket)) return false
    let cell = table.find(bucket, a, b, c, d)
    const isLive = cell !== -1 && endOf(table, cell) > now
    if (cell === -1) cell = freeCell(table, bucket, now)
    if (cell !== -1) {
      if (!isLive) this.#begin(bucket, cell, a, b, c, d)
      const kept = (cell >> 1) + KEPT
      setValue(table, cell, valueIn(table, cell) + total - (table.numbers[kept]! + added))
      table.numbers[kept] = total
      if (!isLive) setEnd(table, cell, now + leftMs)
    }
    table.unlock(bucket)
    return cell !== -1
  }

  #begin(bucket: number, cell: number, a: number, b: number, c: number, d: number): void {
    const table = this.#table
    table.claim(bucket, cell, a, b, c, d)
    setValue(table, cell, 0)
    table.numbers[(cell >> 1) + KEPT] = 0
  }
}

/** A cell of the bucket that has ended; -1 if none has. */
export function freeCell(table: CellTable, bucket: number, now: number): number {
  for (let way = 0; way < WAYS; way++) {
    const cell = table.cellAt(bucket, way)
    if (endOf(table, cell) <= now) return cell
  }
  return -1
}
