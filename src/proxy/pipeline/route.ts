// A route, compiled: everything the driver asks of it stands ready.
import type { Stage } from './stage.ts'

/** Counts what a route answers; see observability. */
export interface RouteCounters {
  finish(status: number, durationMs: number, requestBytes: number, responseBytes: number): void
}

/** Stages are numbered by bits of one small integer. */
export const STAGES_MAX = 30

/** Everything about a route but where it leads. */
export interface RoutePlan {
  readonly id: string
  /** At most STAGES_MAX. */
  readonly stages: readonly Stage[]
  /** Whether any stage has the hook; false spares the walk. */
  readonly hasForwardHooks: boolean
  readonly hasRequestBodyHooks: boolean
  readonly hasResponseHooks: boolean
  readonly hasResponseBodyHooks: boolean
  /** Whether a stage must see the request body whole. */
  readonly holdsRequestBody: boolean
  /** Whether a stage may change the length of a body, which is then sent chunked. */
  readonly transformsRequestBody: boolean
  readonly transformsResponseBody: boolean
  readonly slots: number
  /** TargetFlag bits that this route refuses. */
  readonly targetFlagsRefused: number
  /** Lower-case upgrade tokens that pass. */
  readonly upgrades: readonly string[]
  /** For the whole exchange; 0 for no bound. */
  readonly exchangeTimeoutMs: number
  /** How much its requests matter when not all can be served; see Importance. */
  readonly importance: number
  readonly counters: RouteCounters
}

/** Finds out which hooks a list of stages has. */
export function hookFlags(stages: readonly Stage[]): {
  readonly hasForwardHooks: boolean
  readonly hasRequestBodyHooks: boolean
  readonly hasResponseHooks: boolean
  readonly hasResponseBodyHooks: boolean
  readonly holdsRequestBody: boolean
} {
  return {
    hasForwardHooks: stages.some((stage) => stage.onForward !== null),
    hasRequestBodyHooks: stages.some((stage) => stage.onRequestBody !== null),
    hasResponseHooks: stages.some((stage) => stage.onResponse !== null),
    hasResponseBodyHooks: stages.some((stage) => stage.onResponseBody !== null),
    holdsRequestBody: stages.some((stage) => stage.heldBytesMax > 0),
  }
}
