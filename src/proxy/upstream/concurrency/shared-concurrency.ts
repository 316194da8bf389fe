// What all threads of a gateway must agree on to bound the requests in flight at a service: how many
// there are, how many wait, whose turn is next, and the limit. Numbers in one SharedArrayBuffer.
import { IMPORTANCES } from './importance.ts'

/** How many of each there is room for. */
export interface ConcurrencyCapacity {
  readonly servicesMax: number
  readonly threadsMax: number
}

/** A clock that all threads share: milliseconds as wrapping Int32, of which only differences mean anything. */
export interface SharedTicks {
  now(): number
}

/** Cells of a service, from its first. */
export const LimitCell = {
  inFlight: 0,
  waiting: 1,
  /** One for each importance. */
  waitingBy: 2,
  wake: 6,
  /** Since when there is a queue at all. */
  queuedSince: 7,
  limit: 8,
  // What an adaptive limit learns with; see adaptive-limit.ts.
  lock: 16,
  learned: 17,
  windowStart: 18,
  samples: 19,
  logSum: 20,
  slow: 21,
  dropped: 22,
  peak: 23,
  baseline: 24,
  isProbing: 25,
  nextProbe: 26,
  /** Of the limits since the last probe. */
  highest: 27,
} as const

/** Cells of a service in a thread's row. */
const RowCell = {
  inFlight: 0,
  waitingBy: 1,
  /** Of who is next in this thread: the importance, from 1; 0 when nobody waits. */
  next: 5,
  oldest: 6,
  newest: 7,
} as const

const SERVICE_CELLS = 32
const ROW_CELLS = 8

/** Bytes that the shared state of so many takes. */
export function concurrencyBytes({ servicesMax, threadsMax }: ConcurrencyCapacity): number {
  return servicesMax * (SERVICE_CELLS + ROW_CELLS * threadsMax) * Int32Array.BYTES_PER_ELEMENT
}

/** One thread's view. A cell of a row has one writer, its thread; the others are changed atomically. */
export class SharedConcurrency {
  readonly cells: Int32Array
  readonly ticks: SharedTicks
  readonly threadIndex: number
  readonly #threadsMax: number
  readonly #servicesMax: number
  readonly #rows: number
  readonly #stride: number
  readonly #own: number

  constructor(
    buffer: SharedArrayBuffer,
    { servicesMax, threadsMax }: ConcurrencyCapacity,
    threadIndex: number,
    ticks: SharedTicks,
  ) {
    this.cells = new Int32Array(buffer)
    this.ticks = ticks
    this.threadIndex = threadIndex
    this.#threadsMax = threadsMax
    this.#servicesMax = servicesMax
    this.#rows = servicesMax * SERVICE_CELLS
    this.#stride = servicesMax * ROW_CELLS
    this.#own = this.#rows + threadIndex * this.#stride
  }

  /** The first of a service's cells; see LimitCell. */
  service(slot: number): number {
    return slot * SERVICE_CELLS
  }

  /** Requests in flight at the service, over all threads. */
  inFlight(slot: number): number {
    return Atomics.load(this.cells, this.service(slot) + LimitCell.inFlight)
  }

  /** Requests that wait for a place there, over all threads. */
  waiting(slot: number): number {
    return Atomics.load(this.cells, this.service(slot) + LimitCell.waiting)
  }

  /** The most that may be in flight now. */
  limit(slot: number): number {
    return Atomics.load(this.cells, this.service(slot) + LimitCell.limit)
  }

  /** Sets it for all threads. */
  setLimit(slot: number, limit: number): void {
    const before = Atomics.exchange(this.cells, this.service(slot) + LimitCell.limit, limit)
    if (limit > before) this.wakeWaiters(slot)
  }

