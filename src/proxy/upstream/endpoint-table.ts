// What all threads of a gateway must agree on about its endpoints: requests in flight, open
// connections, who waits for one, whose turn it is, and their health. Numbers in SharedArrayBuffers.
import { type Clock, systemClock } from '../../lib/clock.ts'
import { concurrencyBytes, SharedConcurrency } from './concurrency/shared-concurrency.ts'
import { healthBytes, SharedHealth } from './health/shared-health.ts'

/** How much room the table has; fixed for the life of the process. */
export interface EndpointTableCapacity {
  readonly endpointsMax: number
  readonly servicesMax: number
  readonly threadsMax: number
}

/** What another thread needs to attach to the same table; can be posted to a worker. */
export interface EndpointTableBuffers extends EndpointTableCapacity {
  readonly cells: SharedArrayBuffer
  readonly health: SharedArrayBuffer
  readonly concurrency: SharedArrayBuffer
}

// Int32 cells in a cache line. Rows and turns begin on a line of their own, so that the one writer
// of a row does not slow the writers of others down.
const LINE = 16
const DEFAULT_CAPACITY: EndpointTableCapacity = {
  endpointsMax: 4096,
  servicesMax: 1024,
  threadsMax: 64,
}

/**
 * One thread's view of the shared state. A cell of a row has one writer, its thread, and is
 * changed by plain stores; sums over rows may therefore be a moment old, never torn. Totals that
 * serve as limits are changed atomically.
 */
export class EndpointTable {
  /** The row this view writes. */
  readonly threadIndex: number
  readonly clock: Clock
  readonly buffers: EndpointTableBuffers
  readonly health: SharedHealth
  readonly concurrency: SharedConcurrency
  readonly #cells: Int32Array
  readonly #stride: number
  readonly #threadsMax: number
  // Where each kind of cell begins. Rows of a kind follow each other, #stride apart.
  readonly #inFlight: number
  readonly #connections: number
  readonly #waiting: number
  readonly #connectionTotals: number
  readonly #waitingTotals: number
  readonly #wake: number
  readonly #turns: number
  readonly #ownInFlight: number
  readonly #ownConnections: number
  readonly #ownWaiting: number
  // The wake words as they were when this thread last tried to reserve.
  readonly #wakeTokens: Int32Array

  private constructor(buffers: EndpointTableBuffers, threadIndex: number, clock: Clock) {
    const { endpointsMax, threadsMax } = buffers
    if (!(threadIndex >= 0 && threadIndex < threadsMax)) {
      throw new RangeError(`thread ${threadIndex} is outside the table's ${threadsMax} threads`)
    }
    this.threadIndex = threadIndex
    this.clock = clock
    this.buffers = buffers
    this.health = new SharedHealth(buffers.health, buffers, threadIndex, clock)
    const { concurrency } = buffers
    this.concurrency = new SharedConcurrency(concurrency, buffers, threadIndex, this.health)
    this.#cells = new Int32Array(buffers.cells)
    this.#stride = strideOf(endpointsMax)
    this.#threadsMax = threadsMax
    const rows = this.#stride * threadsMax
    this.#inFlight = LINE
    this.#connections = this.#inFlight + rows
    this.#waiting = this.#connections + rows
    this.#connectionTotals = this.#waiting + rows
    this.#waitingTotals = this.#connectionTotals + this.#stride
    this.#wake = this.#waitingTotals + this.#stride
    this.#turns = this.#wake + this.#stride
    const own = threadIndex * this.#stride
    this.#ownInFlight = this.#inFlight + own
    this.#ownConnections = this.#connections + own
    this.#ownWaiting = this.#waiting + own
    this.#wakeTokens = new Int32Array(endpointsMax)
    this.#raiseRowsUsed(threadIndex + 1)
  }

  /** Makes the shared state; what is left out of `capacity` has room for a large gateway. */
  static create(
    capacity: Partial<EndpointTableCapacity> = {},
    threadIndex = 0,
    clock: Clock = systemClock,
  ): EndpointTable {
    const whole = { ...DEFAULT_CAPACITY, ...capacity }
    const perSlot = strideOf(whole.endpointsMax) * (3 * whole.threadsMax + 3)
    const cells = new SharedArrayBuffer((LINE + perSlot + whole.servicesMax * LINE) * 4)
    const health = new SharedArrayBuffer(healthBytes(whole))
    const concurrency = new SharedArrayBuffer(concurrencyBytes(whole))
    return new EndpointTable({ ...whole, cells, health, concurrency }, threadIndex, clock)
  }

  /** The same state, seen from the thread that writes row `threadIndex`. */
  static attach(
    buffers: EndpointTableBuffers,
    threadIndex: number,
    clock: Clock = systemClock,
  ): EndpointTable {
    return new EndpointTable(buffers, threadIndex, clock)
  }

  /** Requests in flight at the endpoint, over all threads. */
  inFlight(slot: number): number {
    return this.#sum(this.#inFlight + slot)
  }

  /** Requests in flight at the endpoint from this thread. */
  inFlightHere(slot: number): number {
    return this.#cells[this.#ownInFlight + slot]!
  }

