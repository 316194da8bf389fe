// A table of fixed size in shared memory: buckets of 31 cells, each bucket under a lock. Keys are known
// by their hashes alone. What a cell holds, and when it is free, is for its user to say.

/** Cells per bucket. Full buckets are rare until well over half of all cells are in use. */
export const WAYS = 31
/** The first words of a cell are its key's; the rest is its user's. */
export const KEY_WORDS = 3
/** Word 0 of a bucket is its lock, the others are one word of each cell's key, to be looked through. */
const HEADER_WORDS = 32
const BUCKETS_MIN = 16
/** How often a held lock is looked at before the thread sleeps between two looks. */
const SPINS_MAX = 500
const NAPS_MAX = 200
const NAP_MS = 0.5

/** The size and place of a table; can be posted to a worker. */
export interface CellTableBuffers {
  readonly words: SharedArrayBuffer
  readonly buckets: number
  readonly cellWords: number
}

/** Makes a table that has room for about `keysMax` keys at a time: twice as many cells. */
export function allocateCells(keysMax: number, cellWords: number): CellTableBuffers {
  const buckets = Math.max(BUCKETS_MIN, 2 ** Math.ceil(Math.log2((2 * keysMax) / WAYS)))
  // Pairs of words are read as numbers of 64 bits.
  const even = cellWords + (cellWords & 1)
  const bytes = buckets * (HEADER_WORDS + WAYS * even) * Int32Array.BYTES_PER_ELEMENT
  return { words: new SharedArrayBuffer(bytes), buckets, cellWords: even }
}

/**
 * One thread's view of a table. Buckets and cells are given by the index of their first word; cells
 * are read and written between `lock` and `unlock` only, which makes plain accesses safe.
 */
export class CellTable {
  readonly words: Int32Array
  /** The same memory in units of two words. */
  readonly numbers: Float64Array
  readonly buckets: number
  readonly cellWords: number
  readonly #bucketWords: number
  readonly #owner: number

  constructor(buffers: CellTableBuffers, threadIndex: number) {
    this.words = new Int32Array(buffers.words)
    this.numbers = new Float64Array(buffers.words)
    this.buckets = buffers.buckets
    this.cellWords = buffers.cellWords
    this.#bucketWords = HEADER_WORDS + WAYS * buffers.cellWords
    this.#owner = threadIndex + 1
  }

  /** The bucket of a key, by the first word of its hash. */
  bucketOf(a: number): number {
    return (a & (this.buckets - 1)) * this.#bucketWords
  }

  /** The bucket with this number, from 0 on. */
  bucketAt(index: number): number {
    return index * this.#bucketWords
  }

  /** The bucket's cell with this number, 0 to WAYS - 1. */
  cellAt(bucket: number, way: number): number {
    return bucket + HEADER_WORDS + way * this.cellWords
  }

  /** Takes the bucket's lock. @returns false when its owner does not give it back in about 100 ms. */
  lock(bucket: number): boolean {
    if (Atomics.compareExchange(this.words, bucket, 0, this.#owner) === 0) return true
    return this.#lockLater(bucket)
  }

  unlock(bucket: number): void {
    Atomics.store(this.words, bucket, 0)
  }

  /** The cell that holds the key of this hash, live or not; -1 if none does. */
  find(bucket: number, a: number, b: number, c: number, d: number): number {
    const words = this.words
    for (let way = 0; way < WAYS; way++) {
      if (words[bucket + 1 + way] !== b) continue
      const cell = this.cellAt(bucket, way)
      if (words[cell] === a && words[cell + 1] === c && words[cell + 2] === d) return cell
    }
    return -1
  }

  /** Gives a free cell to the key of this hash. What else is in the cell stays as it is. */
  claim(bucket: number, cell: number, a: number, b: number, c: number, d: number): void {
    const words = this.words
    const way = (cell - bucket - HEADER_WORDS) / this.cellWords
    words[bucket + 1 + way] = b
    words[cell] = a
    words[cell + 1] = c
    words[cell + 2] = d
  }

  /** Opens the locks that a dead thread held. */
  releaseThread(threadIndex: number): void {
    for (let index = 0; index < this.buckets; index++) {
      Atomics.compareExchange(this.words, this.bucketAt(index), threadIndex + 1, 0)
    }
  }

  #lockLater(bucket: number): boolean {
    const { words } = this
    for (let look = 0; look < SPINS_MAX + NAPS_MAX; look++) {
      const owner = Atomics.load(words, bucket)
      if (owner === 0) {
        if (Atomics.compareExchange(words, bucket, 0, this.#owner) === 0) return true
      } else if (look >= SPINS_MAX) {
        // The owner lost its processor, or died: sleeping gives it back the one or the other.
        Atomics.wait(words, bucket, owner, NAP_MS)
      }
    }
    return false
  }
}
