// Draws endpoints at random, each with the chance that its weight gives it.
import type { Endpoint } from '../endpoint.ts'
import type { PickerContext } from './balancer.ts'
import { isCandidate } from './candidate.ts'

/** A lottery over a list of endpoints. */
export class WeightedDraw {
  readonly #endpoints: readonly Endpoint[]
  // Sums of the weights up to and with each endpoint.
  readonly #sums: Float64Array
  readonly #context: PickerContext

  constructor(endpoints: readonly Endpoint[], context: PickerContext) {
    this.#endpoints = endpoints
    this.#context = context
    this.#sums = new Float64Array(endpoints.length)
    let sum = 0
    endpoints.forEach((endpoint, index) => {
      sum += endpoint.weight
      this.#sums[index] = sum
    })
  }

  /**
   * Draws among those that may be picked, but never `except`; null when there are none.
   * Those left out leave their chance to the others in proportion.
   */
  draw(tried: readonly Endpoint[], except: Endpoint | null): Endpoint | null {
    const endpoint = this.#endpoints[this.#find(this.#context.random())]!
    if (endpoint !== except && isCandidate(endpoint, tried)) return endpoint
    return this.#drawAmongCandidates(tried, except)
  }

  #find(random: number): number {
    const sums = this.#sums
    const point = random * sums[sums.length - 1]!
    let low = 0
    let high = sums.length - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if (sums[middle]! > point) high = middle
      else low = middle + 1
    }
    return low
  }

  #drawAmongCandidates(tried: readonly Endpoint[], except: Endpoint | null): Endpoint | null {
    const endpoints = this.#endpoints
    let sum = 0
    for (let index = 0; index < endpoints.length; index += 1) {
      const endpoint = endpoints[index]!
      if (endpoint !== except && isCandidate(endpoint, tried)) sum += endpoint.weight
    }
    let point = this.#context.random() * sum
    let last: Endpoint | null = null
    for (let index = 0; index < endpoints.length; index += 1) {
      const endpoint = endpoints[index]!
      if (endpoint === except || !isCandidate(endpoint, tried)) continue
      last = endpoint
      point -= endpoint.weight
      if (point < 0) return endpoint
    }
    // Rounding may leave the point just behind the last.
    return last
  }
}
