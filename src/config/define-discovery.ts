// The contract of a module that finds endpoints.
import type { z } from 'zod'

/** An endpoint as a module names it: a URL, or a URL with more, as in a configuration. */
export type DiscoveredEndpoint =
  | string
  | {
      readonly url: string
      readonly weight?: number
      readonly priority?: number
      readonly zone?: string
    }

/** What a module is given while it watches. */
export interface DiscoveryContext {
  /** Aborted when the service, or its settings, are gone: end all requests and timers then. */
  readonly signal: AbortSignal
  /**
   * These are all endpoints there are now; an empty list says that there are none. A list with a mistake
   * is reported, and the last good one stays.
   */
  publish(endpoints: readonly DiscoveredEndpoint[]): void
  /** Something went wrong, for the gateway's log. What was published last stays in use. */
  fail(error: unknown): void
}

/** A source of endpoints. */
export interface DiscoveryDefinition<Schema extends z.ZodType = z.ZodType> {
  readonly settings: Schema
  /**
   * Publishes endpoints, now and whenever they change, until the signal is aborted. It may return, and go
   * on by timers and events. What it throws is logged, and it is called again after a pause.
   */
  watch(settings: z.output<Schema>, context: DiscoveryContext): void | Promise<void>
}

/** Declares a source of endpoints: `export default defineDiscovery({ ... })` in a module of its own. */
export function defineDiscovery<Schema extends z.ZodType>(
  definition: DiscoveryDefinition<Schema>,
): DiscoveryDefinition<Schema> {
  return definition
}
