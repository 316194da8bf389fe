// Least connections: where the fewest requests are in flight for the weight, over all threads.
import type { Endpoint } from '../endpoint.ts'
import type { BalancedRequest, Picker, PickerContext, PickerFactory } from './balancer.ts'
import { isCandidate } from './candidate.ts'

/** Makes pickers that choose the endpoint with the least in flight. */
export const leastConnections: PickerFactory = (endpoints, context) =>
  new LeastConnectionsPicker(endpoints, context)

/**
 * The best endpoint is the one with the smallest (in flight + 1) / weight. All whose load per
 * weight is still below that may be picked, and among them the weight decides by lot. With equal
 * weights these are exactly the ones with the least in flight; with unequal weights an idle service
 * is still shared by weight, where the formula alone would always name the heaviest.
 */
class LeastConnectionsPicker implements Picker {
  readonly #endpoints: readonly Endpoint[]
  readonly #context: PickerContext
  // In flight as read in this pick, below 0 for those that may not be picked: the numbers change
  // under us while other threads work, and one pick must see one picture.
  readonly #inFlight: Int32Array

  constructor(endpoints: readonly Endpoint[], context: PickerContext) {
    this.#endpoints = endpoints
    this.#context = context
    this.#inFlight = new Int32Array(endpoints.length)
  }

  pick(_request: BalancedRequest, tried: readonly Endpoint[]): Endpoint | null {
    const endpoints = this.#endpoints
    const inFlight = this.#inFlight
    let bound = Number.POSITIVE_INFINITY
    for (let index = 0; index < endpoints.length; index += 1) {
      const endpoint = endpoints[index]!
      inFlight[index] = isCandidate(endpoint, tried) ? endpoint.inFlight() : -1
      if (inFlight[index]! < 0) continue
      const load = (inFlight[index]! + 1) / endpoint.weight
      if (load < bound) bound = load
    }
    let weights = 0
    for (let index = 0; index < endpoints.length; index += 1) {
      const weight = endpoints[index]!.weight
      if (inFlight[index]! >= bound * weight) inFlight[index] = -1
      else if (inFlight[index]! >= 0) weights += weight
    }
    let point = this.#context.random() * weights
    let last: Endpoint | null = null
    for (let index = 0; index < endpoints.length; index += 1) {
      if (inFlight[index]! < 0) continue
      last = endpoints[index]!
      point -= last.weight
      if (point < 0) return last
    }
    return last
  }
}
