// The requests of one thread that wait for a place at a service, in lists by importance.
import { WheelTimer } from '../../../lib/timer-wheel.ts'
import { IMPORTANCES } from './importance.ts'

/** One that waits; it is its own list node and timer. */
export abstract class Waiting extends WheelTimer {
  readonly importance: number
  /** When it came, as a tick that all threads share. */
  readonly since: number
  /** Past it nothing is worth beginning; on the monotonic clock, ms. */
  readonly latest: number
  older: Waiting | null = null
  newer: Waiting | null = null

  constructor(importance: number, since: number, latest: number) {
    super()
    this.importance = importance
    this.since = since
    this.latest = latest
  }
}

/** Those that wait. Every list goes from the oldest to the newest. */
export class WaitQueue<T extends Waiting> {
  readonly #oldest: (T | null)[] = IMPORTANCES.map(() => null)
  readonly #newest: (T | null)[] = IMPORTANCES.map(() => null)
  #size = 0

  get size(): number {
    return this.#size
  }

  /** The greatest importance of which somebody waits; -1 when nobody does. */
  get highest(): number {
    let level = IMPORTANCES.length - 1
    while (level >= 0 && this.#oldest[level] === null) level -= 1
    return level
  }

  oldest(importance: number): T | null {
    return this.#oldest[importance] ?? null
  }

  newest(importance: number): T | null {
    return this.#newest[importance] ?? null
  }

  /** Whose turn it is: of the most important, the one that came first, or last. */
  first(newestFirst: boolean): T | null {
    const { highest } = this
    return newestFirst ? this.newest(highest) : this.oldest(highest)
  }

  add(waiting: T): void {
    const level = waiting.importance
    const newest = this.newest(level)
    waiting.older = newest
    if (newest === null) this.#oldest[level] = waiting
    else newest.newer = waiting
    this.#newest[level] = waiting
    this.#size += 1
  }

  remove(waiting: T): void {
    const level = waiting.importance
    const { older, newer } = waiting
    if (older === null) this.#oldest[level] = newer as T | null
    else older.newer = newer
    if (newer === null) this.#newest[level] = older as T | null
    else newer.older = older
    waiting.older = null
    waiting.newer = null
    this.#size -= 1
  }
}
