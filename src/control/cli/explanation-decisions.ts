// What the policies of a route make of a request that nobody sends: each is run as far as it decides
// without asking anybody.
import { compileConsumers } from '../../config/compile-consumers.ts'
import type { Document, PolicyUse } from '../../config/schema.ts'
import { policies as builtIn } from '../../policies/registry.ts'
import { compileCondition } from '../../proxy/pipeline/condition.ts'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import { inertEnvironment } from '../../proxy/pipeline/inert-environment.ts'
import type {
  PolicyDefinition,
  PolicyEnvironment,
  PolicyHooks,
} from '../../proxy/pipeline/policy.ts'
import { Reply } from '../../proxy/pipeline/reply.ts'
import { runShadowed } from '../../proxy/pipeline/shadow.ts'

/** How long one policy may take to decide. */
const PATIENCE_MS = 5_000

/** What one policy does with the request. */
export interface ExplainedDecision {
  /** `skipped`: its condition does not hold. `undecided`: that cannot be known here. */
  readonly outcome: 'passes' | 'answers' | 'skipped' | 'undecided' | 'not-reached'
  /** Why, in words; null where there is nothing to say. */
  readonly reason: string | null
  /** Its answer, if it gives one. */
  readonly status: number | null
  readonly code: string | null
  /** Who calls, if this policy found out. */
  readonly consumer: string | null
}

const NOTHING = { reason: null, status: null, code: null, consumer: null }
const NOT_REACHED: ExplainedDecision = { ...NOTHING, outcome: 'not-reached' }
const SKIPPED: ExplainedDecision = { ...NOTHING, outcome: 'skipped' }
const ABSENT: readonly (string | null)[] = ['authentication_required', 'login_required']

/** Runs the request stages of a route; `exchange` is null where nothing reaches them. */
export async function decideStages(
  document: Document,
  policies: readonly PolicyDefinition[],
  routeId: string,
  uses: readonly PolicyUse[],
  exchange: Exchange | null,
): Promise<ExplainedDecision[]> {
  const byName = new Map(policies.map((policy) => [policy.name, policy]))
  const consumers = compileConsumers(document)
  const trial = new Trial(routeId, consumers)
  const decisions: ExplainedDecision[] = []
  for (const use of uses) {
    const definition = byName.get(use.policy)
    decisions.push(
      definition === undefined || exchange === null || trial.isOver
        ? NOT_REACHED
        : await trial.decide(use, definition, exchange),
    )
  }
  return decisions
}

/** Takes one exchange through its stages. */
class Trial {
  isOver = false
  readonly #routeId: string
  readonly #consumers: PolicyEnvironment['consumers']
  /** A policy that would have found out who calls could not decide. */
  #isConsumerUnknown = false
  #slots = 0

  constructor(routeId: string, consumers: PolicyEnvironment['consumers']) {
    this.#routeId = routeId
    this.#consumers = consumers
  }

  async decide(
    use: PolicyUse,
    definition: PolicyDefinition,
    exchange: Exchange,
  ): Promise<ExplainedDecision> {
    if (use.when !== null) {
      if (this.#isConsumerUnknown && /\bconsumer\b/.test(use.when)) {
        return this.#undecided(definition, 'its condition depends on who calls')
      }
      if (!compileCondition(use.when).test(exchange)) return SKIPPED
    }
    const needs = definition.needsWith?.(use.settings) ?? definition.needs ?? []
    if (this.#isConsumerUnknown && needs.includes('consumer')) {
      return this.#undecided(definition, 'that depends on who calls')
    }
    if (!isOffline(definition, use.settings)) {
      return this.#undecided(definition, 'that cannot be decided without asking another server')
    }
    return this.#run(use, definition, exchange)
  }

  async #run(
    use: PolicyUse,
    definition: PolicyDefinition,
    exchange: Exchange,
  ): Promise<ExplainedDecision> {
    const touched = { store: false, documents: false }
    const inert = inertEnvironment({
      route: { id: this.#routeId },
      stage: { id: use.id },
      consumers: this.#consumers,
      slot: () => this.#slots++,
    })
    const environment = watched(inert, touched)
    let hooks: PolicyHooks | null = null
    try {
      hooks = definition.create(use.settings, environment)
      const before = exchange.consumer
      const verdict = await verdictOf(hooks, use, exchange)
      const reply = verdict instanceof Reply ? verdict : null
      if (verdict === 'late') return this.#undecided(definition, 'it took too long to decide')
      if (touched.documents && !ABSENT.includes(reply?.code ?? null)) {
        return this.#undecided(definition, 'that cannot be decided without asking another server')
      }
      if (touched.store) {
        return this.#undecided(definition, 'that depends on what the running gateway has counted')
      }
      if (reply !== null) return this.#answer(use, reply)
      const { consumer } = exchange
      return {
        ...NOTHING,
        outcome: 'passes',
        consumer: consumer === before || consumer === null ? null : consumer.id,
      }
    } catch {
      // The reason may hold a part of the request.
      return this.#undecided(definition, 'it failed')
    } finally {
      hooks?.dispose?.()
      inert.dispose()
    }
  }

  #answer(use: PolicyUse, reply: Reply): ExplainedDecision {
    this.isOver = use.mode === 'enforce'
    return {
      ...NOTHING,
      outcome: 'answers',
      reason: detailOf(reply),
      status: reply.status,
      code: reply.code,
    }
  }

  #undecided(definition: PolicyDefinition, reason: string): ExplainedDecision {
    if (definition.provides?.includes('consumer')) this.#isConsumerUnknown = true
    return { ...NOTHING, outcome: 'undecided', reason }
  }
}

/** Whether a policy may be run here. */
function isOffline(definition: PolicyDefinition, settings: unknown): boolean {
  const { offline = builtIn.includes(definition) } = definition
  return typeof offline === 'boolean' ? offline : offline(settings as never)
}

/** Notes that a policy reaches for what only a running gateway has. */
function watched(
  environment: PolicyEnvironment,
  touched: { store: boolean; documents: boolean },
): PolicyEnvironment {
  const note = (name: 'store' | 'documents') => ({
    get: () => {
      touched[name] = true
      return environment[name]
    },
  })
  return Object.create(environment, {
    store: note('store'),
    documents: note('documents'),
  }) as PolicyEnvironment
}

async function verdictOf(
  hooks: PolicyHooks,
  use: PolicyUse,
  exchange: Exchange,
): Promise<Reply | 'late' | void> {
  const onRequest = hooks.onRequest?.bind(hooks)
  if (onRequest === undefined) return
  const verdict = use.mode === 'shadow' ? runShadowed(exchange, onRequest) : onRequest(exchange)
  if (!(verdict instanceof Promise)) return verdict
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, PATIENCE_MS, 'late')
  })
  try {
    return await Promise.race([verdict, late])
  } finally {
    clearTimeout(timer)
  }
}

/** The sentence that a client would be told. */
function detailOf({ code, body }: Reply): string | null {
  if (code === null) return null
  const { detail, title } = JSON.parse(body.toString()) as { detail?: string; title?: string }
  return detail ?? title ?? null
}
