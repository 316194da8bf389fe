// Which metric lives where: a list in shared memory that every thread reads and adds to, so that
// the same labels mean the same cells in all threads, after every reload and in replaced threads.

/** How much room there is; fixed for the life of the process, and what is not used costs nothing. */
export interface DirectoryCapacity {
  /** Blocks of cells: one per route, per service, and so on. */
  readonly blocksMax: number
  /** Cells of all blocks together. */
  readonly cellsMax: number
}

// Int32 cells of the header.
const LOCK = 0
const COUNT = 1
const CELLS_USED = 2
const TEXT_USED = 3
const REFUSED = 4
const HEADER_CELLS = 8

// Int32 cells of an entry.
const START = 0
const TEXT_START = 1
const TEXT_LENGTH = 2
const ENTRY_CELLS = 3

/** Bytes of UTF-8 that a block's name has on average. */
const TEXT_BYTES_PER_BLOCK = 128
/** Blocks and cells that only reserved names get. */
const RESERVED_BLOCKS = 32
const RESERVED_CELLS = 2_048
/** How often a thread looks at a lock that another one holds, a millisecond apart. */
const LOCK_TRIES = 100

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** One entry. */
export interface DirectoryEntry {
  readonly name: string
  /** Its first cell. */
  readonly start: number
}

/** Room for a directory; can be posted to a worker. */
export function allocateDirectory({ blocksMax }: DirectoryCapacity): SharedArrayBuffer {
  const entryBytes = (HEADER_CELLS + blocksMax * ENTRY_CELLS) * 4
  return new SharedArrayBuffer(entryBytes + blocksMax * TEXT_BYTES_PER_BLOCK)
}

/** One thread's view of the directory. */
export class SeriesDirectory {
  readonly #capacity: DirectoryCapacity
  readonly #cells: Int32Array
  readonly #text: Uint8Array
  readonly #starts = new Map<string, number>()
  readonly #entries: DirectoryEntry[] = []

  constructor(buffer: SharedArrayBuffer, capacity: DirectoryCapacity) {
    const entriesEnd = HEADER_CELLS + capacity.blocksMax * ENTRY_CELLS
    this.#capacity = capacity
    this.#cells = new Int32Array(buffer, 0, entriesEnd)
    this.#text = new Uint8Array(buffer, entriesEnd * 4)
  }

  /** How often there was no room for a name. */
  get refused(): number {
    return Atomics.load(this.#cells, REFUSED)
  }

  /** All entries, those of other threads included. */
  entries(): readonly DirectoryEntry[] {
    this.#catchUp()
    return this.#entries
  }

  /**
   * The first cell of the block of that name, which is added if need be; -1 when there is no room.
   * `owner` is the caller's thread; `isReserved` names may use the room that is kept for them.
   */
  place(name: string, size: number, owner: number, isReserved: boolean): number {
    const known = this.#starts.get(name)
    if (known !== undefined) return known
    if (!this.#lock(owner)) return this.#refuse()
    try {
      this.#catchUp()
      return this.#starts.get(name) ?? this.#add(name, size, isReserved)
    } finally {
      this.unlock(owner)
    }
  }

  /** Gives the lock back if that thread holds it; for threads that died in between. */
  unlock(owner: number): void {
    if (Atomics.compareExchange(this.#cells, LOCK, owner + 1, 0) !== owner + 1) return
    Atomics.notify(this.#cells, LOCK)
  }

  #lock(owner: number): boolean {
    for (let attempt = 0; attempt < LOCK_TRIES; attempt++) {
      const holder = Atomics.compareExchange(this.#cells, LOCK, 0, owner + 1)
      if (holder === 0) return true
      Atomics.wait(this.#cells, LOCK, holder, 1)
    }
    return false
  }

  #add(name: string, size: number, isReserved: boolean): number {
    const count = this.#cells[COUNT]!
    const start = this.#cells[CELLS_USED]!
    const textStart = this.#cells[TEXT_USED]!
    const text = encoder.encode(name)
    const keptBlocks = isReserved ? 0 : RESERVED_BLOCKS
    const keptCells = isReserved ? 0 : RESERVED_CELLS
    const hasRoom =
      count < this.#capacity.blocksMax - keptBlocks &&
      start + size <= this.#capacity.cellsMax - keptCells &&
      textStart + text.length <= this.#text.length - keptBlocks * TEXT_BYTES_PER_BLOCK
    if (!hasRoom) return this.#refuse()
    this.#text.set(text, textStart)
    const entry = HEADER_CELLS + count * ENTRY_CELLS
    this.#cells[entry + START] = start
    this.#cells[entry + TEXT_START] = textStart
    this.#cells[entry + TEXT_LENGTH] = text.length
    this.#cells[CELLS_USED] = start + size
    this.#cells[TEXT_USED] = textStart + text.length
    // Last: only now do others see the entry, whatever happens to this thread.
    Atomics.store(this.#cells, COUNT, count + 1)
    this.#catchUp()
    return start
  }

  #refuse(): number {
    Atomics.add(this.#cells, REFUSED, 1)
    return -1
  }

  /** Reads the entries that were added since the last time. */
  #catchUp(): void {
    const count = Atomics.load(this.#cells, COUNT)
    for (let index = this.#entries.length; index < count; index++) {
      const entry = HEADER_CELLS + index * ENTRY_CELLS
      const textStart = this.#cells[entry + TEXT_START]!
      const textEnd = textStart + this.#cells[entry + TEXT_LENGTH]!
      // A copy: decoders refuse shared memory.
      const name = decoder.decode(this.#text.slice(textStart, textEnd))
      const start = this.#cells[entry + START]!
      this.#entries.push({ name, start })
      this.#starts.set(name, start)
    }
  }
}
