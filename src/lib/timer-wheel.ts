// One wheel for all timeouts of a thread: arming and cancelling cost a few pointer writes and
// allocate nothing, and one unref'ed timeout of the runtime drives it while a timer is armed.
import type { Clock } from './clock.ts'

const FINE_MS = 10
const FINE_SLOTS = 128
/** The longest delay kept in fine ticks. */
const FINE_DELAY_MS_MAX = 1000
const COARSE_MS = 250
const COARSE_SLOTS = 512
/** The list of timers that are due and wait for their turn within one `advance`. */
const DUE_LIST = FINE_SLOTS + COARSE_SLOTS
const UNARMED = -1

/**
 * Something that can time out. Extend it, so that the timer is its own list node. The fields belong
 * to the wheel.
 */
export abstract class WheelTimer {
  nextTimer: WheelTimer | null = null
  previousTimer: WheelTimer | null = null
  /** The list that holds the timer, or UNARMED. */
  timerList: number = UNARMED
  /** The tick at which it is due, in ticks of its wheel. */
  timerTick = 0

  /** Called once per arming; `now` is the clock's reading. It may arm and cancel any timer. */
  abstract onTimeout(now: number): void

  /** Whether it waits to fire. False within its own `onTimeout`. */
  get armed(): boolean {
    return this.timerList !== UNARMED
  }
}

/** How a wheel is driven. */
export interface TimerWheelOptions {
  /** True: nothing fires but through `advance()`, for tests and simulations. */
  readonly manual?: boolean
}

/**
 * A hashed wheel of two resolutions: delays up to 1 s in ticks of 10 ms, longer ones in ticks of 250 ms.
 * A timer never fires early and at most one tick late, as far as the event loop turns. One beyond a
 * wheel's horizon stays in its slot for another round. No order is promised among timers due at once.
 */
export class TimerWheel {
  readonly #clock: Clock
  readonly #manual: boolean
  /** First timer of every list: fine slots, coarse slots, the due list. */
  readonly #lists: (WheelTimer | null)[] = new Array(DUE_LIST + 1).fill(null)
  readonly #onWake: () => void
  /** The last ticks that were looked at. */
  #fineTick: number
  #coarseTick: number
  #size = 0
  #wake: NodeJS.Timeout | null = null
  #wakeAt = Number.POSITIVE_INFINITY
  #advancing = false
  #closed = false

  constructor(clock: Clock, options: TimerWheelOptions = {}) {
    this.#clock = clock
    this.#manual = options.manual === true
    const now = clock.now()
    this.#fineTick = Math.floor(now / FINE_MS)
    this.#coarseTick = Math.floor(now / COARSE_MS)
    this.#onWake = () => {
      this.#wake = null
      this.#wakeAt = Number.POSITIVE_INFINITY
      this.advance(this.#clock.now())
    }
  }

  /** How many timers are armed. */
  get size(): number {
    return this.#size
  }

