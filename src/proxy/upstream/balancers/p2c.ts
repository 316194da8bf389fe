// Power of two choices: two drawn by weight, and of these the one that will answer sooner.
import type { Endpoint } from '../endpoint.ts'
import type { BalancedRequest, Picker, PickerContext, PickerFactory } from './balancer.ts'
import { WeightedDraw } from './weighted-draw.ts'

/** Makes pickers that compare two endpoints by observed latency and requests in flight. */
export const powerOfTwoChoices: PickerFactory = (endpoints, context) =>
  new PowerOfTwoChoicesPicker(endpoints, context)

/**
 * Two and not all: callers who all know the same best would all run there at once. On a tie the
 * first drawn wins, so that idle endpoints without history share by weight.
 */
class PowerOfTwoChoicesPicker implements Picker {
  readonly #lottery: WeightedDraw
  readonly #weightMean: number

  constructor(endpoints: readonly Endpoint[], context: PickerContext) {
    this.#lottery = new WeightedDraw(endpoints, context)
    let sum = 0
    for (const endpoint of endpoints) sum += endpoint.weight
    this.#weightMean = sum / endpoints.length
  }

  pick(_request: BalancedRequest, tried: readonly Endpoint[]): Endpoint | null {
    const first = this.#lottery.draw(tried, null)
    if (first === null) return null
    const second = this.#lottery.draw(tried, first)
    if (second === null) return first
    return this.#isSooner(second, first) ? second : first
  }

  #isSooner(a: Endpoint, b: Endpoint): boolean {
    const waitA = 1 + (a.inFlight() * this.#weightMean) / a.weight
    const waitB = 1 + (b.inFlight() * this.#weightMean) / b.weight
    const latencyA = a.latencyMs()
    const latencyB = b.latencyMs()
    // An endpoint that never answered is taken to be as quick as the other: it gets its part, and
    // no more than it can take, for what it holds in flight counts.
    if (latencyA < 0 || latencyB < 0) return waitA < waitB
    return waitA * latencyA < waitB * latencyB
  }
}
