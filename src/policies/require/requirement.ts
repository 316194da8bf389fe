// Decides whether a known caller may pass, with every refusal prepared.
import { type Condition, compileCondition } from '../../proxy/pipeline/condition.ts'
import type { Consumer } from '../../proxy/pipeline/consumer.ts'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import type { PolicyEnvironment } from '../../proxy/pipeline/policy.ts'
import type { Reply } from '../../proxy/pipeline/reply.ts'

type Scalar = string | number | boolean

/** What must hold, all of it; what is empty or null asks for nothing. */
export interface RequirementSettings {
  readonly scopes: readonly string[]
  readonly groups: readonly string[]
  readonly consumers: readonly string[]
  readonly claims: Readonly<Record<string, readonly Scalar[]>>
  readonly expression: string | null
}

/** Whether an expression speaks of the caller. */
export function mentionsConsumer(expression: string): boolean {
  return /\bconsumer\b/.test(expression.replaceAll(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g, "''"))
}

/** A compiled requirement. */
export class Requirement {
  readonly #settings: RequirementSettings
  readonly #groups: ReadonlySet<string>
  readonly #consumers: ReadonlySet<string>
  readonly #claims: readonly (readonly [name: string, values: ReadonlySet<unknown>])[]
  readonly #condition: Condition | null
  readonly #needsConsumer: boolean
  readonly #unknown: Reply
  readonly #forbidden: Reply
  /** For each scope the refusals that name it as missing: Bearer, DPoP, others. */
  readonly #missing: readonly (readonly [Reply, Reply, Reply])[]

  /** @throws Error when the expression is not one. */
  constructor(
    settings: RequirementSettings,
    needsConsumer: boolean,
    environment: Pick<PolicyEnvironment, 'problem' | 'log' | 'stage' | 'route'>,
  ) {
    const { scopes, groups, consumers, claims, expression } = settings
    this.#settings = settings
    this.#needsConsumer = needsConsumer
    this.#groups = new Set(groups)
    this.#consumers = new Set(consumers)
    this.#claims = Object.entries(claims).map(([name, values]) => [name, new Set(values)])
    const { problem, log, route, stage } = environment
    this.#condition =
      expression === null
        ? null
        : compileCondition(expression, {
            onFailure: (reason) =>
              log.warn(
                { route: route.id, policy: stage.id, reason },
                'the expression of a policy could not be evaluated; the request is refused',
              ),
          })
    const scope = scopes.length === 0 ? '' : ` scope="${scopes.join(' ')}"`
    // 401 must name a scheme (RFC 9110 15.5.2), and nobody tried one that could be named.
    this.#unknown = problem('authentication_required', {
      headers: { 'WWW-Authenticate': `Bearer${scope}` },
    })
    this.#forbidden = problem('forbidden')
    this.#missing = scopes.map((name) => {
      const detail = `The scope "${name}" is missing.`
      const parameters = `error="insufficient_scope",${scope}`
      const challenged = (scheme: string) =>
        problem('forbidden', { detail, headers: { 'WWW-Authenticate': `${scheme} ${parameters}` } })
      return [challenged('Bearer'), challenged('DPoP'), problem('forbidden', { detail })]
    })
  }

  /** Nothing, or the refusal. */
  check(exchange: Exchange): Reply | undefined {
    const { consumer } = exchange
    if (consumer === null) {
      if (this.#needsConsumer) return this.#unknown
    } else {
      const missing = this.#missingScope(consumer)
      if (missing !== -1) return this.#refusal(exchange, missing)
      if (!this.#isListed(consumer) || !this.#hasClaims(consumer)) return this.#forbidden
    }
    if (this.#condition === null || this.#holds(exchange, this.#condition)) return
    return this.#forbidden
  }

  #refusal({ authentication }: Exchange, scope: number): Reply {
    const [bearer, dpop, other] = this.#missing[scope]!
    if (authentication === null) return other
    if (authentication.scheme === 'DPoP') return dpop
    return authentication.scheme === 'Bearer' ? bearer : other
  }

  /** The place of the first scope that the token lacks, or -1. */
  #missingScope({ claims }: Consumer): number {
    const { scopes } = this.#settings
    if (scopes.length === 0) return -1
    // RFC 8693 4.2, RFC 9068 2.2.3: one text; `scp`, a list or a text, is what others call it.
    const given = claims === null ? null : (ownClaim(claims, 'scope') ?? ownClaim(claims, 'scp'))
    for (let index = 0; index < scopes.length; index++) {
      if (!holdsScope(given, scopes[index]!)) return index
    }
    return -1
  }

  #isListed({ id, groups }: Consumer): boolean {
    if (this.#consumers.size > 0 && !this.#consumers.has(id)) return false
    if (this.#groups.size === 0) return true
    for (let index = 0; index < groups.length; index++) {
      if (this.#groups.has(groups[index]!)) return true
    }
    return false
  }

  #hasClaims({ claims }: Consumer): boolean {
    for (let index = 0; index < this.#claims.length; index++) {
      const [name, wanted] = this.#claims[index]!
      const value = claims === null ? null : ownClaim(claims, name)
      const fits = Array.isArray(value) ? value.some((item) => wanted.has(item)) : wanted.has(value)
      if (!fits) return false
    }
    return true
  }

  /** A condition that cannot be evaluated counts as true, so that guards run; here it must not. */
  #holds(exchange: Exchange, condition: Condition): boolean {
    const { failures } = condition
    return condition.test(exchange) && condition.failures === failures
  }
}

function ownClaim(claims: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : null
}

function holdsScope(given: unknown, scope: string): boolean {
  if (Array.isArray(given)) return given.includes(scope)
  if (typeof given !== 'string') return false
  return ` ${given} `.includes(` ${scope} `)
}
