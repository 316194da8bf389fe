// What each thread does at this moment, in shared memory: whether its event loop turns, and which policy
// has it. Written with plain stores, so that it costs a request next to nothing, and read by whoever
// watches; a reader may see one hook's moment with another's names until the thread stays in one.

// Int32 words of a thread's row.
const BEATS = 0
const MOMENT = 1
const POLICY = 2
const ROUTE = 3
const ENTRIES = 4
/** A cache line each: no thread waits for what another writes. */
const ROW_WORDS = 16

/** Where policies get to run. */
export const Moment = {
  create: 1,
  condition: 2,
  onRequest: 3,
  onForward: 4,
  onResponse: 5,
  onRequestBody: 6,
  onResponseBody: 7,
  onFinish: 8,
  dispose: 9,
} as const

const MOMENT_NAMES: readonly string[] = ['', ...Object.keys(Moment)]

/** A policy that has a thread's event loop. */
export interface Running {
  /** `onRequest`, `condition` and so on. */
  readonly moment: string
  /** The places of their metrics, which name them; see `nameOfBlock`. */
  readonly policyBlock: number
  readonly routeBlock: number
}

/** Room for the rows of so many threads; can be posted to them. */
export function allocatePulse(threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer(threads * ROW_WORDS * Int32Array.BYTES_PER_ELEMENT)
}

/** One thread's own row. */
export class Pulse {
  readonly #row: Int32Array

  constructor(buffer: SharedArrayBuffer, threadIndex: number) {
    this.#row = rowOf(buffer, threadIndex)
  }

  /** The event loop turns. */
  beat(): void {
    Atomics.add(this.#row, BEATS, 1)
  }

  /** The mark of one stage, by the places of its policy's and its route's metrics. */
  mark(policyBlock: number, routeBlock: number): StageMark {
    return new StageMark(this.#row, policyBlock, routeBlock)
  }
}

/** Says, around each call of a hook, whose hook it is. */
export class StageMark {
  readonly #row: Int32Array
  readonly #policyBlock: number
  readonly #routeBlock: number

  constructor(row: Int32Array, policyBlock: number, routeBlock: number) {
    this.#row = row
    this.#policyBlock = policyBlock
    this.#routeBlock = routeBlock
  }

  /** The hook of this `Moment` begins. */
  enter(moment: number): void {
    const row = this.#row
    row[ENTRIES] = row[ENTRIES]! + 1
    row[POLICY] = this.#policyBlock
    row[ROUTE] = this.#routeBlock
    row[MOMENT] = moment
  }

  /** It has returned, or thrown. */
  leave(): void {
    this.#row[MOMENT] = 0
  }

  /** Calls what is called seldom. @throws what it throws. */
  around<T>(moment: number, call: () => T): T {
    this.enter(moment)
    try {
      return call()
    } finally {
      this.leave()
    }
  }
}

/** Everybody's rows, for the one who watches. */
export class PulseReader {
  readonly #rows: readonly Int32Array[]

  constructor(buffer: SharedArrayBuffer) {
    const threads = buffer.byteLength / (ROW_WORDS * Int32Array.BYTES_PER_ELEMENT)
    this.#rows = Array.from({ length: threads }, (_, index) => rowOf(buffer, index))
  }

  get threads(): number {
    return this.#rows.length
  }

  /** A number that changes while the event loop turns; 0 until it did for the first time. */
  beats(threadIndex: number): number {
    return Atomics.load(this.#rows[threadIndex]!, BEATS)
  }

  /** A number that is different for each call of a hook, and 0 while none runs. */
  entry(threadIndex: number): number {
    const row = this.#rows[threadIndex]!
    return Atomics.load(row, MOMENT) === 0 ? 0 : Atomics.load(row, ENTRIES)
  }

  /** Whose hook runs; null when none does. */
  running(threadIndex: number): Running | null {
    const row = this.#rows[threadIndex]!
    const moment = Atomics.load(row, MOMENT)
    if (moment === 0) return null
    const [policyBlock, routeBlock] = [Atomics.load(row, POLICY), Atomics.load(row, ROUTE)]
    return { moment: MOMENT_NAMES[moment]!, policyBlock, routeBlock }
  }

  /** Another thread takes the row. */
  reset(threadIndex: number): void {
    this.#rows[threadIndex]!.fill(0)
  }
}

function rowOf(buffer: SharedArrayBuffer, threadIndex: number): Int32Array {
  const start = threadIndex * ROW_WORDS * Int32Array.BYTES_PER_ELEMENT
  return new Int32Array(buffer, start, ROW_WORDS)
}
