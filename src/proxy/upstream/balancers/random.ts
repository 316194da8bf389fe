// Random: each request draws anew, by weight.
import type { Endpoint } from '../endpoint.ts'
import type { BalancedRequest, Picker, PickerContext, PickerFactory } from './balancer.ts'
import { WeightedDraw } from './weighted-draw.ts'

/** Makes pickers that choose at random. */
export const random: PickerFactory = (endpoints, context) => new RandomPicker(endpoints, context)

class RandomPicker implements Picker {
  readonly #lottery: WeightedDraw

  constructor(endpoints: readonly Endpoint[], context: PickerContext) {
    this.#lottery = new WeightedDraw(endpoints, context)
  }

  pick(_request: BalancedRequest, tried: readonly Endpoint[]): Endpoint | null {
    return this.#lottery.draw(tried, null)
  }
}