  /**
   * Arms a timer, or moves one that is armed already. A delay below 0 counts as 0.
   * @param now the clock's reading, for callers that have it already
   */
  arm(timer: WheelTimer, delayMs: number, now: number = this.#clock.now()): void {
    if (this.#closed) return
    if (timer.timerList !== UNARMED) this.#unlink(timer)
    const deadline = delayMs > 0 ? now + delayMs : now
    if (delayMs <= FINE_DELAY_MS_MAX) {
      const tick = Math.max(Math.ceil(deadline / FINE_MS), this.#fineTick + 1)
      this.#link(timer, tick, tick & (FINE_SLOTS - 1))
      this.#wakeBy(tick * FINE_MS, now)
    } else {
      const tick = Math.max(Math.ceil(deadline / COARSE_MS), this.#coarseTick + 1)
      this.#link(timer, tick, FINE_SLOTS + (tick & (COARSE_SLOTS - 1)))
      this.#wakeBy(tick * COARSE_MS, now)
    }
  }

  /** Disarms a timer; nothing happens to one that is not armed. */
  cancel(timer: WheelTimer): void {
    if (timer.timerList !== UNARMED) this.#unlink(timer)
  }

  /** Fires what is due at `now`. The wheel calls it itself unless it is manual. */
  advance(now: number): void {
    if (this.#advancing || this.#closed) return
    this.#advancing = true
    const fineTick = Math.floor(now / FINE_MS)
    const coarseTick = Math.floor(now / COARSE_MS)
    this.#collect(this.#fineTick, fineTick, 0, FINE_SLOTS)
    this.#collect(this.#coarseTick, coarseTick, FINE_SLOTS, COARSE_SLOTS)
    this.#fineTick = Math.max(this.#fineTick, fineTick)
    this.#coarseTick = Math.max(this.#coarseTick, coarseTick)
    for (let timer = this.#lists[DUE_LIST]!; timer !== null; timer = this.#lists[DUE_LIST]!) {
      this.#unlink(timer)
      try {
        timer.onTimeout(now)
      } catch (error) {
        throwLater(error)
      }
    }
    this.#advancing = false
    if (this.#size > 0) this.#wakeBy(this.#nextDueAt(), this.#clock.now())
  }

  /** Disarms everything for good; arming does nothing from now on. */
  close(): void {
    this.#closed = true
    if (this.#wake !== null) clearTimeout(this.#wake)
    this.#wake = null
    for (let list = 0; list <= DUE_LIST; list++) {
      for (let timer = this.#lists[list]!; timer !== null; timer = this.#lists[list]!) {
        this.#unlink(timer)
      }
    }
  }

  /** Moves the due timers of the slots for the ticks in (from, to] to the due list. */
  #collect(from: number, to: number, firstList: number, slots: number): void {
    const visits = Math.min(to - from, slots)
    for (let step = 0; step < visits; step++) {
      let timer = this.#lists[firstList + ((to - step) & (slots - 1))]!
      while (timer !== null) {
        const next = timer.nextTimer
        if (timer.timerTick <= to) {
          this.#unlink(timer)
          this.#link(timer, timer.timerTick, DUE_LIST)
        }
        timer = next as WheelTimer
      }
    }
  }

  /** When the next occupied slot is due; Infinity if there is none. */
  #nextDueAt(): number {
    let dueAt = Number.POSITIVE_INFINITY
    for (let step = 1; step <= FINE_SLOTS; step++) {
      const tick = this.#fineTick + step
      if (this.#lists[tick & (FINE_SLOTS - 1)] === null) continue
      dueAt = tick * FINE_MS
      break
    }
    for (let step = 1; step <= COARSE_SLOTS; step++) {
      const tick = this.#coarseTick + step
      if (tick * COARSE_MS >= dueAt) break
      if (this.#lists[FINE_SLOTS + (tick & (COARSE_SLOTS - 1))] !== null) return tick * COARSE_MS
    }
    return dueAt
  }

  /**
   * Sees to it that the wheel wakes up no later than `dueAt`. A wake-up that is set stays set when its
   * timer is cancelled: resetting it for every request would cost more than one idle wake-up.
   */
  #wakeBy(dueAt: number, now: number): void {
    if (dueAt >= this.#wakeAt || this.#manual || this.#advancing || this.#closed) return
    if (this.#wake !== null) clearTimeout(this.#wake)
    this.#wakeAt = dueAt
    this.#wake = setTimeout(this.#onWake, Math.max(1, Math.ceil(dueAt - now)))
    this.#wake.unref()
  }

  #link(timer: WheelTimer, tick: number, list: number): void {
    const first = this.#lists[list] as WheelTimer | null
    timer.timerTick = tick
    timer.timerList = list
    timer.previousTimer = null
    timer.nextTimer = first
    if (first !== null) first.previousTimer = timer
    this.#lists[list] = timer
    this.#size++
  }

  #unlink(timer: WheelTimer): void {
    const next = timer.nextTimer
    const previous = timer.previousTimer
    if (previous === null) this.#lists[timer.timerList] = next
    else previous.nextTimer = next
    if (next !== null) next.previousTimer = previous
    timer.nextTimer = null
    timer.previousTimer = null
    timer.timerList = UNARMED
    this.#size--
  }
}

function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}
