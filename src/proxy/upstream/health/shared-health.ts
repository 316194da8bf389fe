// What all threads of a gateway must agree on about health: which endpoints are out and until when,
// how they answered lately, and the state of each service's breaker. Numbers in one SharedArrayBuffer.
import { type Clock, systemClock } from '../../../lib/clock.ts'

/** Reasons for which no request goes to an endpoint: bits, 0 for none. */
export const Blocked = {
  /** Requests failed there; until a time. */
  ejected: 1,
  /** Checks fail there; until they pass. */
  failing: 2,
  /** New, and not to be used before a check has passed. */
  held: 4,
  /** It has not shown yet, or not since it could not be reached, that it belongs to the service. */
  unproven: 8,
} as const

/** What not even panic overrules. */
export const NEVER_USED: number = Blocked.held | Blocked.unproven

/** How many of each there is room for. */
export interface HealthCapacity {
  readonly endpointsMax: number
  readonly servicesMax: number
  readonly threadsMax: number
}

// Int32 cells in a cache line.
const LINE = 16
/** What a good record of a minute forgives: one ejection. */
const FORGIVING_MS = 60_000
/** So often a request may try an endpoint that was ejected, until one succeeds. */
const TRIAL_EVERY_MS = 1000
/** Nothing is remembered for longer: the clock of ticks goes round in 49 days. */
const MEMORY_MS_MAX = 86_400_000

/** Cells of a service, from its first. */
export const ServiceCell = {
  lock: 0,
  retryFloor: 1,
  breakerState: 2,
  breakerUntil: 3,
  windowStart: 4,
  windowTotal: 5,
  windowFailed: 6,
  probesLeft: 7,
  probesPassed: 8,
} as const

/** Bytes that the shared state of so many takes. */
export function healthBytes({ endpointsMax, servicesMax, threadsMax }: HealthCapacity): number {
  return (LINE + strideOf(endpointsMax) * (6 + 2 * threadsMax) + servicesMax * LINE) * 4
}

/**
 * One thread's view. Moments are ticks: milliseconds on a clock that all threads share, as wrapping
 * Int32; only differences of two have a meaning.
 */
export class SharedHealth {
  readonly cells: Int32Array
  readonly #clock: Clock
  readonly #offsetMs: number
  readonly #threadIndex: number
  readonly #threadsMax: number
  readonly #stride: number
  readonly #until: number
  readonly #level: number
  readonly #since: number
  readonly #inRow: number
  readonly #trial: number
  readonly #attempts: number
  readonly #failures: number
  readonly #services: number
  readonly #servicesMax: number
  readonly #ownAttempts: number
  readonly #ownFailures: number

  constructor(
    buffer: SharedArrayBuffer,
    capacity: HealthCapacity,
    threadIndex: number,
    clock: Clock,
  ) {
    this.cells = new Int32Array(buffer)
    this.#clock = clock
    this.#offsetMs = offsetOf(clock)
    this.#threadIndex = threadIndex
    this.#threadsMax = capacity.threadsMax
    this.#stride = strideOf(capacity.endpointsMax)
    this.#until = LINE + this.#stride
    this.#level = this.#until + this.#stride
    this.#since = this.#level + this.#stride
    this.#inRow = this.#since + this.#stride
    this.#trial = this.#inRow + this.#stride
    this.#attempts = this.#trial + this.#stride
    this.#failures = this.#attempts + this.#stride * this.#threadsMax
    this.#services = this.#failures + this.#stride * this.#threadsMax
    this.#servicesMax = capacity.servicesMax
    this.#ownAttempts = this.#attempts + this.#stride * threadIndex
    this.#ownFailures = this.#failures + this.#stride * threadIndex
  }

