// The cells that one thread counts in for one set of labels.
import type { MetricsWriter } from './metrics.ts'
import type { MetricsShape } from './metrics-shape.ts'

/** A block of metrics, to be written by the thread that made it. */
export abstract class Block {
  protected readonly cells: Float64Array
  /** Its place, which is the same in all threads. */
  readonly start: number

  constructor(writer: MetricsWriter, shape: MetricsShape, labels: readonly string[]) {
    const { cells, start } = writer.block(shape, labels)
    this.cells = cells
    this.start = start
  }

  protected add(offset: number, amount: number): void {
    const index = this.start + offset
    this.cells[index] = this.cells[index]! + amount
  }
}
