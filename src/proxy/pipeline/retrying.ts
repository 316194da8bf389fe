// Whether an exchange whose attempt failed gets another one, and what became of those before. Made when
// the first one fails, or is hedged.
import type { ClientConnection } from '../http/client-connection.ts'
import type { Deadline } from '../upstream/deadline.ts'
import type { Endpoint } from '../upstream/endpoint.ts'
import type { RetrySettings } from '../upstream/retries.ts'
import type { Service } from '../upstream/service.ts'
import { DiscardedAnswer } from './discarded-answer.ts'
import type { ExchangeRun } from './run.ts'

const NONE: readonly Endpoint[] = []

/** The further attempts of one exchange. */
export class Retrying {
  /** Where it was sent so far. */
  readonly tried: Endpoint[] = []
  readonly #run: ExchangeRun
  readonly #service: Service
  readonly #settings: RetrySettings
  readonly #discarded: DiscardedAnswer[] = []
  #retries = 0

  constructor(run: ExchangeRun, service: Service, settings: RetrySettings) {
    this.#run = run
    this.#service = service
    this.#settings = settings
  }

  /** Whether an attempt was made because another had failed. */
  get hasRetried(): boolean {
    return this.#retries > 0
  }

  /**
   * Whether another attempt may begin after `waitMs`; if so it is taken out of the budget.
   * @param last where the attempt that failed went.
   */
  mayRetry(last: Endpoint, waitMs: number, deadline: Deadline | null): boolean {
    const { attemptsMax, sameEndpoint } = this.#settings
    if (this.#retries >= attemptsMax || !this.#hasTime(waitMs, deadline)) return false
    const service = this.#service
    const isLeft =
      service.hasOther(this.tried, last) || (sameEndpoint && service.hasOther(NONE, null))
    if (!isLeft) return false
    if (service.budget.take()) return true
    service.settings.counters.retryRefused()
    return false
  }

  #hasTime(waitMs: number, deadline: Deadline | null): boolean {
    const run = this.#run
    const { exchangeTimeoutMs } = run.plan
    const at = run.context.clock.now() + waitMs
    if (deadline !== null && at >= deadline.at) return false
    return exchangeTimeoutMs === 0 || at < run.receivedAt + exchangeTimeoutMs
  }

  /** It was sent there: no other attempt goes to that endpoint. */
  addTried(endpoint: Endpoint): void {
    if (!this.tried.includes(endpoint)) this.tried.push(endpoint)
  }

  /** Another attempt is due. @returns the wait before it, in ms, which is `waitMs` at least. */
  begin(last: Endpoint, waitMs: number): number {
    this.#retries++
    this.addTried(last)
    this.#service.settings.counters.retry()
    return Math.max(waitMs, this.#service.backoffMs(this.#settings, this.#retries))
  }

  /** Where the attempt that is due goes; null when no endpoint is left. */
  pick(): Endpoint | null {
    const found = this.#service.pick(this.#run, this.tried)
    if (found !== null || !this.#settings.sameEndpoint) return found
    this.tried.length = 0
    return this.#service.pick(this.#run, this.tried)
  }

  /** Nobody gets the answer that has begun on this connection. */
  letGo(connection: ClientConnection): void {
    this.#discarded.push(new DiscardedAnswer(connection))
  }

  /** Whether there were such answers. */
  get hasLetGo(): boolean {
    return this.#discarded.length > 0
  }

  /** Waits for the end of these answers no longer. */
  endDiscarded(): void {
    for (let i = 0; i < this.#discarded.length; i++) this.#discarded[i]!.end()
    this.#discarded.length = 0
  }
}
