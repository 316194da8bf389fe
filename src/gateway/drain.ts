// How a data plane ends without losing a request: what connections may still expect of it, and when.
import type { Document } from '../config/schema.ts'
import type { Clock } from '../lib/clock.ts'
import type { LastRequests } from '../proxy/http/connection-host.ts'

/** How much time an end may take, for each of its steps. */
export type DrainPlan = Document['drain']

/** Everything is cut off at once. */
export const NO_GRACE: DrainPlan = { delayMs: 0, idleMs: 0, spreadMs: 0, timeoutMs: 0 }

/** What a person at a terminal wants: no waiting for requests that may come, only for those that run. */
export function hurried(plan: DrainPlan): DrainPlan {
  return { delayMs: 0, idleMs: 0, spreadMs: 0, timeoutMs: plan.timeoutMs }
}

/** How long it takes at most, in milliseconds. */
export function drainMs({ delayMs, timeoutMs }: DrainPlan): number {
  return delayMs + timeoutMs
}

/** What the people who run it should know when the time was not enough. */
export function cutLine(exchanges: number, { timeoutMs }: DrainPlan): string {
  const requests = exchanges === 1 ? '1 request' : `${exchanges} requests`
  return `${requests} had not ended after ${timeoutMs / 1000} s (drain.timeout) and were cut off`
}

/** The last requests of the connections of a plane that ends. */
export class Drain implements LastRequests {
  readonly #clock: Clock
  readonly #idleMs: number
  readonly #idleUntil: number

  constructor(plan: DrainPlan, clock: Clock) {
    this.#clock = clock
    this.#idleMs = plan.idleMs
    // While new connections are welcome there is no reason to close those that are there.
    this.#idleUntil = clock.now() + Math.max(plan.delayMs, plan.idleMs)
  }

  idleWaitMs(): number {
    return Math.max(this.#idleMs, this.#idleUntil - this.#clock.now())
  }
}
