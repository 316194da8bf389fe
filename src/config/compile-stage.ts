// Policies compiled for the routes that use them, with the surroundings they are promised.
import type { Clock } from '../lib/clock.ts'
import { Moment, type StageMark } from '../observability/pulse.ts'
import { IdentityFields } from '../proxy/http/identity-fields.ts'
import { compileCondition } from '../proxy/pipeline/condition.ts'
import type { ConsumerDirectory } from '../proxy/pipeline/consumer.ts'
import type { KeptResources } from '../proxy/pipeline/kept-resources.ts'
import type { PolicyDefinition, PolicyEnvironment, PolicyLog } from '../proxy/pipeline/policy.ts'
import { problem, reply } from '../proxy/pipeline/reply.ts'
import { Stage, type StageCounters } from '../proxy/pipeline/stage.ts'
import type { PolicyUse } from './schema.ts'

/** What policies share beyond their snapshot. */
export interface SharedServices
  extends Pick<PolicyEnvironment, 'store' | 'failedAttempts' | 'places' | 'documents'> {
  readonly kept: KeptResources
}

/** The part of the compiler's environment that stages need. */
export interface StageEnvironment {
  readonly clock: Clock
  readonly log: PolicyLog
  readonly state: SharedServices
  stageCounters(policy: string): StageCounters
  /** Says which policy on which route has the event loop. */
  stageMark(policy: string, routeId: string): StageMark
}

/** Compiles the stages of one document. */
export class StageCompiler {
  /** Every stage so far. */
  readonly made: Stage[] = []
  readonly #consumers: ConsumerDirectory
  readonly #environment: StageEnvironment
  readonly #identityHeaders = new Set<string>()

  constructor(consumers: ConsumerDirectory, environment: StageEnvironment) {
    this.#consumers = consumers
    this.#environment = environment
  }

  /**
   * Makes one stage.
   * @param slot reserves a place in the slots of the route's exchanges.
   * @throws Error naming the route and the policy that refuses.
   */
  compile(
    routeId: string,
    use: PolicyUse,
    definition: PolicyDefinition,
    slot: () => number,
  ): Stage {
    const { kept } = this.#environment.state
    const held: string[] = []
    const release = (): void => {
      for (const key of held.splice(0)) kept.release(key)
    }
    const keep: PolicyEnvironment['keep'] = (key, make) => {
      const full = `${use.policy} ${key}`
      const resource = kept.acquire(full, make)
      held.push(full)
      return resource
    }
    try {
      const stage = this.#stage(routeId, use, definition, { keep, slot }, release)
      for (const name of definition.identityHeaders?.(use.settings) ?? []) {
        this.#identityHeaders.add(name)
      }
      this.made.push(stage)
      return stage
    } catch (error) {
      release()
      throw new Error(`route ${routeId}: policy "${use.id}": ${(error as Error).message}`)
    }
  }

  /** Takes a stage that no policy made, and the names of headers that no client may send because of it. */
  add(stage: Stage, identityHeaders: readonly string[]): Stage {
    for (const name of identityHeaders) this.#identityHeaders.add(name)
    this.made.push(stage)
    return stage
  }

  /** What no client may send, after all stages were made; null if there is nothing. */
  identityFields(): IdentityFields | null {
    return this.#identityHeaders.size === 0 ? null : new IdentityFields(this.#identityHeaders)
  }

  #stage(
    routeId: string,
    use: PolicyUse,
    definition: PolicyDefinition,
    own: Pick<PolicyEnvironment, 'keep' | 'slot'>,
    release: () => void,
  ): Stage {
    const { clock, log, state } = this.#environment
    const { store, failedAttempts, places, documents } = state
    const mark = this.#environment.stageMark(use.id, routeId)
    const make = () =>
      definition.create(use.settings, {
        route: { id: routeId },
        stage: { id: use.id },
        clock,
        log,
        consumers: this.#consumers,
        store,
        failedAttempts,
        places,
        documents,
        reply,
        problem,
        ...own,
      })
    const hooks = mark.around(Moment.create, make)
    const onFailure = (reason: string): void =>
      log.warn(
        { route: routeId, policy: use.id, reason },
        'the condition of a policy could not be evaluated; the policy runs',
      )
    const counters = this.#environment.stageCounters(use.id)
    const countFailure = (): void => counters.conditionFailed()
    const condition =
      use.when === null ? null : compileCondition(use.when, { onFailure, countFailure })
    const held = heldBytesMax(definition, use)
    return new Stage(use, hooks, condition, counters, mark, release, held)
  }
}

function heldBytesMax({ body }: PolicyDefinition, { settings }: PolicyUse): number {
  return typeof body?.request === 'object' ? body.request.buffer(settings) : 0
}
