// What a route's mirror is told by the configuration, and what it shares with those before and after it.
import type { Clock } from '../../../lib/clock.ts'
import type { TimerWheel } from '../../../lib/timer-wheel.ts'
import type {
  MirrorComparison,
  MirrorResult,
  MirrorSkip,
  NotCompared,
} from '../../../observability/mirror-metrics.ts'
import type { Service } from '../../upstream/service.ts'
import type { Kept, PolicyLog } from '../policy.ts'
import type { CompareSettings } from './captured-answer.ts'
import type { MirrorRoom } from './mirror-room.ts'

/** Counts what a mirror does; see observability. */
export interface MirrorCounters {
  /** A copy that was sent is over. */
  ended(result: MirrorResult): void
  /** A request that was to be copied was not. */
  skipped(reason: MirrorSkip): void
  compared(result: MirrorComparison): void
  notCompared(reason: NotCompared): void
}

/** What the configuration says, compiled, with the surroundings of the thread. */
export interface MirrorPlan {
  /** The id of the route. */
  readonly route: string
  readonly service: Service
  /** The route's own Host, which goes before that of the service; null for none. */
  readonly host: string | null
  /** Upgrade tokens that the route passes, in lower case: what asks for one is not copied. */
  readonly upgrades: readonly string[]
  /** Part of the requests, from 0 to 1. */
  readonly share: number
  readonly methods: ReadonlySet<string>
  /** Of a request's body. */
  readonly bodyBytesMax: number
  /** From sending a copy to the end of everything about it. */
  readonly timeoutMs: number
  /** Copies of this route and thread. */
  readonly inFlightMax: number
  /** Null when answers are let go. */
  readonly compare: CompareSettings | null
  readonly copies: RouteCopies
  readonly room: MirrorRoom
  readonly counters: MirrorCounters
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly log: PolicyLog
}

/** A copy that was sent. */
export interface CopyInFlight {
  /** Gives it up. */
  drop(): void
}

/** Differences are logged at most once in this time, for each route and thread. */
const LOG_EVERY_MS = 1000

/** The copies of one route in one thread, over all its snapshots. */
export class RouteCopies implements Kept {
  readonly #inFlight = new Set<CopyInFlight>()
  #nextLogAt = Number.NEGATIVE_INFINITY
  #unlogged = 0
  /** Nothing is sent any more. */
  isClosed = false

  get inFlight(): number {
    return this.#inFlight.size
  }

  add(copy: CopyInFlight): void {
    this.#inFlight.add(copy)
  }

  remove(copy: CopyInFlight): void {
    this.#inFlight.delete(copy)
  }

  /** Whether a difference may be logged now: how many before it were not; -1 if this one is not either. */
  mayLog(now: number): number {
    if (now < this.#nextLogAt) {
      this.#unlogged++
      return -1
    }
    this.#nextLogAt = now + LOG_EVERY_MS
    const unlogged = this.#unlogged
    this.#unlogged = 0
    return unlogged
  }

  dispose(): void {
    this.isClosed = true
    for (const copy of [...this.#inFlight]) copy.drop()
  }
}
