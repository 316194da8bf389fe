// Gives keys their places in the shared tables. Lives in the control plane, the only one that
// hands places out; threads are told the numbers.

/**
 * Places for keys, for example 'service|address'. A key that is released and comes back before
 * its place went to another key gets the same place, with the state in it.
 */
export class SlotRegistry {
  readonly #what: string
  readonly #capacity: number
  readonly #mayReuse: (slot: number) => boolean
  readonly #slots = new Map<string, number>()
  // In the order of release. Exchanges on an old snapshot may still look at a released place, so
  // the one released longest ago is reused first, and none while a fresh one is left.
  readonly #released = new Map<string, number>()
  #fresh = 0

  /**
   * @param what names the thing in the error, in the plural: 'endpoints'
   * @param mayReuse whether nobody holds anything of a released place any more; clears it if so
   */
  constructor(what: string, capacity: number, mayReuse: (slot: number) => boolean = () => true) {
    this.#what = what
    this.#capacity = capacity
    this.#mayReuse = mayReuse
  }

  /**
   * The place of `key`; the same until it is released.
   * @throws RangeError when all places are taken.
   */
  acquire(key: string): number {
    const known = this.#slots.get(key)
    if (known !== undefined) return known
    const slot = this.#released.get(key) ?? this.#free()
    this.#released.delete(key)
    this.#slots.set(key, slot)
    return slot
  }

  /** Frees the place of `key`. Call it once no snapshot in use names the key. */
  release(key: string): void {
    const slot = this.#slots.get(key)
    if (slot === undefined) return
    this.#slots.delete(key)
    this.#released.set(key, slot)
  }

  /** The keys that have a place now. */
  keys(): IterableIterator<string> {
    return this.#slots.keys()
  }

  #free(): number {
    if (this.#fresh < this.#capacity) return this.#fresh++
    for (const [key, slot] of this.#released) {
      if (!this.#mayReuse(slot)) continue
      this.#released.delete(key)
      return slot
    }
    const held = this.#released.size
    throw new RangeError(
      `no room for more than ${this.#capacity} ${this.#what}` +
        (held === 0 ? '' : ` (${held} removed ones are still in use)`),
    )
  }
}
