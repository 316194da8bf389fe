// The contract between a service and the algorithm that spreads its load.
import type { Endpoint } from '../endpoint.ts'

/** What an algorithm may look at in the request it places. All lookups are lazy. */
export interface BalancedRequest {
  /** The value of a request header by its lower-case name, or null. */
  requestHeader(name: string): string | null
  /** The value of a cookie, or null. */
  cookie(name: string): string | null
  /** The client's address as text. */
  readonly clientIp: string
  /** The path of the request target, without the query. */
  readonly path: string
}

/** Numbers and counters that every thread of the gateway sees alike. */
export interface SharedTurns {
  /** Takes the next turn of this service: 0, 1, 2, ... over all threads together, wrapping at 2^31. */
  next(): number
}

/** An algorithm bound to one list of endpoints; made anew whenever the list changes. */
export interface Picker {
  /**
   * Chooses where the next attempt goes. Skips endpoints that are not available and those in
   * `tried`; returns null when none is left.
   */
  pick(request: BalancedRequest, tried: readonly Endpoint[]): Endpoint | null
}

/** What a picker is made from. */
export interface PickerContext {
  readonly turns: SharedTurns
  /** Uniform in [0, 1). Injected so that simulations replay. */
  random(): number
  /** How much stays in the gateway's own zone; null, or left out, if it has none. */
  readonly zones?: OwnZone | null
}

/** The gateway's own zone, and the part of the load that goes to the endpoints there. */
export interface OwnZone {
  readonly own: string
  /** From 0 to 1; changes with their health. */
  readonly share: number
}

/** Makes a picker for a list of endpoints; the list is never empty. */
export type PickerFactory = (endpoints: readonly Endpoint[], context: PickerContext) => Picker
