// What mirroring may take of a thread: memory for copies and for answers to compare, and the time of
// the event loop, one comparison after the other.
import type { Kept } from '../policy.ts'

/** Memory that all copies of a thread hold at one time. */
const MIRROR_BYTES_MAX = 32 * 1024 ** 2
/** What a copy is counted with beside its bodies. */
export const COPY_BYTES = 4096

/** A comparison that waits for its turn; never rejects. */
export type Comparing = () => Promise<void>

/** The room of one thread. */
export class MirrorRoom implements Kept {
  #bytesLeft: number
  readonly #waiting: Comparing[] = []
  #isComparing = false

  constructor(bytesMax: number = MIRROR_BYTES_MAX) {
    this.#bytesLeft = bytesMax
  }

  get bytesLeft(): number {
    return this.#bytesLeft
  }

  /** Takes memory. @returns false when there is not as much left. */
  take(bytes: number): boolean {
    if (bytes > this.#bytesLeft) return false
    this.#bytesLeft -= bytes
    return true
  }

  giveBack(bytes: number): void {
    this.#bytesLeft += bytes
  }

  /** Compares when all that waited before was compared. */
  compare(comparing: Comparing): void {
    this.#waiting.push(comparing)
    if (!this.#isComparing) void this.#compareAll()
  }

  dispose(): void {
    this.#waiting.length = 0
  }

  async #compareAll(): Promise<void> {
    this.#isComparing = true
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      await next()
    }
    this.#isComparing = false
  }
}

const EMPTY = Buffer.alloc(0)
const FIRST_BYTES = 1024

/** A body that is kept as it comes, in one piece of memory that the room knows of. */
export class KeptBody {
  readonly #room: MirrorRoom
  readonly #bytesMax: number
  #memory = EMPTY
  #length = 0

  constructor(room: MirrorRoom, bytesMax: number) {
    this.#room = room
    this.#bytesMax = bytesMax
  }

  get bytes(): Buffer {
    return this.#memory.subarray(0, this.#length)
  }

  /** Adds a copy of a piece. @returns why it has no place; what was kept before stays. */
  add(data: Buffer): 'too_large' | 'memory' | null {
    const needed = this.#length + data.length
    if (needed > this.#bytesMax) return 'too_large'
    if (needed > this.#memory.length) {
      const size = Math.min(Math.max(needed, 2 * this.#memory.length, FIRST_BYTES), this.#bytesMax)
      if (!this.#room.take(size - this.#memory.length)) return 'memory'
      const grown = Buffer.allocUnsafeSlow(size)
      this.#memory.copy(grown, 0, 0, this.#length)
      this.#memory = grown
    }
    data.copy(this.#memory, this.#length)
    this.#length = needed
    return null
  }

  /** Forgets all of it. */
  release(): void {
    this.#room.giveBack(this.#memory.length)
    this.#memory = EMPTY
    this.#length = 0
  }
}
