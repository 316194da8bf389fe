// The upgraded connections and event streams of one thread. They outlive any number of configurations;
// those whose own route or service changed, and all of them when the thread drains, are ended one after
// the other over a time, so that their clients do not all come back in the same moment.
import type { Document } from '../config/schema.ts'
import { Snapshot } from '../config/snapshot.ts'
import type { Clock } from '../lib/clock.ts'
import { type TimerWheel, WheelTimer } from '../lib/timer-wheel.ts'
import type {
  ExchangeContext,
  LongLived,
  LongLivedRegistry,
} from '../proxy/pipeline/exchange-context.ts'
import { ChangedRoutes } from './changed-routes.ts'

interface Departure {
  readonly exchange: LongLived
  readonly at: number
}

/** Where such exchanges are known. */
export class LongLivedExchanges extends WheelTimer implements LongLivedRegistry {
  readonly #wheel: TimerWheel
  readonly #clock: Clock
  readonly #live: () => Snapshot
  readonly #onEnded: () => void
  readonly #staying = new Set<LongLived>()
  readonly #leaving = new Set<LongLived>()
  /** The soonest last; some may have ended by themselves. */
  #departures: Departure[] = []
  /** Until when those end that come while the thread drains; 0 while it does not. */
  #drainsUntil = 0

  /** @param onEnded hears of each one that is ended from here. */
  constructor(wheel: TimerWheel, clock: Clock, live: () => Snapshot, onEnded: () => void) {
    super()
    this.#wheel = wheel
    this.#clock = clock
    this.#live = live
    this.#onEnded = onEnded
  }

  get size(): number {
    return this.#staying.size + this.#leaving.size
  }

  add(exchange: LongLived, from: ExchangeContext): void {
    this.#staying.add(exchange)
    if (this.#drainsUntil > 0) this.#end([exchange], this.#drainsUntil - this.#clock.now())
    else if (from instanceof Snapshot && from !== this.#live()) {
      // It began before the last reload.
      this.#endChanged(from.document, this.#live().document, [exchange])
    }
  }

  delete(exchange: LongLived): void {
    if (!this.#staying.delete(exchange)) this.#leaving.delete(exchange)
    if (this.#leaving.size === 0) this.#settle()
  }

  /** A configuration went live. @returns how many it ends. */
  reload(before: Document, after: Document): number {
    return this.#staying.size === 0 ? 0 : this.#endChanged(before, after, this.#staying)
  }

  /** Ends all there are and all that come, within so many milliseconds. */
  drain(withinMs: number): void {
    this.#drainsUntil = this.#clock.now() + withinMs
    for (const exchange of this.#leaving) this.#staying.add(exchange)
    this.#leaving.clear()
    this.#departures = []
    this.#end([...this.#staying], withinMs)
  }

  #endChanged(before: Document, after: Document, among: Iterable<LongLived>): number {
    const changed = new ChangedRoutes(before, after)
    const concerned = Array.from(among).filter((exchange) => changed.concern(exchange))
    this.#end(concerned, after.drain.spreadMs)
    return concerned.length
  }

  /** Ends them at moments spread over the time, one in each of as many equal parts of it. */
  #end(exchanges: readonly LongLived[], withinMs: number): void {
    if (exchanges.length === 0) return
    const now = this.#clock.now()
    const partMs = Math.max(0, withinMs) / exchanges.length
    for (const [index, exchange] of exchanges.entries()) {
      this.#staying.delete(exchange)
      this.#leaving.add(exchange)
      this.#departures.push({ exchange, at: now + (index + Math.random()) * partMs })
    }
    this.#departures.sort((one, other) => other.at - one.at)
    this.#await(now)
  }

  override onTimeout(now: number): void {
    while (this.#departures.length > 0 && this.#departures.at(-1)!.at <= now) {
      const { exchange } = this.#departures.pop()!
      // `delete` follows when it is over, which may be at once.
      if (!this.#leaving.has(exchange)) continue
      this.#onEnded()
      exchange.endEarly()
    }
    this.#await(now)
  }

  #await(now: number): void {
    const next = this.#departures.at(-1)
    if (next !== undefined) this.#wheel.arm(this, Math.max(0, next.at - now), now)
  }

  #settle(): void {
    this.#departures = []
    this.#wheel.cancel(this)
  }
}
