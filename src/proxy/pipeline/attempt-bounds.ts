// What bounds the attempts of an exchange beside their number: one timer for whatever is due first, the
// deadline that came with the request, the pass of the service's breaker, and the place among those in
// flight at the service.
import { WheelTimer } from '../../lib/timer-wheel.ts'
import type { UpstreamTimeouts } from '../http/client-connection.ts'
import type { Place, PlaceSeeker } from '../upstream/concurrency/concurrency-gate.ts'
import { Deadline, type DeadlineSettings } from '../upstream/deadline.ts'
import type { RetrySettings } from '../upstream/retries.ts'
import type { Service, ServiceSettings } from '../upstream/service.ts'
import { type CircuitPass, circuitPass } from './circuit-pass.ts'
import type { ExchangeRun } from './run.ts'
import { endsAt, importanceOf } from './service-place.ts'

/** What the timer stands for. */
export const Wait = { queue: 0, attempt: 1, backoff: 2, deadline: 3 } as const

/** What one route asks of the attempts at one service: its own settings, else those of the service. */
export interface AttemptTerms {
  readonly timeouts: UpstreamTimeouts
  /** See ServiceSettings. */
  readonly attemptTimeoutMs: number
  readonly retries: RetrySettings
  /** Whether the service's hedges are for this route too. */
  readonly mayHedge: boolean
}

/** The terms of a service for a route that says nothing else. */
export function termsOf(settings: ServiceSettings): AttemptTerms {
  const { attemptTimeoutMs, pool, retries } = settings
  return { timeouts: pool.timeouts, attemptTimeoutMs, retries, mayHedge: true }
}

/** Whether it is the answer of an endpoint that cannot serve. */
export function isUnwell(status: number, service: Service): boolean {
  return status >= 500 && service.settings.failureStatuses.has(status)
}

/** Whether another endpoint may have a better answer. */
export function isWorthRetry(status: number, terms: AttemptTerms): boolean {
  return status >= 400 && terms.retries.statuses.has(status)
}

/** The bounds of one exchange's attempts. */
export abstract class AttemptBounds extends WheelTimer implements PlaceSeeker {
  waiting: { cancel(): void } | null = null
  protected readonly run: ExchangeRun
  /** Of the time that the client gave, if it gave one. */
  protected deadline: Deadline | null = null
  protected waitsFor: number = Wait.queue
  /** Null where there is no breaker. */
  #pass: CircuitPass | null = null
  #mayFallBack = true
  /** From when on its time is the service's: not while it waits for a place. */
  #startedAt: number

  constructor(run: ExchangeRun) {
    super()
    this.run = run
    this.#startedAt = run.receivedAt
  }

  /** Begins the first attempt, or answers in place of a service that fails. */
  abstract start(mayFallBack: boolean): void

  /** Asks the service's breaker. @returns false when it is open. */
  protected enter(service: Service): boolean {
    if (service.breaker === null) return true
    this.#pass = circuitPass(service.breaker, service)
    return this.#pass !== null
  }

  /**
   * Takes a place at a service that bounds the requests in flight.
   * @returns false when it has to wait: `start` is called again then, or the exchange is refused.
   */
  protected hasPlace(service: Service, mayFallBack: boolean): boolean {
    const gate = service.concurrency
    const { run } = this
    if (gate === null || run.place !== null) return true
    const importance = importanceOf(run)
    run.place = gate.tryEnter(importance)
    if (run.place !== null) return true
    // The breaker is asked again when the time comes.
    this.#pass?.cancel()
    this.#mayFallBack = mayFallBack
    gate.wait(this, importance, endsAt(run, service))
    return false
  }

  onPlace(place: Place | null): void {
    this.run.place = place
    this.#startedAt = this.run.context.clock.now()
    this.start(this.#mayFallBack)
  }

  onRefused(): void {
    this.run.fail('service_overloaded')
  }

  /** Tells the breaker what became of the exchange; only the first call counts. */
  protected settle(failed: boolean): void {
    if (this.#pass === null) return
    const now = this.run.context.clock.now()
    this.#pass.settle(now - this.#startedAt, failed)
  }

  /** Nothing that bounds it matters any more, and its end says nothing of the service. */
  protected release(): void {
    this.run.context.wheel.cancel(this)
    this.#pass?.cancel()
    this.waiting?.cancel()
  }

  /** Reads the deadline that came with the request. @returns false when it has passed. */
  protected readDeadline(settings: DeadlineSettings): boolean {
    const { run } = this
    const value = run.requestHeader(settings.header)
    const deadline = value === null ? null : Deadline.of(settings, value, run.receivedAt)
    if (deadline === null) return true
    this.deadline = deadline
    // Each attempt gets a line of its own.
    run.removeRequestHeader(settings.header)
    this.disarm()
    return deadline.at > run.context.clock.now()
  }

  /** Waits for one thing, or for the deadline if that comes first. */
  protected arm(waitsFor: number, delayMs: number, now: number): void {
    const leftMs = this.deadline === null ? delayMs : this.deadline.at - now
    this.waitsFor = delayMs <= leftMs ? waitsFor : Wait.deadline
    this.run.context.wheel.arm(this, Math.min(delayMs, leftMs), now)
  }

  /** Waits for nothing any more, but for the deadline. */
  protected disarm(): void {
    const { clock, wheel } = this.run.context
    if (this.deadline !== null) this.arm(Wait.deadline, Number.POSITIVE_INFINITY, clock.now())
    else if (this.armed) wheel.cancel(this)
  }
}
