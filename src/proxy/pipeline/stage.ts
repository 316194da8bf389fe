// A policy compiled for one route: its hooks with every field present, so that the driver's loads
// stay monomorphic.
import { Moment, type StageMark } from '../../observability/pulse.ts'
import type { Condition } from './condition.ts'
import type { Exchange } from './exchange.ts'
import type { PolicyHooks } from './policy.ts'

/** Counts what a stage does; see observability. */
export interface StageCounters {
  rejected(): void
  /** It would have stopped a request, were it not in shadow mode. */
  shadowRejected(): void
  failed(): void
  /** Its condition could not be evaluated. */
  conditionFailed(): void
}

/** One step of a route. Absent hooks are null. */
export class Stage {
  /** The name of the policy, and the id of this use of it. */
  readonly policy: string
  readonly id: string
  readonly condition: Condition | null
  /** Decide and count, but never act. */
  readonly shadow: boolean
  readonly counters: StageCounters
  /** Set around every call of a hook, so that whoever holds the event loop can be named. */
  readonly mark: StageMark
  readonly onRequest: NonNullable<PolicyHooks['onRequest']> | null
  readonly onForward: NonNullable<PolicyHooks['onForward']> | null
  readonly onResponse: NonNullable<PolicyHooks['onResponse']> | null
  readonly onRequestBody: NonNullable<PolicyHooks['onRequestBody']> | null
  readonly onResponseBody: NonNullable<PolicyHooks['onResponseBody']> | null
  readonly onFinish: NonNullable<PolicyHooks['onFinish']> | null
  /** It sees request bodies whole, those of up to so many bytes; 0 if it takes them as they come. */
  readonly heldBytesMax: number
  readonly #hooks: PolicyHooks
  readonly #release: () => void
  /** Exchanges that left their snapshot and will still end here. */
  #holders = 0
  #isOver = false

  /** @param release gives back what the policy's environment lent, after its own `dispose`. */
  constructor(
    use: { readonly policy: string; readonly id: string; readonly mode: 'enforce' | 'shadow' },
    hooks: PolicyHooks,
    condition: Condition | null,
    counters: StageCounters,
    mark: StageMark,
    release: () => void,
    heldBytesMax = 0,
  ) {
    this.policy = use.policy
    this.id = use.id
    this.condition = condition
    this.shadow = use.mode === 'shadow'
    this.counters = counters
    this.mark = mark
    this.onRequest = bound(hooks, hooks.onRequest)
    this.onForward = bound(hooks, hooks.onForward)
    this.onResponse = bound(hooks, hooks.onResponse)
    this.onRequestBody = bound(hooks, hooks.onRequestBody)
    this.onResponseBody = bound(hooks, hooks.onResponseBody)
    this.onFinish = bound(hooks, hooks.onFinish)
    this.heldBytesMax = this.onRequestBody === null ? 0 : heldBytesMax
    this.#hooks = hooks
    this.#release = release
  }

  /** Whether its condition lets it take part. */
  appliesTo(exchange: Exchange): boolean {
    if (this.condition === null) return true
    this.mark.enter(Moment.condition)
    const applies = this.condition.test(exchange)
    this.mark.leave()
    return applies
  }

  /** It would stop a request. @returns whether it may. */
  countStop(): boolean {
    if (this.shadow) this.counters.shadowRejected()
    else this.counters.rejected()
    return !this.shadow
  }

  /** An exchange goes on without its snapshot, up to `letGo`. */
  hold(): void {
    this.#holders++
  }

  /** @throws what the policy throws, when it was the last. */
  letGo(): void {
    this.#holders--
    if (this.#isOver) this.dispose()
  }

  /** The snapshot is no longer used; if nobody else holds it, that is the end. @throws what the policy throws. */
  dispose(): void {
    this.#isOver = true
    if (this.#holders > 0) return
    try {
      this.mark.around(Moment.dispose, () => this.#hooks.dispose?.())
    } finally {
      this.#release()
    }
  }
}

/** Hooks may use `this`; bound once here, not per request. */
// biome-ignore lint/suspicious/noExplicitAny: the parameters of any hook
function bound<Hook extends (...args: any[]) => unknown>(
  hooks: PolicyHooks,
  hook: Hook | undefined,
): Hook | null {
  return hook === undefined ? null : (hook.bind(hooks) as Hook)
}
