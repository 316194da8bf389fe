// Which metric lives where: a list in shared memory that every thread reads and adds to, so that
// the same labels mean the same cells in all threads, after every reload and in replaced threads.
// When it is full, a new name takes the place of one that no configuration in use has.

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
/** Counts up with every configuration that went live. */
const ERA = 5
/** Counts up when a name takes the place of another, once before and once after: odd in between. */
const RENAMES = 6
/** Where the search for a place to take goes on. */
const CURSOR = 7
const HEADER_CELLS = 8

// Int32 cells of an entry.
const START = 0
const TEXT_START = 1
const TEXT_LENGTH = 2
/** Bytes that its text may have. */
const TEXT_ROOM = 3
const SIZE = 4
/** The era in which it was last asked for. */
const USED = 5
const ENTRY_CELLS = 6

/** Further than any era. */
const FOR_EVER = 0x7fff_ffff

/** Bytes of UTF-8 that a block's name has on average. */
const TEXT_BYTES_PER_BLOCK = 128
/** Names get room in steps of so many bytes, so that another one fits in their place. */
const TEXT_STEP = 32
/** Blocks and cells that only reserved names get. */
const RESERVED_BLOCKS = 32
const RESERVED_CELLS = 2_048
/** How often a thread looks at what another one holds or is about to change, a millisecond apart. */
const TRIES = 100

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

/** How long a name keeps its place: for ever, or as long as a configuration has it and there is room. */
export type Stay = 'lasting' | 'configured'

/** One thread's view of the directory. */
export class SeriesDirectory {
  readonly #capacity: DirectoryCapacity
  readonly #cells: Int32Array
  readonly #text: Uint8Array
  readonly #clear: (start: number, size: number) => void
  #indexes = new Map<string, number>()
  #entries: DirectoryEntry[] = []
  #renames = 0

  /** @param clear sets the cells of a block to zero, in all rows: it begins to count another name. */
  constructor(
    buffer: SharedArrayBuffer,
    capacity: DirectoryCapacity,
    clear: (start: number, size: number) => void,
  ) {
    const entriesEnd = HEADER_CELLS + capacity.blocksMax * ENTRY_CELLS
    this.#capacity = capacity
    this.#cells = new Int32Array(buffer, 0, entriesEnd)
    this.#text = new Uint8Array(buffer, entriesEnd * 4)
    this.#clear = clear
  }

