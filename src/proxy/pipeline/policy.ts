// The contract of a policy: five moments, no more. A policy knows the exchange and what its
// environment hands it; it imports no other policy and reaches for nothing with side effects.
import type { z } from 'zod'
import type { ErrorCode } from '../../errors.ts'
import type { Clock } from '../../lib/clock.ts'
import type { RemoteDocuments } from '../../state/remote-documents.ts'
import type { Store } from '../../state/store.ts'
import type { ConsumerDirectory } from './consumer.ts'
import type { Exchange } from './exchange.ts'
import type { FailedAttempts } from './failed-attempts.ts'
import type { ProblemDetails, Reply } from './reply.ts'

/** What a hook that may stop the request returns: nothing (go on), a reply (stop), or a wait for either. */
export type Verdict = void | Reply | Promise<void | Reply>

/** The moments at which a policy takes part. A moment left out costs nothing per request. */
export interface PolicyHooks {
  /** The request head is known, nothing was forwarded. May stop the request or wait. */
  onRequest?(exchange: Exchange): Verdict
  /** The head of an attempt is about to be written; runs again for every retry. */
  onForward?(exchange: Exchange): void
  /** The response head is known, the upstream's or a reply's. Runs last in, first out. */
  onResponse?(exchange: Exchange): void
  /**
   * A chunk of the request body; null marks its end. Returns what goes on in its place (null: nothing),
   * or a reply, which ends the exchange. The memory is the hook's only until it returns. All request
   * stages have run. Where a stage holds the body, one chunk brings all of it to every stage.
   */
  onRequestBody?(exchange: Exchange, chunk: Buffer | null): Buffer | Reply | null
  /** A chunk of the response body; null marks its end. Returns what goes on in its place. */
  onResponseBody?(exchange: Exchange, chunk: Buffer | null): Buffer | null
  /** The exchange is over, whatever happened. Runs exactly once for every stage that saw the request. */
  onFinish?(exchange: Exchange): void
  /** The last exchange of the snapshot has ended; give back what `create` took. */
  dispose?(): void
}

/** Writes structured log lines; never blocks a request. */
export interface PolicyLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
  error(fields: Readonly<Record<string, unknown>>, message: string): void
  /** Hands over one ready line of JSON, without a line break. */
  line(json: string): void
}

/** Something that a policy makes once and keeps from one snapshot to the next. */
export interface Kept {
  dispose(): void
}

/** Places that the threads of this process share, such as those in its thread pool. Those of a dead one are free. */
export interface ProcessPlaces {
  /** Takes one of `max` places of this name; pair each success with one `leave`. */
  enter(name: string, max: number): boolean
  leave(name: string): void
}

/** What a policy is given to work with. */
export interface PolicyEnvironment {
  /** The route this instance is compiled for. */
  readonly route: { readonly id: string }
  /** The id of this use of the policy. */
  readonly stage: { readonly id: string }
  /** Those that the configuration names. */
  readonly consumers: ConsumerDirectory
  /** State that all threads share. */
  readonly store: Store
  readonly failedAttempts: FailedAttempts
  readonly places: ProcessPlaces
  readonly documents: RemoteDocuments
  /**
   * What lives as long as some stage of some snapshot asks for it under this key: caches, connections,
   * sets of keys. Everything it depends on belongs into the key; two policies never share one.
   */
  keep<T extends Kept>(key: string, make: () => T): T
  readonly clock: Clock
  readonly log: PolicyLog
  /** Reserves a place in `exchange.slots` for this instance's own state. */
  slot(): number
  /** Builds an answer once, to be returned for many requests. */
  reply(
    status: number,
    headers?: Readonly<Record<string, string | readonly string[]>>,
    body?: string | Buffer,
  ): Reply
  /** Builds the answer for a failure of the catalogue. */
  problem(code: ErrorCode, details?: ProblemDetails): Reply
}

/** How a policy treats a body: it only looks on, or it may change bytes and length. */
export type BodyUse = 'observe' | 'transform'

/** A policy that must see the whole request body before any of it is forwarded. */
export interface BodyHold<Settings> {
  /** The longest body that is held, in bytes; a longer one gets 413. 0: these settings need none. */
  buffer(settings: Settings): number
}

/** One kind of credential that a policy looks up among the consumers of the configuration. */
export interface CredentialUse {
  readonly kind: 'keys' | 'passwords' | 'signatureKeys' | 'tokens'
  /** Of tokens: the issuers that it accepts. */
  readonly issuers?: readonly string[]
  /** Whether it lets in nobody who has none. */
  readonly isNeeded: boolean
}

/** A policy: its schema, its promises and the code that makes its hooks. */
export interface PolicyDefinition<
  Schema extends z.ZodType = z.ZodType,
  Name extends string = string,
> {
  /** Lower case with dashes; the name in the configuration and of the folder. */
  readonly name: Name
  /** One sentence for listings and the reference. */
  readonly summary: string
  readonly settings: Schema
  /** Facts that an earlier policy must provide, for example `consumer`. */
  readonly needs?: readonly string[]
  /** The same, where it depends on the settings; stands in the place of `needs`. */
  needsWith?(settings: z.output<Schema>): readonly string[]
  readonly provides?: readonly string[]
  /**
   * Names of request headers by which it tells the service who calls. No client can send them, on any
   * route and in any spelling: they are removed on arrival.
   */
  identityHeaders?(settings: z.output<Schema>): readonly string[]
  /**
   * Where a policy that provides the consumer reads the credential: `header:NAME` in lower case,
   * `cookie:NAME` or `query:NAME`. Default: `header:authorization`.
   */
  credentialPlaces?(settings: z.output<Schema>): readonly string[]
  /** The credentials of consumers that it looks up, for the checks of a configuration. */
  credentials?(settings: z.output<Schema>): readonly CredentialUse[]
  /** The settings with the names of files made absolute by `resolve`; they start at the configuration. */
  resolveFiles?(settings: z.output<Schema>, resolve: (name: string) => string): z.output<Schema>
  /**
   * Whether it decides without asking another server, so that `explain` may run it. Default for
   * built-in policies: true; remote documents and the store are noticed without it. For others: false.
   */
  readonly offline?: boolean | ((settings: never) => boolean)
  readonly body?: {
    readonly request?: BodyUse | BodyHold<z.output<Schema>>
    readonly response?: BodyUse
  }
  /** Settings that must compile; they appear in the reference. */
  readonly examples: readonly z.input<Schema>[]
  /** Runs once per route per snapshot: prepare everything here. */
  create(settings: z.output<Schema>, environment: PolicyEnvironment): PolicyHooks
}

/** Declares a policy; returns it unchanged, with its types inferred. */
export function definePolicy<Schema extends z.ZodType, const Name extends string>(
  definition: PolicyDefinition<Schema, Name>,
): PolicyDefinition<Schema, Name> {
  return definition
}
