// Looks at how much a thread has to do, as long as it has anything to do, and says which requests it
// refuses.
import { getHeapStatistics } from 'node:v8'
import type { Document } from '../../config/schema.ts'
import type { ErrorCode } from '../../errors.ts'
import type { Clock } from '../../lib/clock.ts'
import { memoryLimitBytes } from '../../lib/memory-limit.ts'
import type { OverloadGate } from '../../proxy/pipeline/exchange-context.ts'
import type { PolicyLog } from '../../proxy/pipeline/policy.ts'
import { type LevelChange, OverloadLevel, type Thresholds } from './overload-level.ts'

export type OverloadSettings = Document['overload']

/** What is read at each look. */
export interface OverloadReadings {
  /** Of the process, bytes. */
  memoryBytes(): number
  /** Used part of the thread's heap, of 1. */
  heapShare(): number
  /** Client connections open in all threads. */
  connections(): number
}

/** Where a watch reports. */
export interface OverloadCounters {
  level(level: number): void
  refused(importance: number): void
}

/** What a watch is made with. */
export interface OverloadOptions {
  readonly clock: Clock
  readonly readings: OverloadReadings
  readonly counters: OverloadCounters
  readonly log: PolicyLog
}

const LOOK_EVERY_MS = 100
/** A delay counts when so many looks in a row were late: one long pause is over when it is seen. */
const LATE_LOOKS = 3
/** Above every importance: the next request is asked about, whatever it is. */
const ASK_ALL = 4
const NEVER = 0

/** What this process and thread read. */
export function systemReadings(connections: () => number): OverloadReadings {
  return {
    memoryBytes: () => process.memoryUsage.rss(),
    heapShare: () => {
      const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics()
      return used / limit
    },
    connections,
  }
}

/** The watch of one thread. While no request comes it sleeps, and the next one wakes it. */
export class OverloadWatch implements OverloadGate {
  asksBelow: number = NEVER
  readonly #options: OverloadOptions
  readonly #level = new OverloadLevel()
  #connectionsMax = 1
  #memoryBytesMax = 1
  /** How late the last looks were, in ms. */
  readonly #late = new Float64Array(LATE_LOOKS)
  #looks = 0
  #dueAt = 0
  #timer: NodeJS.Timeout | null = null
  /** Whether a request came since the last look. */
  #isUsed = false
  #isClosed = false

  constructor(options: OverloadOptions) {
    this.#options = options
  }

  configure(settings: OverloadSettings, connectionsMax: number): void {
    this.#connectionsMax = connectionsMax
    if (settings === null) {
      this.#sleep()
      if (this.#level.level > 0) this.#options.counters.level(0)
      this.#level.reset()
      this.asksBelow = NEVER
      return
    }
    this.#memoryBytesMax = settings.memoryBytesMax ?? memoryLimitBytes()
    this.#level.configure([
      [settings.loopDelayMs, settings.loopDelayMs * 2, settings.loopDelayMs * 4],
      shares(settings.memoryShare),
      shares(settings.heapShare),
      // Whoever has one costs nothing to serve: it is new ones that would find none.
      [settings.connectionsShare, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
    ])
    this.asksBelow = ASK_ALL
  }

  refusal(importance: number): ErrorCode | null {
    if (this.#timer === null) this.#wake()
    // To be asked once between two looks is enough to stay awake.
    this.#isUsed = true
    this.asksBelow = this.#level.level
    if (importance >= this.#level.level) return null
    this.#options.counters.refused(importance)
    return this.#level.measure === 'connections' ? 'overloaded' : 'gateway_overloaded'
  }

  close(): void {
    this.#isClosed = true
    this.#sleep()
  }

  /** One look. It happens by itself while requests come. */
  look(): void {
    const { clock, counters } = this.#options
    const now = clock.now()
    this.#late[this.#looks++ % LATE_LOOKS] = Math.max(0, now - this.#dueAt)
    const change = this.#level.update(this.#measured(), now)
    if (change !== null) {
      counters.level(change.level)
      this.#report(change)
    }
    const isNeeded = this.#isUsed || this.#level.level > 0
    this.#isUsed = false
    this.asksBelow = ASK_ALL
    if (isNeeded) this.#lookLater(now)
    else this.#timer = null
  }

  #measured(): number[] {
    const { readings } = this.#options
    return [
      Math.min(...this.#late),
      readings.memoryBytes() / this.#memoryBytesMax,
      readings.heapShare(),
      // Beside the one that asks.
      Math.max(0, readings.connections() - 1) / this.#connectionsMax,
    ]
  }

  /** The first request after a pause finds what holds now; only the loop's delay takes time to be known. */
  #wake(): void {
    if (this.#isClosed) return
    this.#late.fill(0)
    this.#isUsed = true
    this.#dueAt = this.#options.clock.now()
    this.look()
  }

  #lookLater(now: number): void {
    if (this.#isClosed) return
    this.#dueAt = now + LOOK_EVERY_MS
    this.#timer = setTimeout(() => this.look(), LOOK_EVERY_MS)
    this.#timer.unref()
  }

  #sleep(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  #report({ level, measure, value }: LevelChange): void {
    const fields = { level, measure, value: Math.round(value * 1000) / 1000 }
    const { log } = this.#options
    if (level === 0) log.info(fields, 'the gateway is no longer overloaded')
    else log.warn(fields, `the gateway is overloaded: ${REFUSED[level]} importance are refused`)
  }
}

const REFUSED = ['', 'requests of low', 'requests of low and normal', 'requests below critical']

/** From the first threshold to all of it: halfway, and near the end. */
function shares(first: number): Thresholds {
  return [first, first + (1 - first) * 0.5, first + (1 - first) * 0.9]
}
