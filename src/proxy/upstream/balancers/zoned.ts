// Zones: an algorithm for the endpoints in the gateway's own zone, and the same one for all others.
import type { Endpoint } from '../endpoint.ts'
import type { BalancedRequest, OwnZone, Picker, PickerContext, PickerFactory } from './balancer.ts'

/** Wraps an algorithm: it chooses among the near endpoints, or among the far ones. */
export function zoned(inner: PickerFactory): PickerFactory {
  return (endpoints, context) => {
    const { zones = null } = context
    if (zones === null) return inner(endpoints, context)
    const near = endpoints.filter(({ zone }) => zone === zones.own)
    const far = endpoints.filter(({ zone }) => zone !== zones.own)
    if (near.length === 0 || far.length === 0) return inner(endpoints, context)
    return new ZonedPicker(inner(near, context), inner(far, context), zones, context)
  }
}

/** Where nothing is left in the zone that the lot names, the other one is as good. */
class ZonedPicker implements Picker {
  readonly #near: Picker
  readonly #far: Picker
  readonly #zones: OwnZone
  readonly #context: PickerContext

  constructor(near: Picker, far: Picker, zones: OwnZone, context: PickerContext) {
    this.#near = near
    this.#far = far
    this.#zones = zones
    this.#context = context
  }

  pick(request: BalancedRequest, tried: readonly Endpoint[]): Endpoint | null {
    const { share } = this.#zones
    const near = this.#near
    const far = this.#far
    if (share === 1 || (share > 0 && this.#context.random() < share)) {
      return near.pick(request, tried) ?? far.pick(request, tried)
    }
    return far.pick(request, tried) ?? near.pick(request, tried)
  }
}
