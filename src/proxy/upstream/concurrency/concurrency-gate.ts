// Bounds the requests in flight at one service, over all threads, with a bounded queue in front.
import type { Clock } from '../../../lib/clock.ts'
import type { TimerWheel } from '../../../lib/timer-wheel.ts'
import { AdaptiveLimit, type AdaptiveSettings } from './adaptive-limit.ts'
import type { SharedConcurrency } from './shared-concurrency.ts'
import { Waiting, WaitQueue } from './wait-queue.ts'

/** What bounds the requests in flight at a service. */
export interface ConcurrencySettings {
  /** Fixed; null where it is learned. */
  readonly limit: number | null
  readonly adaptive: AdaptiveSettings | null
  /** Most that wait, over all threads. */
  readonly queueMax: number
  /** The longest wait. */
  readonly queueTimeoutMs: number
}

/**
 * Why a request got no place: as many as may do wait already, a more important one took its place in the
 * queue, or its turn did not come in time.
 */
export type Refusal = 'full' | 'displaced' | 'late'

/** Who asks for a place. */
export interface PlaceSeeker {
  /** Its place in the queue; set by the gate. */
  waiting: { cancel(): void } | null
  /** Its turn has come; null: no place is needed any more. */
  onPlace(place: Place | null): void
  onRefused(refusal: Refusal): void
}

/** Counts for metrics. */
export interface GateCounters {
  /** A request waits for a place. */
  awaited(): void
  /** It got none. */
  refused(refusal: Refusal): void
}

/** What a gate shares with the others of its thread. */
export interface GateEnvironment {
  readonly shared: SharedConcurrency
  readonly clock: Clock
  readonly wheel: TimerWheel
}

/** The quickest answers move this part of the way to one that is quicker, and to one that is slower. */
const QUICKER = 0.1
const SLOWER = 0.01

/** The right of one request to be at the service; left once. */
export class Place {
  readonly gate: ConcurrencyGate
  readonly slot: number
  readonly since: number
  #isHeld = true

  constructor(gate: ConcurrencyGate, slot: number, since: number) {
    this.gate = gate
    this.slot = slot
    this.since = since
  }

  /**
   * The request is at the service no more.
   * @param latencyMs until the head of its answer; -1 if that says nothing of the service.
   * @param dropped whether the service could not take it.
   */
  leave(latencyMs: number, dropped: boolean): void {
    if (!this.#isHeld) return
    this.#isHeld = false
    this.gate.left(this, latencyMs, dropped)
  }
}

class WaitingSeeker extends Waiting {
  readonly seeker: PlaceSeeker
  readonly #gate: ConcurrencyGate

  constructor(
    gate: ConcurrencyGate,
    seeker: PlaceSeeker,
    importance: number,
    since: number,
    latest: number,
  ) {
    super(importance, since, latest)
    this.#gate = gate
    this.seeker = seeker
  }

  onTimeout(): void {
    this.#gate.expire(this)
  }

  cancel(): void {
    this.#gate.cancel(this)
  }
}

/** The bound of one service in one thread. */
export class ConcurrencyGate {
  readonly #environment: GateEnvironment
  readonly #shared: SharedConcurrency
  readonly #counters: GateCounters
  readonly #queue = new WaitQueue<WaitingSeeker>()
  #settings: ConcurrencySettings | null = null
  #adaptive: AdaptiveLimit | null = null
  #slot = 0
  /** How long the quickest answers take; nobody gets one sooner. */
  #quickMs = 0
  #isListening = false
  #isServing = false

  constructor(environment: GateEnvironment, counters: GateCounters) {
    this.#environment = environment
    this.#shared = environment.shared
    this.#counters = counters
  }

