// Whether an exchange whose attempt failed gets another one. Made when the first one fails.
import type { Deadline } from '../upstream/deadline.ts'
import type { Endpoint } from '../upstream/endpoint.ts'
import type { Service } from '../upstream/service.ts'
import type { ExchangeRun } from './run.ts'

const NONE: readonly Endpoint[] = []

/** The further attempts of one exchange. */
export class Retrying {
  /** Where it was sent so far. */
  readonly tried: Endpoint[] = []
  readonly #run: ExchangeRun
  readonly #service: Service
  #retries = 0

  constructor(run: ExchangeRun, service: Service) {
    this.#run = run
    this.#service = service
  }

  /**
   * Whether another attempt may begin after `waitMs`; if so it is taken out of the budget.
   * @param last where the attempt that failed went.
   */
  mayRetry(last: Endpoint, waitMs: number, deadline: Deadline | null): boolean {
    const { budget, settings } = this.#service
    if (this.#retries >= settings.retries.attemptsMax || !this.#hasTime(waitMs, deadline)) {
      return false
    }
    const isLeft =
      this.#service.hasOther(this.tried, last) ||
      (settings.retries.sameEndpoint && this.#service.hasOther(NONE, null))
    if (!isLeft) return false
    if (budget.take()) return true
    settings.counters.retryRefused()
    return false
  }

  #hasTime(waitMs: number, deadline: Deadline | null): boolean {
    const run = this.#run
    const { exchangeTimeoutMs } = run.plan
    const at = run.context.clock.now() + waitMs
    if (deadline !== null && at >= deadline.at) return false
    return exchangeTimeoutMs === 0 || at < run.receivedAt + exchangeTimeoutMs
  }

  /** Another attempt is due. @returns the wait before it, in ms, which is `waitMs` at least. */
  begin(last: Endpoint, waitMs: number): number {
    this.#retries++
    this.tried.push(last)
    this.#service.settings.counters.retry()
    return Math.max(waitMs, this.#service.backoffMs(this.#retries))
  }

  /** Where the attempt that is due goes; null when no endpoint is left. */
  pick(): Endpoint | null {
    const found = this.#service.pick(this.#run, this.tried)
    if (found !== null || !this.#service.settings.retries.sameEndpoint) return found
    this.tried.length = 0
    return this.#service.pick(this.#run, this.tried)
  }
}
