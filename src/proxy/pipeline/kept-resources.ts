// What policies keep from one snapshot to the next, counted by the stages that use it.
import type { Kept } from './policy.ts'

interface Entry {
  readonly resource: Kept
  users: number
}

/** The resources of one thread. */
export class KeptResources {
  readonly #entries = new Map<string, Entry>()

  /** How many there are. */
  get size(): number {
    return this.#entries.size
  }

  /** The resource of this key, made if there is none; pair each call with one `release`. */
  acquire<T extends Kept>(key: string, make: () => T): T {
    let entry = this.#entries.get(key)
    if (entry === undefined) {
      entry = { resource: make(), users: 0 }
      this.#entries.set(key, entry)
    }
    entry.users++
    return entry.resource as T
  }

  /** One user less; the last one disposes of the resource. */
  release(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined || --entry.users > 0) return
    this.#entries.delete(key)
    entry.resource.dispose()
  }
}