  /** How often there was no room for a name. */
  get refused(): number {
    return Atomics.load(this.#cells, REFUSED)
  }

  /** All entries, those of other threads included; another array once a name took another's place. */
  entries(): readonly DirectoryEntry[] {
    this.#catchUp()
    return this.#entries
  }

  /** A configuration went live: names that it does not have may be given up from the next one on. */
  nextEra(): void {
    Atomics.add(this.#cells, ERA, 1)
  }

  /**
   * The first cell of the block of that name, which is added if need be; -1 when there is no room.
   * `owner` is the caller's thread; `isReserved` names may use the room that is kept for them.
   */
  place(name: string, size: number, owner: number, isReserved: boolean, stay: Stay): number {
    const known = this.#known(name)
    if (known >= 0) return known
    if (!this.#lock(owner)) return this.#refuse()
    try {
      this.#catchUp()
      const added = this.#known(name)
      return added >= 0 ? added : this.#add(name, size, isReserved, stay)
    } finally {
      this.unlock(owner)
    }
  }

  /** Gives the lock back if that thread holds it; for threads that died in between. */
  unlock(owner: number): void {
    const cells = this.#cells
    if (Atomics.load(cells, LOCK) !== owner + 1) return
    // It died in the middle of a change: everybody reads all of it again.
    if (Atomics.load(cells, RENAMES) % 2 !== 0) Atomics.add(cells, RENAMES, 1)
    Atomics.store(cells, LOCK, 0)
    Atomics.notify(cells, LOCK)
  }

  #lock(owner: number): boolean {
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const holder = Atomics.compareExchange(this.#cells, LOCK, 0, owner + 1)
      if (holder === 0) return true
      Atomics.wait(this.#cells, LOCK, holder, 1)
    }
    return false
  }

  /** Where a name is that this thread has seen, which is in use from now on; -1 if that is not certain. */
  #known(name: string): number {
    const index = this.#indexes.get(name)
    if (index === undefined) return -1
    const cells = this.#cells
    const used = entryOf(index) + USED
    const era = Atomics.load(cells, ERA)
    const last = Atomics.load(cells, used)
    if (last < era && Atomics.compareExchange(cells, used, last, era) !== last) return -1
    // Now nobody takes its place any more; somebody may have before.
    const isSame = Atomics.load(cells, RENAMES) === this.#renames
    return isSame ? this.#entries[index]!.start : -1
  }

  #add(name: string, size: number, isReserved: boolean, stay: Stay): number {
    const text = encoder.encode(name)
    const keptBlocks = isReserved ? 0 : RESERVED_BLOCKS
    const keptCells = isReserved ? 0 : RESERVED_CELLS
    const cells = this.#cells
    const count = cells[COUNT]!
    const start = cells[CELLS_USED]!
    const textStart = cells[TEXT_USED]!
    const textRoom = Math.ceil(text.length / TEXT_STEP) * TEXT_STEP
    const hasRoom =
      count < this.#capacity.blocksMax - keptBlocks &&
      start + size <= this.#capacity.cellsMax - keptCells &&
      textStart + textRoom <= this.#text.length - keptBlocks * TEXT_BYTES_PER_BLOCK
    if (!hasRoom) return this.#takePlace(text, size)
    this.#text.set(text, textStart)
    const entry = entryOf(count)
    cells[entry + START] = start
    cells[entry + TEXT_START] = textStart
    cells[entry + TEXT_LENGTH] = text.length
    cells[entry + TEXT_ROOM] = textRoom
    cells[entry + SIZE] = size
    cells[entry + USED] = stay === 'lasting' ? FOR_EVER : Atomics.load(cells, ERA)
    cells[CELLS_USED] = start + size
    cells[TEXT_USED] = textStart + textRoom
    // Last: only now do others see the entry, whatever happens to this thread.
    Atomics.store(cells, COUNT, count + 1)
    this.#catchUp()
    return start
  }

  /**
   * Gives the name a block of this size that neither the live configuration has nor one being prepared.
   * An exchange that began long ago may still add to it, which is one request counted wrongly.
   */
  #takePlace(text: Uint8Array, size: number): number {
    const cells = this.#cells
    const count = cells[COUNT]!
    const era = Atomics.load(cells, ERA)
    for (let step = 0; step < count; step++) {
      const index = (cells[CURSOR]! + step) % count
      const entry = entryOf(index)
      const last = Atomics.load(cells, entry + USED)
      const fits = cells[entry + SIZE] === size && cells[entry + TEXT_ROOM]! >= text.length
      if (!fits || last >= era - 1) continue
      Atomics.add(cells, RENAMES, 1)
      const isTaken = Atomics.compareExchange(cells, entry + USED, last, era) === last
      const start = cells[entry + START]!
      if (isTaken) {
        this.#text.set(text, cells[entry + TEXT_START])
        cells[entry + TEXT_LENGTH] = text.length
        this.#clear(start, size)
        cells[CURSOR] = index + 1
      }
      Atomics.add(cells, RENAMES, 1)
      if (isTaken) return start
    }
    return this.#refuse()
  }

  #refuse(): number {
    Atomics.add(this.#cells, REFUSED, 1)
    return -1
  }

  /** Reads what was added and changed since the last time; leaves all as it was if that goes on for long. */
  #catchUp(): void {
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const renames = Atomics.load(this.#cells, RENAMES)
      const isSame = renames === this.#renames
      const entries = isSame ? this.#entries : []
      const indexes = isSame ? this.#indexes : new Map<string, number>()
      if (renames % 2 === 0) this.#read(entries, indexes)
      if (renames % 2 === 0 && Atomics.load(this.#cells, RENAMES) === renames) {
        this.#entries = entries
        this.#indexes = indexes
        this.#renames = renames
        return
      }
      Atomics.wait(this.#cells, RENAMES, renames, 1)
    }
  }

  #read(entries: DirectoryEntry[], indexes: Map<string, number>): void {
    const count = Atomics.load(this.#cells, COUNT)
    for (let index = entries.length; index < count; index++) {
      const entry = entryOf(index)
      const textStart = this.#cells[entry + TEXT_START]!
      const textEnd = textStart + this.#cells[entry + TEXT_LENGTH]!
      // A copy: decoders refuse shared memory.
      const name = decoder.decode(this.#text.slice(textStart, textEnd))
      entries.push({ name, start: this.#cells[entry + START]! })
      indexes.set(name, index)
    }
  }
}

function entryOf(index: number): number {
  return HEADER_CELLS + index * ENTRY_CELLS
}
