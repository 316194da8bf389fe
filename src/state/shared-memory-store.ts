// The store of one gateway: tables of fixed size in shared memory, the same for all its threads.
//
// Times are milliseconds as 64-bit numbers, so that nothing wraps. A cell is changed under its bucket's
// lock only, which the control plane opens again when the thread that held it has died.
import { randomFillSync } from 'node:crypto'
import type { Clock } from '../lib/clock.ts'
import { allocateCells, CellTable, type CellTableBuffers, KEY_WORDS, WAYS } from './cell-table.ts'
import { HASH_KEY_WORDS, KeyedHash } from './keyed-hash.ts'
import {
  allocateLasting,
  freeCell,
  type LastingBuffers,
  LastingCounts,
  NO_ROOM,
} from './lasting-counts.ts'
import {
  endOf,
  type Finding,
  LIMIT_CELL_WORDS,
  look,
  setEnd,
  setValue,
  take,
  valueIn,
} from './limit-cell.ts'
import { processClock } from './process-clock.ts'
import type { Limit, SpendResult, Store, TakeResult } from './store.ts'

/** What all threads of a gateway share; can be posted to a worker. */
export interface StoreBuffers {
  /** Limits, counts and claims. */
  readonly cells: CellTableBuffers
  /** Places taken, one count per thread. */
  readonly places: CellTableBuffers
  /** Counts that outlive the process. */
  readonly lasting: LastingBuffers
  /** Two keys, for `cells` and `places` and for `lasting`, which stays the same as long as its file. */
  readonly hashKeys: Int32Array
  /** Int32: how often there was no room for another key, or no lock in time. */
  readonly noRoom: SharedArrayBuffer
}

/** How much room a store has; fixed for the life of the process. */
export interface StoreCapacity {
  readonly threads: number
  /** Keys at one time, each kind by itself; twice as many may fit. */
  readonly keysMax?: number
}

const KEYS_MAX = 100_000
/** Limits that one `take` decides together. */
export const LIMITS_MAX = 8
/** When to come back when there was no room. */
const NO_ROOM_RETRY_MS = 1_000

/** Makes the shared state of a store, with hash keys of its own. */
export function allocateStore({ threads, keysMax = KEYS_MAX }: StoreCapacity): StoreBuffers {
  const keyBytes = 2 * HASH_KEY_WORDS * Int32Array.BYTES_PER_ELEMENT
  return {
    cells: allocateCells(keysMax, LIMIT_CELL_WORDS),
    places: allocateCells(keysMax / 4, KEY_WORDS + threads),
    lasting: allocateLasting(keysMax),
    hashKeys: randomFillSync(new Int32Array(new SharedArrayBuffer(keyBytes))),
    noRoom: new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT),
  }
}