  /** Counts `change` (1 or -1) requests in flight from this thread. */
  changeInFlight(slot: number, change: number): void {
    this.#cells[this.#ownInFlight + slot]! += change
  }

  /** Open connections to the endpoint, over all threads. */
  connections(slot: number): number {
    return Atomics.load(this.#cells, this.#connectionTotals + slot)
  }

  /** Takes the right to open one connection, unless `max` are open over all threads together. */
  tryReserveConnection(slot: number, max: number): boolean {
    const cells = this.#cells
    const total = this.#connectionTotals + slot
    // Read before the count, so that a release after the count is one after the token too.
    this.#wakeTokens[slot] = Atomics.load(cells, this.#wake + slot)
    for (;;) {
      const open = Atomics.load(cells, total)
      if (open >= max) return false
      if (Atomics.compareExchange(cells, total, open, open + 1) === open) break
    }
    // A thread can only be stopped at calls and loop edges: there is none between the exchange
    // and this store, so what a dead thread held is always what its row says.
    cells[this.#ownConnections + slot]! += 1
    return true
  }

  /** Gives a reserved connection back and wakes whoever waits for one. */
  releaseConnection(slot: number): void {
    this.#cells[this.#ownConnections + slot]! -= 1
    Atomics.sub(this.#cells, this.#connectionTotals + slot, 1)
    this.#wakeAll(slot)
  }

  /**
   * Calls back once, later, after any thread released a connection since this one last tried to
   * reserve and failed. Does not keep the process alive.
   */
  onConnectionReleased(slot: number, callback: () => void): void {
    const wait = Atomics.waitAsync(this.#cells, this.#wake + slot, this.#wakeTokens[slot]!)
    if (wait.async) wait.value.then(callback)
    else queueMicrotask(callback)
  }

  /** One more request of this thread waits for a connection. */
  addWaiter(slot: number): void {
    this.#cells[this.#ownWaiting + slot]! += 1
    Atomics.add(this.#cells, this.#waitingTotals + slot, 1)
  }

  removeWaiter(slot: number): void {
    this.#cells[this.#ownWaiting + slot]! -= 1
    Atomics.sub(this.#cells, this.#waitingTotals + slot, 1)
  }

  /** Requests that wait for a connection, over all threads: a reason to keep no idle one. */
  waiters(slot: number): number {
    return Atomics.load(this.#cells, this.#waitingTotals + slot)
  }

  /** Whose turn it is at the service: one counter for all threads. */
  turns(serviceSlot: number): SharedCounter {
    return new SharedCounter(this.#cells, this.#turns + serviceSlot * LINE)
  }

  /** Nobody sends to, is connected to or waits for the endpoint: its slot may serve another. */
  isQuiet(slot: number): boolean {
    return this.connections(slot) === 0 && this.waiters(slot) === 0 && this.inFlight(slot) === 0
  }

  /** Gives back all that a dead thread held. Call it after the thread ended, before its index is used again. */
  releaseThread(threadIndex: number): void {
    this.health.releaseThread(threadIndex)
    this.concurrency.releaseThread(threadIndex)
    const cells = this.#cells
    const row = threadIndex * this.#stride
    for (let slot = 0; slot < this.buffers.endpointsMax; slot += 1) {
      cells[this.#inFlight + row + slot] = 0
      const waiting = Atomics.exchange(cells, this.#waiting + row + slot, 0)
      if (waiting !== 0) Atomics.sub(cells, this.#waitingTotals + slot, waiting)
      const held = Atomics.exchange(cells, this.#connections + row + slot, 0)
      if (held === 0) continue
      Atomics.sub(cells, this.#connectionTotals + slot, held)
      this.#wakeAll(slot)
    }
  }

  #wakeAll(slot: number): void {
    Atomics.add(this.#cells, this.#wake + slot, 1)
    Atomics.notify(this.#cells, this.#wake + slot)
  }

  #sum(first: number): number {
    const cells = this.#cells
    const stride = this.#stride
    const end = first + cells[0]! * stride
    let total = 0
    for (let cell = first; cell < end; cell += stride) total += cells[cell]!
    return total
  }

  // Cell 0 says how many rows are in use, so that sums pass over no row that never had a thread.
  #raiseRowsUsed(count: number): void {
    for (;;) {
      const used = Atomics.load(this.#cells, 0)
      if (used >= count) return
      if (Atomics.compareExchange(this.#cells, 0, used, count) === used) return
    }
  }
}

/** A counter in the table; it is the turns of a balancer. */
export class SharedCounter {
  readonly #cells: Int32Array
  readonly #index: number

  constructor(cells: Int32Array, index: number) {
    this.#cells = cells
    this.#index = index
  }

  /** 0, 1, 2, ... over all threads together, wrapping at 2^31. */
  next(): number {
    return Atomics.add(this.#cells, this.#index, 1) & 0x7fffffff
  }
}

function strideOf(endpointsMax: number): number {
  return Math.ceil(endpointsMax / LINE) * LINE
}