  /** Takes a place; false when as many as the limit says are in flight. */
  tryEnter(slot: number): boolean {
    const { cells } = this
    const total = this.service(slot) + LimitCell.inFlight
    for (;;) {
      const inFlight = Atomics.load(cells, total)
      if (inFlight >= this.limit(slot)) return false
      if (Atomics.compareExchange(cells, total, inFlight, inFlight + 1) === inFlight) break
    }
    // A thread can only be stopped at calls and loop edges: there is none between the exchange and this
    // store, so what a dead thread held is always what its row says.
    cells[this.#own + slot * ROW_CELLS]! += 1
    return true
  }

  /** Gives a place back and wakes whoever waits for one. */
  leave(slot: number): void {
    this.cells[this.#own + slot * ROW_CELLS]! -= 1
    Atomics.sub(this.cells, this.service(slot) + LimitCell.inFlight, 1)
    this.wakeWaiters(slot)
  }

  /** How many of this importance or above wait, over all threads. */
  waitingFrom(slot: number, importance: number): number {
    const first = this.service(slot) + LimitCell.waitingBy
    let sum = 0
    for (let level = importance; level < IMPORTANCES.length; level += 1) {
      sum += Atomics.load(this.cells, first + level)
    }
    return sum
  }

  /** The lowest importance of those that wait, over all threads; more than any when nobody does. */
  lowestWaiting(slot: number): number {
    const first = this.service(slot) + LimitCell.waitingBy
    let level = 0
    while (level < IMPORTANCES.length && Atomics.load(this.cells, first + level) <= 0) level += 1
    return level
  }

  /** For how long somebody has been waiting without a pause, in ms. */
  queuedForMs(slot: number): number {
    if (this.waiting(slot) === 0) return 0
    const since = Atomics.load(this.cells, this.service(slot) + LimitCell.queuedSince)
    return Math.max(0, (this.ticks.now() - since) | 0)
  }

  /** One more request of this thread waits. */
  addWaiter(slot: number, importance: number): void {
    const { cells } = this
    const first = this.service(slot)
    cells[this.#own + slot * ROW_CELLS + RowCell.waitingBy + importance]! += 1
    Atomics.add(cells, first + LimitCell.waitingBy + importance, 1)
    if (Atomics.add(cells, first + LimitCell.waiting, 1) === 0) {
      Atomics.store(cells, first + LimitCell.queuedSince, this.ticks.now())
    }
  }

  removeWaiter(slot: number, importance: number): void {
    Atomics.sub(this.cells, this.service(slot) + LimitCell.waiting, 1)
    this.#forgetWaiter(slot, importance)
  }

  /** Removes a waiter of this thread, but only if more than `max` wait; no two threads remove the same one. */
  tryTrim(slot: number, importance: number, max: number): boolean {
    const total = this.service(slot) + LimitCell.waiting
    for (;;) {
      const waiting = Atomics.load(this.cells, total)
      if (waiting <= max) return false
      if (Atomics.compareExchange(this.cells, total, waiting, waiting - 1) === waiting) break
    }
    this.#forgetWaiter(slot, importance)
    return true
  }

  /**
   * Says who is next in this thread: how much it matters (-1: nobody waits), and since when those of its
   * importance wait.
   */
  publish(slot: number, importance: number, oldest: number, newest: number): void {
    const row = this.#own + slot * ROW_CELLS
    Atomics.store(this.cells, row + RowCell.oldest, oldest)
    Atomics.store(this.cells, row + RowCell.newest, newest)
    Atomics.store(this.cells, row + RowCell.next, importance + 1)
  }

  /** Whether who is next in this thread is next of all. */
  isNext(slot: number, newestFirst: boolean): boolean {
    const { cells } = this
    const cell = newestFirst ? RowCell.newest : RowCell.oldest
    const own = this.#own + slot * ROW_CELLS
    const ownNext = cells[own + RowCell.next]!
    for (let thread = 0; thread < this.#threadsMax; thread += 1) {
      if (thread === this.threadIndex) continue
      const row = this.#rows + thread * this.#stride + slot * ROW_CELLS
      const next = Atomics.load(cells, row + RowCell.next)
      if (next < ownNext) continue
      if (next > ownNext) return false
      const laterMs = (Atomics.load(cells, row + cell) - cells[own + cell]!) | 0
      if (laterMs === 0 ? thread < this.threadIndex : laterMs > 0 === newestFirst) return false
    }
    return true
  }

  /** A number that changes before anybody is woken. */
  wakeToken(slot: number): number {
    return Atomics.load(this.cells, this.service(slot) + LimitCell.wake)
  }

  /** Calls back once, later, when waiters are woken after `token` was read. Keeps no process alive. */
  onWake(slot: number, token: number, callback: () => void): void {
    const wait = Atomics.waitAsync(this.cells, this.service(slot) + LimitCell.wake, token)
    if (wait.async) wait.value.then(callback)
    else queueMicrotask(callback)
  }

  /** Has every thread in which somebody waits look again. */
  wakeWaiters(slot: number): void {
    if (this.waiting(slot) === 0) return
    const wake = this.service(slot) + LimitCell.wake
    Atomics.add(this.cells, wake, 1)
    Atomics.notify(this.cells, wake)
  }

  /** Nobody is at the service or waits for it: its place may serve another. */
  isQuiet(slot: number): boolean {
    return this.inFlight(slot) === 0 && this.waiting(slot) === 0
  }

  /** Forgets what was learned of a service: its place goes to another one. */
  clear(slot: number): void {
    const first = this.service(slot)
    this.cells.fill(0, first + LimitCell.limit, first + SERVICE_CELLS)
  }

  /** Gives back all that a dead thread held. */
  releaseThread(threadIndex: number): void {
    const { cells } = this
    for (let slot = 0; slot < this.#servicesMax; slot += 1) {
      const first = this.service(slot)
      const row = this.#rows + threadIndex * this.#stride + slot * ROW_CELLS
      Atomics.compareExchange(cells, first + LimitCell.lock, threadIndex + 1, 0)
      Atomics.store(cells, row + RowCell.next, 0)
      let isChanged = false
      for (let level = 0; level < IMPORTANCES.length; level += 1) {
        const waited = Atomics.exchange(cells, row + RowCell.waitingBy + level, 0)
        if (waited === 0) continue
        isChanged = true
        Atomics.sub(cells, first + LimitCell.waitingBy + level, waited)
        Atomics.sub(cells, first + LimitCell.waiting, waited)
      }
      const held = Atomics.exchange(cells, row + RowCell.inFlight, 0)
      Atomics.sub(cells, first + LimitCell.inFlight, held)
      if (isChanged || held !== 0) this.wakeWaiters(slot)
    }
  }

  #forgetWaiter(slot: number, importance: number): void {
    this.cells[this.#own + slot * ROW_CELLS + RowCell.waitingBy + importance]! -= 1
    Atomics.sub(this.cells, this.service(slot) + LimitCell.waitingBy + importance, 1)
  }
}
