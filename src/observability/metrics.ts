// Counters of all threads in shared memory: a row of cells per thread, which that thread alone
// writes, and readers that add the rows up. Counting is one addition at an index known beforehand.
import type { MetricsShape } from './metrics-shape.ts'
import {
  allocateDirectory,
  type DirectoryCapacity,
  type DirectoryEntry,
  SeriesDirectory,
} from './series-directory.ts'

const DEFAULT_CAPACITY: DirectoryCapacity = { blocksMax: 16_384, cellsMax: 524_288 }

/** The label of everything that there was no room for. */
export const OVERFLOW_LABEL = 'other'

/** What another thread needs to count in the same place; can be posted to a worker. */
export interface MetricsBuffers extends DirectoryCapacity {
  /** One per thread, and one for the control plane. */
  readonly rows: number
  readonly directory: SharedArrayBuffer
  readonly cells: SharedArrayBuffer
}

/** Consecutive cells of one row. */
export interface MetricsBlock {
  readonly cells: Float64Array
  /** The index of the block's first cell. */
  readonly start: number
}

/** A block as readers see it. */
export interface MetricsEntry {
  readonly labels: readonly string[]
  readonly start: number
}

/** Makes room for the metrics of `rows` threads. Memory is taken only as it is used. */
export function allocateMetrics(
  rows: number,
  capacity: DirectoryCapacity = DEFAULT_CAPACITY,
): MetricsBuffers {
  const { blocksMax, cellsMax } = capacity
  return {
    rows,
    blocksMax,
    cellsMax,
    directory: allocateDirectory(capacity),
    cells: new SharedArrayBuffer(rows * cellsMax * Float64Array.BYTES_PER_ELEMENT),
  }
}

function rowOf(buffers: MetricsBuffers, row: number): Float64Array {
  if (!(row >= 0 && row < buffers.rows)) {
    throw new RangeError(`row ${row} is outside the ${buffers.rows} rows of the metrics`)
  }
  const start = row * buffers.cellsMax * Float64Array.BYTES_PER_ELEMENT
  return new Float64Array(buffers.cells, start, buffers.cellsMax)
}

function directoryOf(buffers: MetricsBuffers): SeriesDirectory {
  return new SeriesDirectory(buffers.directory, buffers, (start, size) => {
    for (let row = 0; row < buffers.rows; row++) rowOf(buffers, row).fill(0, start, start + size)
  })
}

/** Counts for one thread. No two threads that live may use the same row. */
export class MetricsWriter {
  readonly row: number
  readonly #cells: Float64Array
  readonly #directory: SeriesDirectory

  constructor(buffers: MetricsBuffers, row: number) {
    this.row = row
    this.#cells = rowOf(buffers, row)
    this.#directory = directoryOf(buffers)
  }

  /** A configuration went live; what it does not name may give way to new names, when room is needed. */
  nextEra(): void {
    this.#directory.nextEra()
  }

  /**
   * The block with these labels: always the same one, in every thread. When there is no room for
   * another, the one labelled `other`, so that nothing goes uncounted.
   */
  block(shape: MetricsShape, labels: readonly string[]): MetricsBlock {
    const name = blockName(shape, labels)
    const { cellCount, stay } = shape
    let start = this.#directory.place(name, cellCount, this.row, false, stay)
    if (start < 0) {
      const overflow = blockName(
        shape,
        shape.labels.map(() => OVERFLOW_LABEL),
      )
      start = this.#directory.place(overflow, cellCount, this.row, true, 'lasting')
    }
    if (start < 0) throw new Error(`there is no room for metrics of the kind "${shape.kind}"`)
    return { cells: this.#cells, start }
  }
}

/** Reads what all threads counted. */
export class MetricsReader {
  readonly #buffers: MetricsBuffers
  readonly #rows: readonly Float64Array[]
  readonly #directory: SeriesDirectory
  readonly #entries = new Map<string, MetricsEntry[]>()
  #all: readonly DirectoryEntry[] = []
  #entryCount = 0

  constructor(buffers: MetricsBuffers) {
    this.#buffers = buffers
    this.#rows = Array.from({ length: buffers.rows }, (_, row) => rowOf(buffers, row))
    this.#directory = directoryOf(buffers)
  }

  /** How often a block was asked for and there was no room. */
  get refused(): number {
    return this.#directory.refused
  }

  /** All blocks of one kind. */
  entries(shape: MetricsShape): readonly MetricsEntry[] {
    const all = this.#directory.entries()
    if (all !== this.#all) {
      this.#all = all
      this.#entryCount = 0
      this.#entries.clear()
    }
    for (; this.#entryCount < all.length; this.#entryCount++) {
      const { name, start } = all[this.#entryCount]!
      const [kind, ...labels] = JSON.parse(name) as [string, ...string[]]
      const entries = this.#entries.get(kind)
      if (entries === undefined) this.#entries.set(kind, [{ labels, start }])
      else entries.push({ labels, start })
    }
    return this.#entries.get(shape.kind) ?? []
  }

  /** The sum of one cell over all threads. */
  sum(cell: number): number {
    let sum = 0
    for (let row = 0; row < this.#rows.length; row++) sum += this.#rows[row]![cell]!
    return sum
  }

  /**
   * A thread is gone and another may take its row: what it counted stays, its gauges go to zero,
   * and a lock that it held is given back.
   */
  threadEnded(row: number, shapes: readonly MetricsShape[]): void {
    this.#directory.unlock(row)
    const cells = rowOf(this.#buffers, row)
    for (const shape of shapes) {
      const gauges = shape.families.filter((family) => family.type === 'gauge')
      if (gauges.length === 0) continue
      for (const { start } of this.entries(shape)) {
        for (const { offset, cellCount } of gauges) {
          cells.fill(0, start + offset, start + offset + cellCount)
        }
      }
    }
  }
}

function blockName(shape: MetricsShape, labels: readonly string[]): string {
  return JSON.stringify([shape.kind, ...labels])
}
