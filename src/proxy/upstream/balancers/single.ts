// The algorithm for one endpoint: there is nothing to choose.
import type { Endpoint } from '../endpoint.ts'
import type { BalancedRequest, Picker } from './balancer.ts'
import { isCandidate } from './candidate.ts'

/** Picks the only endpoint there is, if it may be picked. */
export class SinglePicker implements Picker {
  readonly #endpoint: Endpoint

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint
  }

  pick(_request: BalancedRequest, tried: readonly Endpoint[]): Endpoint | null {
    return isCandidate(this.#endpoint, tried) ? this.#endpoint : null
  }
}
