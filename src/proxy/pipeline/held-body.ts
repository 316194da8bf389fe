// A request body that stages must see whole: gathered in one piece of memory, so that a body in many
// small pieces costs no more than its bytes.
import type { Stage } from './stage.ts'

const FIRST_BYTES = 4096
const EMPTY = Buffer.alloc(0)

/** One body as it grows. */
export class HeldBody {
  #memory = EMPTY
  #length = 0

  /** Adds a copy of a piece. */
  add(data: Buffer): void {
    const needed = this.#length + data.length
    if (needed > this.#memory.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#memory.length, FIRST_BYTES))
      this.#memory.copy(grown, 0, 0, this.#length)
      this.#memory = grown
    }
    data.copy(this.#memory, this.#length)
    this.#length = needed
  }

  /** All of it. */
  get bytes(): Buffer {
    return this.#memory.subarray(0, this.#length)
  }
}

/** Whether any of the stages that take part must see the body whole. `ran` has a bit for each. */
export function holdsBody(stages: readonly Stage[], ran: number): boolean {
  for (let i = 0; i < stages.length; i++) {
    if ((ran & (1 << i)) !== 0 && stages[i]!.heldBytesMax > 0) return true
  }
  return false
}

/**
 * The stages that still take part when the body has so many bytes: without those in shadow mode that
 * hold less, which would have refused it; or -1 when one that is enforced refuses it.
 */
export function stagesHolding(stages: readonly Stage[], ran: number, bytes: number): number {
  let left = ran
  for (let i = 0; i < stages.length; i++) {
    const stage = stages[i]!
    if ((left & (1 << i)) === 0 || stage.heldBytesMax === 0 || bytes <= stage.heldBytesMax) continue
    if (!stage.shadow) {
      stage.counters.rejected()
      return -1
    }
    stage.counters.shadowRejected()
    left &= ~(1 << i)
  }
  return left
}
