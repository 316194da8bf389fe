// Round robin: everyone in turn, by weight, over all threads together.
import type { Endpoint } from '../endpoint.ts'
import type {
  BalancedRequest,
  Picker,
  PickerContext,
  PickerFactory,
  SharedTurns,
} from './balancer.ts'
import { isCandidate } from './candidate.ts'
import { turnSchedule } from './turn-schedule.ts'

/** Makes pickers that go through the endpoints in turn. */
export const roundRobin: PickerFactory = (endpoints, context) =>
  new RoundRobinPicker(endpoints, context)

/**
 * The turn is a number that all threads share; whose turn it is stands in a schedule that all
 * threads compute alike. So the counts over all threads together are equal to within one request.
 */
class RoundRobinPicker implements Picker {
  readonly #endpoints: readonly Endpoint[]
  readonly #schedule: Uint16Array
  readonly #turns: SharedTurns
  // Where in the schedule the last turn that could not be taken went. It walks over those that can
  // take one, so that these turns are shared by weight too and do not all go to one neighbour.
  #spare: number

  constructor(endpoints: readonly Endpoint[], context: PickerContext) {
    this.#endpoints = endpoints
    this.#schedule = turnSchedule(endpoints.map((endpoint) => endpoint.weight))
    this.#turns = context.turns
    this.#spare = Math.floor(context.random() * this.#schedule.length)
  }

  pick(_request: BalancedRequest, tried: readonly Endpoint[]): Endpoint | null {
    const schedule = this.#schedule
    // A further attempt of the same request takes no turn, else a failing endpoint would shift
    // the turns of all others.
    if (tried.length === 0) {
      const endpoint = this.#endpoints[schedule[this.#turns.next() % schedule.length]!]!
      if (endpoint.usable) return endpoint
    }
    return this.#next(tried)
  }

  #next(tried: readonly Endpoint[]): Endpoint | null {
    if (!hasCandidate(this.#endpoints, tried)) return null
    const schedule = this.#schedule
    for (let step = 0; step < schedule.length; step += 1) {
      this.#spare = this.#spare + 1 < schedule.length ? this.#spare + 1 : 0
      const endpoint = this.#endpoints[schedule[this.#spare]!]!
      if (isCandidate(endpoint, tried)) return endpoint
    }
    return null
  }
}

// Asked first because a schedule can be far longer than the list.
function hasCandidate(endpoints: readonly Endpoint[], tried: readonly Endpoint[]): boolean {
  for (let index = 0; index < endpoints.length; index += 1) {
    if (isCandidate(endpoints[index]!, tried)) return true
  }
  return false
}
