// The contract between a gateway and whatever knows where the endpoints of a service are: the
// configuration itself, name servers, a file, or code of others.

/** An endpoint as a source names it. */
export interface SourcedEndpoint {
  /** A name, which is looked up, or an address. */
  readonly host: string
  readonly port: number
  readonly weight: number
  readonly priority: number
  readonly zone: string | null
}

/** What a source is given. */
export interface SourceContext {
  /** Aborted when the service, or its settings, are gone: give everything back then. */
  readonly signal: AbortSignal
  /** These are all endpoints there are now. Ones that were published before and are missing drain. */
  publish(endpoints: readonly SourcedEndpoint[]): void
  /** Something went wrong, for the log. What was published last stays. */
  fail(reason: string): void
}

/** Publishes the endpoints of one service, now and whenever they change. Never throws. */
export type EndpointSource = (context: SourceContext) => void

/** Endpoints that one service may have, wherever they come from. */
export const ENDPOINTS_MAX = 1000
