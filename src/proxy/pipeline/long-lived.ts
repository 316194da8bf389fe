// Exchanges that may last for days: upgraded connections and streams of events. They let go of their
// snapshot when they have come so far, and can be ended before either side does it.
import type { ErrorCode } from '../../errors.ts'
import type { Clock } from '../../lib/clock.ts'
import type { TimerWheel } from '../../lib/timer-wheel.ts'
import type { ForwardedSettings } from '../http/forwarded-headers.ts'
import type { ResponseHead } from '../http/message-head.ts'
import type {
  ExchangeContext,
  LongLived,
  LongLivedRegistry,
  OverloadGate,
} from './exchange-context.ts'
import type { PolicyLog } from './policy.ts'
import type { RoutePlan } from './route.ts'
import type { Stage } from './stage.ts'

/** What such an exchange goes on with in the place of its snapshot. */
export class Afterlife implements ExchangeContext {
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly forwarded: ForwardedSettings
  readonly viaLines: readonly [string, string]
  readonly trailersAllowed: ReadonlySet<string>
  readonly identityFields = null
  readonly consumerImportance = null
  readonly overload: OverloadGate
  readonly log: PolicyLog
  readonly countError: (code: ErrorCode) => void
  readonly longLived: LongLivedRegistry
  readonly #exchange: LongLived
  readonly #stages: readonly Stage[]

  /** @param stages whose hooks may still run. */
  constructor(from: ExchangeContext, exchange: LongLived, stages: readonly Stage[]) {
    this.clock = from.clock
    this.wheel = from.wheel
    this.forwarded = from.forwarded
    this.viaLines = from.viaLines
    this.trailersAllowed = from.trailersAllowed
    this.log = from.log
    this.overload = from.overload
    this.countError = from.countError
    this.longLived = from.longLived
    this.#exchange = exchange
    this.#stages = stages
    for (const stage of stages) stage.hold()
    this.longLived.add(exchange, from)
  }

  enter(): void {}

  leave(): void {
    this.longLived.delete(this.#exchange)
    for (const stage of this.#stages) {
      try {
        stage.letGo()
      } catch (error) {
        this.log.error({ policy: stage.id, error: String(error) }, 'policy failed to dispose')
      }
    }
  }
}

/** The stages that still have something to do when the answer has begun, of those that `ran` names. */
export function lastStages({ stages }: RoutePlan, ran: number): Stage[] {
  return stages.filter(
    ({ onFinish, onResponseBody }, index) =>
      (ran & (1 << index)) !== 0 && (onFinish !== null || onResponseBody !== null),
  )
}

/** Whether the answer has no end of its own (WHATWG HTML, server-sent events). */
export function isEventStream(head: ResponseHead): boolean {
  const type = head.field('content-type')
  return type !== null && /^text\/event-stream *(;|$)/i.test(type)
}