  /** Now, as a tick. */
  now(): number {
    return (this.#clock.now() + this.#offsetMs) | 0
  }

  /** Another number whenever an endpoint went out of use or came back. */
  version(): number {
    return Atomics.load(this.cells, 0)
  }

  /** Why no request goes to the endpoint; 0 if requests do. */
  blocked(slot: number): number {
    return Atomics.load(this.cells, LINE + slot)
  }

  /** How much longer the endpoint is ejected, in ms; 0 or less when the time is over. */
  ejectedForMs(slot: number, now: number): number {
    const leftMs = (this.cells[this.#until + slot]! - now) | 0
    return leftMs > MEMORY_MS_MAX ? 0 : leftMs
  }

  /** For how long the endpoint has been in use since it was new or out; far back has no exact meaning. */
  inUseForMs(slot: number, now: number): number {
    const since = this.cells[this.#since + slot]!
    const ms = (now - since) | 0
    return since === 0 || ms < 0 ? Number.POSITIVE_INFINITY : ms
  }

  /** Lets go of moments that are so long ago that they could be taken for near ones. To be called now and then. */
  forgetOld(slot: number, now: number): void {
    const since = this.cells[this.#since + slot]!
    const ms = (now - since) | 0
    if (since !== 0 && (ms < 0 || ms > MEMORY_MS_MAX)) {
      Atomics.store(this.cells, this.#since + slot, 0)
    }
  }

  /** A request was answered there. */
  countSuccess(slot: number): void {
    const { cells } = this
    cells[this.#ownAttempts + slot]! += 1
    if (cells[this.#inRow + slot] !== 0) Atomics.store(cells, this.#inRow + slot, 0)
    if (cells[this.#trial + slot] !== 0) this.#endTrial(slot)
  }

  /** A request failed there. @returns how many in a row did, over all threads. */
  countFailure(slot: number): number {
    const { cells } = this
    cells[this.#ownAttempts + slot]! += 1
    cells[this.#ownFailures + slot]! += 1
    return Atomics.add(cells, this.#inRow + slot, 1) + 1
  }

  /** Requests sent there so far, over all threads; wraps, and falls when a thread is replaced. */
  attempts(slot: number): number {
    return this.#sum(this.#attempts + slot)
  }

  /** Of these, how many failed. */
  failures(slot: number): number {
    return this.#sum(this.#failures + slot)
  }

  /**
   * Marks the endpoint as out of use. After its return a single failure suffices to eject it again.
   * @param durationOf how long, by how often it was ejected lately (1 or more).
   */
  eject(slot: number, failuresInRow: number, durationOf: (level: number) => number): void {
    const { cells } = this
    const now = this.now()
    const forgiven = Math.floor(Math.min(this.inUseForMs(slot, now), 1e9) / FORGIVING_MS)
    const level = Math.max(0, cells[this.#level + slot]! - forgiven) + 1
    Atomics.store(cells, this.#level + slot, level)
    Atomics.store(cells, this.#until + slot, (now + durationOf(level)) | 0)
    Atomics.store(cells, this.#inRow + slot, failuresInRow - 1)
    Atomics.store(cells, this.#trial + slot, 0)
    this.setBlocked(slot, Blocked.ejected, true)
  }

  /** Takes an ejected endpoint into use again, for one request at a time until one succeeds. */
  readmit(slot: number): void {
    // 0 stands for "not on trial", here and below.
    Atomics.store(this.cells, this.#trial + slot, this.now() || 1)
    this.setBlocked(slot, Blocked.ejected, false)
  }

  /** Whether the endpoint has not shown yet that it works again. */
  isOnTrial(slot: number): boolean {
    return Atomics.load(this.cells, this.#trial + slot) !== 0
  }

  /** Takes the right to send one request to an endpoint on trial. */
  tryTrial(slot: number, now: number): boolean {
    const cell = this.#trial + slot
    const nextAt = Atomics.load(this.cells, cell)
    const leftMs = (nextAt - now) | 0
    // More than that was never written: the clock has gone round since.
    if (nextAt === 0 || (leftMs > 0 && leftMs <= TRIAL_EVERY_MS)) return false
    const next = (now + TRIAL_EVERY_MS) | 0 || 1
    return Atomics.compareExchange(this.cells, cell, nextAt, next) === nextAt
  }

  #endTrial(slot: number): void {
    if (Atomics.exchange(this.cells, this.#trial + slot, 0) === 0) return
    this.startUse(slot)
    Atomics.add(this.cells, 0, 1)
  }

  /** Sets or clears one reason. @returns whether that changed anything. */
  setBlocked(slot: number, reason: number, isSet: boolean): boolean {
    const cell = LINE + slot
    const before = isSet
      ? Atomics.or(this.cells, cell, reason)
      : Atomics.and(this.cells, cell, ~reason)
    const changed = ((before & reason) !== 0) !== isSet
    if (changed && !isSet && before === reason) this.startUse(slot)
    if (changed) Atomics.add(this.cells, 0, 1)
    return changed
  }

  /** Its time in use begins now. */
  startUse(slot: number): void {
    // 0 stands for "as long as anyone remembers".
    Atomics.store(this.cells, this.#since + slot, this.now() || 1)
  }

  /** Forgets all about an endpoint: its place goes to another address. */
  clear(slot: number): void {
    const { cells } = this
    for (const first of [LINE, this.#until, this.#level, this.#since, this.#inRow, this.#trial]) {
      Atomics.store(cells, first + slot, 0)
    }
    Atomics.add(cells, 0, 1)
  }

  /** Forgets all about a service: its place goes to another one. */
  clearService(serviceSlot: number): void {
    this.cells.fill(0, this.service(serviceSlot), this.service(serviceSlot) + LINE)
  }

  /** The first of a service's cells; see ServiceCell. */
  service(serviceSlot: number): number {
    return this.#services + serviceSlot * LINE
  }

  /** Takes the service's lock if nobody has it. What it guards takes microseconds; nobody waits for it. */
  tryLock(serviceSlot: number): boolean {
    const own = this.#threadIndex + 1
    return Atomics.compareExchange(this.cells, this.service(serviceSlot), 0, own) === 0
  }

  unlock(serviceSlot: number): void {
    Atomics.store(this.cells, this.service(serviceSlot), 0)
  }

  /** Gives back what a dead thread held. */
  releaseThread(threadIndex: number): void {
    const { cells } = this
    const row = threadIndex * this.#stride
    cells.fill(0, this.#attempts + row, this.#attempts + row + this.#stride)
    cells.fill(0, this.#failures + row, this.#failures + row + this.#stride)
    for (let slot = 0; slot < this.#servicesMax; slot += 1) {
      Atomics.compareExchange(cells, this.service(slot), threadIndex + 1, 0)
    }
  }

  #sum(first: number): number {
    let total = 0
    for (let row = 0; row < this.#threadsMax; row += 1) {
      total = (total + this.cells[first + row * this.#stride]!) | 0
    }
    return total
  }
}

function strideOf(endpointsMax: number): number {
  return Math.ceil(endpointsMax / LINE) * LINE
}

/** Each thread's clock begins when the thread does; that of the machine is one for all. */
function offsetOf(clock: Clock): number {
  if (clock !== systemClock) return 0
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1000 + nanoseconds / 1e6 - performance.now()
}