  /** Takes new settings, at once also for those that wait; null lets all of them go. */
  configure(settings: ConcurrencySettings | null, slot: number): void {
    this.#settings = settings
    this.#adaptive = null
    if (settings !== null) {
      this.#slot = slot
      if (settings.adaptive !== null) {
        this.#adaptive = new AdaptiveLimit(this.#shared, slot, settings.adaptive)
      } else this.#shared.setLimit(slot, settings.limit ?? 1)
    }
    this.serve()
  }

  /** Requests of this thread that wait. */
  get waiting(): number {
    return this.#queue.size
  }

  /** A place, if one is free and nobody waits who comes first; else null. */
  tryEnter(importance: number): Place | null {
    if (this.#shared.waitingFrom(this.#slot, importance) > 0) return null
    return this.#shared.tryEnter(this.#slot) ? this.#place() : null
  }

  /**
   * Queues a request. The seeker hears once, now or later, unless its `waiting` is cancelled first.
   * @param endsAt when nobody wants the answer any more, on the monotonic clock, ms.
   */
  wait(seeker: PlaceSeeker, importance: number, endsAt: number): void {
    const { clock, wheel } = this.#environment
    const { queueMax = 0, queueTimeoutMs = 0 } = this.#settings ?? {}
    const now = clock.now()
    const latest = Math.min(now + queueTimeoutMs, endsAt - this.#quickMs)
    const isFull = this.#shared.waiting(this.#slot) >= queueMax
    if (latest <= now) this.#refuse(seeker, 'late')
    else if (queueMax === 0 || (isFull && !this.#makeRoom(importance))) {
      this.#refuse(seeker, 'full')
    } else {
      const since = this.#shared.ticks.now()
      const waiting = new WaitingSeeker(this, seeker, importance, since, latest)
      seeker.waiting = waiting
      this.#queue.add(waiting)
      this.#shared.addWaiter(this.#slot, importance)
      this.#publish()
      wheel.arm(waiting, latest - now, now)
      this.#counters.awaited()
      // Others may have to give up places in the queue.
      if (isFull) this.#shared.wakeWaiters(this.#slot)
      this.serve()
      this.#listen()
    }
  }

  /** It no longer waits. */
  cancel(waiting: WaitingSeeker): void {
    if (waiting.seeker.waiting !== waiting) return
    this.#remove(waiting)
    this.#passOn()
  }

  /** Its turn did not come in time; what is free all the same it may have. */
  expire(waiting: WaitingSeeker): void {
    this.#remove(waiting)
    if (this.#shared.tryEnter(this.#slot)) waiting.seeker.onPlace(this.#place())
    else this.#refuse(waiting.seeker, 'late')
    this.#passOn()
  }

  /** From a place that is left. */
  left(place: Place, latencyMs: number, dropped: boolean): void {
    const { slot, since } = place
    if (latencyMs >= 0 && !dropped) {
      const byMs = latencyMs - this.#quickMs
      this.#quickMs += byMs * (this.#quickMs === 0 ? 1 : byMs < 0 ? QUICKER : SLOWER)
    }
    if ((latencyMs >= 0 || dropped) && slot === this.#slot) {
      this.#adaptive?.note(since, latencyMs, dropped, this.#shared.inFlight(slot))
    }
    this.#shared.leave(slot)
    if (this.#queue.size > 0) this.serve()
  }

  /** Gives free places to those of this thread whose turn it is. */
  serve(): void {
    if (this.#isServing || this.#queue.size === 0) return
    this.#isServing = true
    const before = this.#queue.size
    try {
      this.#trim()
      while (this.#serveNext()) {}
    } finally {
      this.#isServing = false
    }
    if (this.#queue.size !== before) this.#passOn()
  }

  #serveNext(): boolean {
    const newestFirst = this.#isStanding()
    const next = this.#queue.first(newestFirst)
    if (next === null) return false
    const { seeker } = next
    if (this.#settings === null) {
      this.#remove(next)
      seeker.onPlace(null)
    } else if (this.#environment.clock.now() > next.latest) {
      this.#remove(next)
      this.#refuse(seeker, 'late')
    } else {
      if (!this.#shared.isNext(this.#slot, newestFirst)) return false
      if (!this.#shared.tryEnter(this.#slot)) return false
      this.#remove(next)
      seeker.onPlace(this.#place())
    }
    return true
  }

  /**
   * Whether the queue has been there for half as long as anybody may wait in it: then the oldest have the
   * least chance to be of use to anyone, and the newest are served first.
   */
  #isStanding(): boolean {
    return this.#shared.queuedForMs(this.#slot) * 2 > (this.#settings?.queueTimeoutMs ?? 0)
  }

  /** A full queue: whether one that would come later than a newcomer of this importance makes way. */
  #makeRoom(importance: number): boolean {
    const lowest = this.#shared.lowestWaiting(this.#slot)
    const isStanding = this.#isStanding()
    if (isStanding ? lowest > importance : lowest >= importance) return false
    const victim = this.#last(lowest, isStanding)
    if (victim === null) return this.#othersMakeRoom(isStanding ? importance + 1 : importance)
    this.#remove(victim)
    this.#refuse(victim.seeker, 'displaced')
    return true
  }

  /**
   * Only other threads have some below this importance: until they have heard of it the queue is too long,
   * but never by more than these.
   */
  #othersMakeRoom(importance: number): boolean {
    const waiting = this.#shared.waiting(this.#slot)
    const below = waiting - this.#shared.waitingFrom(this.#slot, importance)
    return waiting - (this.#settings?.queueMax ?? 0) < below
  }

  /** The queue may have become too long for those that matter least in all threads. */
  #trim(): void {
    if (this.#settings === null) return
    for (;;) {
      const lowest = this.#shared.lowestWaiting(this.#slot)
      const victim = this.#last(lowest, this.#isStanding())
      if (victim === null) return
      if (!this.#shared.tryTrim(this.#slot, lowest, this.#settings.queueMax)) return
      this.#unlink(victim)
      this.#refuse(victim.seeker, 'displaced')
    }
  }

  /** Whose turn would come last of this importance. */
  #last(importance: number, newestFirst: boolean): WaitingSeeker | null {
    return newestFirst ? this.#queue.oldest(importance) : this.#queue.newest(importance)
  }

  #remove(waiting: WaitingSeeker): void {
    this.#shared.removeWaiter(this.#slot, waiting.importance)
    this.#unlink(waiting)
  }

  #unlink(waiting: WaitingSeeker): void {
    waiting.seeker.waiting = null
    this.#environment.wheel.cancel(waiting)
    this.#queue.remove(waiting)
    this.#publish()
  }

  #publish(): void {
    const level = this.#queue.highest
    const oldest = this.#queue.oldest(level)?.since ?? 0
    this.#shared.publish(this.#slot, level, oldest, this.#queue.newest(level)?.since ?? 0)
  }

  #refuse(seeker: PlaceSeeker, refusal: Refusal): void {
    this.#counters.refused(refusal)
    seeker.onRefused(refusal)
  }

  #place(): Place {
    return new Place(this, this.#slot, this.#shared.ticks.now())
  }

  /** Who waited before others is gone: if a place is free, it is for them. */
  #passOn(): void {
    if (this.#shared.inFlight(this.#slot) < this.#shared.limit(this.#slot)) {
      this.#shared.wakeWaiters(this.#slot)
      this.serve()
    }
  }

  /** Hears of places that other threads free while somebody waits here. */
  #listen(): void {
    if (this.#isListening || this.#queue.size === 0) return
    this.#isListening = true
    let token = this.#shared.wakeToken(this.#slot)
    const again = (): void => {
      token = this.#shared.wakeToken(this.#slot)
      this.serve()
      if (this.#queue.size === 0) this.#isListening = false
      else this.#shared.onWake(this.#slot, token, again)
    }
    // What happened before the token was read is seen here.
    this.serve()
    this.#shared.onWake(this.#slot, token, again)
  }
}
