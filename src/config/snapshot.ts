// A compiled configuration: frozen once it is live, and held by every exchange that began on it.
import type { ErrorCode } from '../errors.ts'
import type { Clock } from '../lib/clock.ts'
import type { TimerWheel } from '../lib/timer-wheel.ts'
import type { ForwardedSettings } from '../proxy/http/forwarded-headers.ts'
import type { IdentityFields } from '../proxy/http/identity-fields.ts'
import type { LongLivedRegistry, OverloadGate } from '../proxy/pipeline/exchange-context.ts'
import type { PolicyLog } from '../proxy/pipeline/policy.ts'
import type { Route, RunContext } from '../proxy/pipeline/run.ts'
import type { Stage } from '../proxy/pipeline/stage.ts'
import type { RoutingTable } from '../proxy/router/routing-table.ts'
import type { ServiceSettings } from '../proxy/upstream/service.ts'
import type { Document } from './schema.ts'

/** The parts a snapshot is put together from. */
export interface SnapshotParts {
  readonly generation: number
  readonly document: Document
  readonly table: RoutingTable<Route>
  readonly unmatched: Route
  readonly services: ReadonlyMap<string, ServiceSettings>
  readonly forwarded: ForwardedSettings
  readonly viaLines: readonly [string, string]
  readonly trailersAllowed: ReadonlySet<string>
  readonly identityFields: IdentityFields | null
  readonly stages: readonly Stage[]
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly log: PolicyLog
  readonly longLived: LongLivedRegistry
  readonly consumerImportance: ReadonlyMap<string, number> | null
  readonly overload: OverloadGate
  readonly countError: (code: ErrorCode) => void
}

/** What exchanges run on. `dispose` runs when it is no longer live and its last exchange has ended. */
export class Snapshot implements RunContext {
  readonly generation: number
  readonly document: Document
  readonly table: RoutingTable<Route>
  readonly unmatched: Route
  readonly services: ReadonlyMap<string, ServiceSettings>
  readonly forwarded: ForwardedSettings
  readonly viaLines: readonly [string, string]
  readonly trailersAllowed: ReadonlySet<string>
  readonly identityFields: IdentityFields | null
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly log: PolicyLog
  readonly longLived: LongLivedRegistry
  readonly consumerImportance: ReadonlyMap<string, number> | null
  readonly overload: OverloadGate
  readonly countError: (code: ErrorCode) => void
  readonly #stages: readonly Stage[]
  #exchanges = 0
  #retired = false

  constructor(parts: SnapshotParts) {
    this.generation = parts.generation
    this.document = parts.document
    this.table = parts.table
    this.unmatched = parts.unmatched
    this.services = parts.services
    this.forwarded = parts.forwarded
    this.viaLines = parts.viaLines
    this.trailersAllowed = parts.trailersAllowed
    this.identityFields = parts.identityFields
    this.clock = parts.clock
    this.wheel = parts.wheel
    this.log = parts.log
    this.longLived = parts.longLived
    this.consumerImportance = parts.consumerImportance
    this.overload = parts.overload
    this.countError = parts.countError
    this.#stages = parts.stages
  }

  /** Exchanges that run on it. */
  get exchanges(): number {
    return this.#exchanges
  }

  enter(): void {
    this.#exchanges++
  }

  leave(): void {
    this.#exchanges--
    if (this.#retired && this.#exchanges === 0) this.#dispose()
  }

  /** It is no longer live; exchanges that began on it still end on it. */
  retire(): void {
    if (this.#retired) return
    this.#retired = true
    if (this.#exchanges === 0) this.#dispose()
  }

  #dispose(): void {
    for (const stage of this.#stages) {
      try {
        stage.dispose()
      } catch (error) {
        this.log.error({ policy: stage.id, error: String(error) }, 'policy failed to dispose')
      }
    }
  }
}