/** One thread's view of the store. Waits for nobody, but for a lock for some milliseconds at most. */
export class SharedMemoryStore implements Store {
  readonly #clock: Clock
  readonly #cells: CellTable
  readonly #places: CellTable
  readonly #lasting: LastingCounts
  readonly #hash: KeyedHash
  readonly #lastingKey: Int32Array
  #lastingHash: KeyedHash | null = null
  readonly #row: number
  readonly #noRoom: Int32Array
  // Scratch of `take`, by the place of the limit.
  readonly #hashes = new Int32Array(LIMITS_MAX * 4)
  readonly #buckets = new Int32Array(LIMITS_MAX)
  readonly #found = new Int32Array(LIMITS_MAX)
  /** Buckets in the order in which they are locked, each once. */
  readonly #locked = new Int32Array(LIMITS_MAX)
  readonly #finding: Finding = { allowed: false, remaining: 0, resetMs: 0, retryAfterMs: 0 }
  readonly #result: TakeResult = {
    allowed: false,
    limitIndex: 0,
    remaining: 0,
    resetMs: 0,
    retryAfterMs: 0,
  }

  /** @param clock must agree with those of the other threads; the default does. */
  constructor(buffers: StoreBuffers, threadIndex: number, clock: Clock = processClock) {
    this.#clock = clock
    this.#cells = new CellTable(buffers.cells, threadIndex)
    this.#places = new CellTable(buffers.places, threadIndex)
    this.#lasting = new LastingCounts(buffers.lasting, threadIndex)
    this.#hash = new KeyedHash(buffers.hashKeys.subarray(0, HASH_KEY_WORDS))
    this.#lastingKey = buffers.hashKeys.subarray(HASH_KEY_WORDS)
    this.#row = KEY_WORDS + threadIndex
    this.#noRoom = new Int32Array(buffers.noRoom)
  }

  /** How often any thread found no room for another key, or got no lock in time; wraps at 2^32. */
  get noRoom(): number {
    return Atomics.load(this.#noRoom, 0) >>> 0
  }

  take(
    limits: readonly Limit[],
    keys: readonly string[],
    cost: number,
    whenFull: 'deny' | 'allow',
  ): TakeResult {
    const count = limits.length
    if (count > LIMITS_MAX)
      throw new RangeError(`at most ${LIMITS_MAX} limits are decided together`)
    const hash = this.#hash
    for (let index = 0; index < count; index++) {
      hash.read(keys[index]!)
      this.#hashes[4 * index] = hash.a
      this.#hashes[4 * index + 1] = hash.b
      this.#hashes[4 * index + 2] = hash.c
      this.#hashes[4 * index + 3] = hash.d
      this.#buckets[index] = this.#cells.bucketOf(hash.a)
    }
    const lockCount = this.#lockAll(count)
    if (lockCount < 0) return this.#withoutRoom(0, whenFull)
    // Read under the locks, so that time does not go back from one owner to the next.
    const now = this.#clock.now()
    const result = this.#lookAll(limits, cost, now)
    if (result.allowed && cost > 0) this.#takeAll(limits, cost, now, whenFull)
    this.#unlockAll(lockCount)
    return result
  }

  increment(key: string, amount: number, lifetimeMs: number): number {
    const table = this.#cells
    const { a, b, c, d } = this.#read(key)
    const bucket = table.bucketOf(a)
    if (!table.lock(bucket)) return this.#counted()
    const now = this.#clock.now()
    let cell = table.find(bucket, a, b, c, d)
    let count = amount
    if (cell !== -1 && endOf(table, cell) > now) {
      count += valueIn(table, cell)
      setValue(table, cell, count)
    } else {
      if (cell === -1) cell = freeCell(table, bucket, now)
      if (cell === -1) count = this.#counted()
      else {
        table.claim(bucket, cell, a, b, c, d)
        setValue(table, cell, amount)
        setEnd(table, cell, now + lifetimeMs)
      }
    }
    table.unlock(bucket)
    return count
  }

  count(key: string): number {
    const table = this.#cells
    const { a, b, c, d } = this.#read(key)
    const bucket = table.bucketOf(a)
    if (!table.lock(bucket)) return this.#counted()
    const cell = table.find(bucket, a, b, c, d)
    const count = cell !== -1 && endOf(table, cell) > this.#clock.now() ? valueIn(table, cell) : 0
    table.unlock(bucket)
    return count
  }

  claim(key: string, lifetimeMs: number): boolean {
    const table = this.#cells
    const { a, b, c, d } = this.#read(key)
    const bucket = table.bucketOf(a)
    if (!table.lock(bucket)) return this.#counted() === 0
    const now = this.#clock.now()
    let cell = table.find(bucket, a, b, c, d)
    const isHeld = cell !== -1 && endOf(table, cell) > now
    if (cell === -1) cell = freeCell(table, bucket, now)
    if (cell === -1) this.#counted()
    else if (!isHeld) {
      table.claim(bucket, cell, a, b, c, d)
      setEnd(table, cell, now + lifetimeMs)
    }
    table.unlock(bucket)
    return cell !== -1 && !isHeld
  }

  spend(key: string, amount: number, max: number, lifetimeMs: number): SpendResult {
    // Made at the first use: by then the key of the file, if there is one, is in its place.
    this.#lastingHash ??= new KeyedHash(this.#lastingKey)
    const hash = this.#lastingHash
    hash.read(key)
    const result = this.#lasting.spend(hash, amount, max, this.#clock.now(), lifetimeMs)
    if (result === NO_ROOM) this.#counted()
    return result
  }

  enter(key: string, max: number): boolean {
    const table = this.#places
    const { a, b, c, d } = this.#read(key)
    const bucket = table.bucketOf(a)
    if (!table.lock(bucket)) return this.#counted() === 0
    let cell = table.find(bucket, a, b, c, d)
    let taken = 0
    if (cell === -1) {
      cell = this.#freePlaces(bucket)
      if (cell === -1) this.#counted()
      else if (max > 0) table.claim(bucket, cell, a, b, c, d)
    } else taken = this.#placesTaken(cell)
    const entered = cell !== -1 && taken < max
    if (entered) Atomics.add(table.words, cell + this.#row, 1)
    table.unlock(bucket)
    return entered
  }

  leave(key: string): void {
    const table = this.#places
    const { a, b, c, d } = this.#read(key)
    const bucket = table.bucketOf(a)
    // Without the lock: while this thread has a place in it, the cell is nobody else's.
    const cell = table.find(bucket, a, b, c, d)
    if (cell !== -1) Atomics.sub(table.words, cell + this.#row, 1)
  }

  /** Gives back what a dead thread held. Call it after the thread ended, before its index is used again. */
  releaseThread(threadIndex: number): void {
    this.#cells.releaseThread(threadIndex)
    this.#lasting.releaseThread(threadIndex)
    const table = this.#places
    for (let index = 0; index < table.buckets; index++) {
      for (let way = 0; way < WAYS; way++) {
        const cell = table.cellAt(table.bucketAt(index), way)
        Atomics.store(table.words, cell + KEY_WORDS + threadIndex, 0)
      }
    }
    table.releaseThread(threadIndex)
  }

  #read(key: string): KeyedHash {
    this.#hash.read(key)
    return this.#hash
  }

  /** There was no room: counts that, and is past every bound. */
  #counted(): number {
    Atomics.add(this.#noRoom, 0, 1)
    return Number.POSITIVE_INFINITY
  }

  /** Locks the buckets of all limits, lowest first. @returns how many, or -1 when one was not to be had. */
  #lockAll(count: number): number {
    const locked = this.#locked
    let size = 0
    for (let index = 0; index < count; index++) {
      const bucket = this.#buckets[index]!
      let at = size
      while (at > 0 && locked[at - 1]! > bucket) at--
      if (at > 0 && locked[at - 1] === bucket) continue
      for (let moved = size++; moved > at; moved--) locked[moved] = locked[moved - 1]!
      locked[at] = bucket
    }
    for (let index = 0; index < size; index++) {
      if (this.#cells.lock(locked[index]!)) continue
      this.#unlockAll(index)
      return -1
    }
    return size
  }

  #unlockAll(size: number): void {
    for (let index = 0; index < size; index++) this.#cells.unlock(this.#locked[index]!)
  }

  /** Fills the result with the limit that refuses longest, or with the one that has the least left. */
  #lookAll(limits: readonly Limit[], cost: number, now: number): TakeResult {
    const finding = this.#finding
    const result = this.#result
    result.allowed = true
    for (let index = 0; index < limits.length; index++) {
      const cell = this.#findCell(index)
      this.#found[index] = cell
      look(this.#cells, cell, limits[index]!, cost, now, finding)
      const isTelling =
        index === 0 ||
        (finding.allowed === result.allowed
          ? finding.allowed
            ? finding.remaining < result.remaining
            : isLonger(finding.retryAfterMs, result.retryAfterMs)
          : !finding.allowed)
      if (isTelling) this.#tell(index, finding)
    }
    return result
  }

  #tell(limitIndex: number, { allowed, remaining, resetMs, retryAfterMs }: Finding): void {
    const result = this.#result
    result.allowed = allowed
    result.limitIndex = limitIndex
    result.remaining = remaining
    result.resetMs = resetMs
    result.retryAfterMs = retryAfterMs
  }

  #takeAll(limits: readonly Limit[], cost: number, now: number, whenFull: 'deny' | 'allow'): void {
    for (let index = 0; index < limits.length; index++) {
      if (this.#found[index] === -1)
        this.#found[index] = this.#freeCellFor(index, limits.length, now)
      if (this.#found[index] === -1 && !this.#withoutRoom(index, whenFull).allowed) return
    }
    for (let index = 0; index < limits.length; index++) {
      const cell = this.#found[index]!
      if (cell === -1) continue
      const at = 4 * index
      if (endOf(this.#cells, cell) <= now) {
        this.#cells.claim(
          this.#buckets[index]!,
          cell,
          this.#hashes[at]!,
          this.#hashes[at + 1]!,
          this.#hashes[at + 2]!,
          this.#hashes[at + 3]!,
        )
      }
      take(this.#cells, cell, limits[index]!, cost, now)
    }
  }

  #withoutRoom(limitIndex: number, whenFull: 'deny' | 'allow'): TakeResult {
    Atomics.add(this.#noRoom, 0, 1)
    const result = this.#result
    result.allowed = whenFull === 'allow'
    if (result.allowed) return result
    result.limitIndex = limitIndex
    result.remaining = 0
    result.resetMs = NO_ROOM_RETRY_MS
    result.retryAfterMs = NO_ROOM_RETRY_MS
    return result
  }

  #findCell(index: number): number {
    const hashes = this.#hashes
    const at = 4 * index
    const bucket = this.#buckets[index]!
    return this.#cells.find(bucket, hashes[at]!, hashes[at + 1]!, hashes[at + 2]!, hashes[at + 3]!)
  }

  /** A cell for a new key that no other limit of this take has chosen. */
  #freeCellFor(index: number, count: number, now: number): number {
    const table = this.#cells
    const bucket = this.#buckets[index]!
    for (let way = 0; way < WAYS; way++) {
      const cell = table.cellAt(bucket, way)
      if (endOf(table, cell) <= now && !this.#isFound(cell, count)) return cell
    }
    return -1
  }

  #isFound(cell: number, count: number): boolean {
    // Those of limits yet to come may have an ended cell of their own.
    for (let index = 0; index < count; index++) if (this.#found[index] === cell) return true
    return false
  }

  #freePlaces(bucket: number): number {
    for (let way = 0; way < WAYS; way++) {
      const cell = this.#places.cellAt(bucket, way)
      if (this.#placesTaken(cell) === 0) return cell
    }
    return -1
  }

  #placesTaken(cell: number): number {
    const { words, cellWords } = this.#places
    let taken = 0
    for (let row = KEY_WORDS; row < cellWords; row++) taken += Atomics.load(words, cell + row)
    return taken
  }
}

function isLonger(retryAfterMs: number, than: number): boolean {
  return than !== -1 && (retryAfterMs === -1 || retryAfterMs > than)
}
