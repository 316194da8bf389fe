// What a service's breaker asks of an exchange: its outcome, or an answer in place of the service.
import { Admission, type CircuitBreaker } from '../upstream/circuit-breaker.ts'
import type { Fallback, Service, ServiceCounters } from '../upstream/service.ts'
import { problem, type Reply, reply } from './reply.ts'
import type { ExchangeRun } from './run.ts'
import { leavePlace } from './service-place.ts'

/** The right of one exchange to go to a service that has a breaker; ended once. */
export class CircuitPass {
  readonly #breaker: CircuitBreaker
  readonly #admission: number
  readonly #counters: ServiceCounters
  #isOver = false

  constructor(breaker: CircuitBreaker, admission: number, counters: ServiceCounters) {
    this.#breaker = breaker
    this.#admission = admission
    this.#counters = counters
  }

  /** The service answered, or could not. */
  settle(durationMs: number, failed: boolean): void {
    if (this.#isOver) return
    this.#isOver = true
    if (this.#breaker.settle(this.#admission, durationMs, failed)) this.#counters.circuitOpened()
  }

  /** The exchange ended before the service could. */
  cancel(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#breaker.cancel(this.#admission)
  }
}

/** A pass, or null when the breaker is open. */
export function circuitPass(breaker: CircuitBreaker, service: Service): CircuitPass | null {
  const admission = breaker.admit()
  const { counters } = service.settings
  if (admission !== Admission.refused) return new CircuitPass(breaker, admission, counters)
  counters.circuitRefused()
  return null
}

/**
 * What happens in place of a service whose breaker is open.
 * @returns the service to go to instead, or null when the exchange was answered.
 */
export function inPlaceOf(
  run: ExchangeRun,
  service: Service,
  mayFallBack: boolean,
): Service | null {
  const { fallback } = service.settings
  if (run.place !== null) leavePlace(run)
  if (!mayFallBack || fallback === null) {
    run.respond(circuitReply(service.breaker?.retryAfterMs() ?? 1))
    return null
  }
  if ('service' in fallback) return fallback.service
  run.respond(fallbackReply(fallback))
  return null
}

/** The reply of a fallback that is one. */
type FixedFallback = Extract<Fallback, { readonly status: number }>

const refusals = new Map<number, Reply>()
const fixed = new WeakMap<FixedFallback, Reply>()

/** 503, with the time until the service is tried again, in whole seconds. */
function circuitReply(retryAfterMs: number): Reply {
  const seconds = Math.ceil(retryAfterMs / 1000)
  const known = refusals.get(seconds)
  if (known !== undefined) return known
  const made = problem('circuit_open', { headers: { 'Retry-After': String(seconds) } })
  refusals.set(seconds, made)
  return made
}

/** The configured reply. */
function fallbackReply(fallback: FixedFallback): Reply {
  const known = fixed.get(fallback)
  if (known !== undefined) return known
  const made = reply(fallback.status, fallback.headers, fallback.body)
  fixed.set(fallback, made)
  return made
}
