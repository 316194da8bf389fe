// What the configuration says of where a route leads, compiled.
import { reply } from '../proxy/pipeline/reply.ts'
import type { Target } from '../proxy/pipeline/run.ts'
import { ForwardTarget, type Share } from '../proxy/pipeline/targets/forward.ts'
import { RedirectTarget, RespondTarget } from '../proxy/pipeline/targets/respond.ts'
import {
  parameterTemplate,
  pathTemplate,
  prefixRewrite,
  type TextOf,
} from '../proxy/pipeline/targets/rewrite.ts'
import { SplitStickiness } from '../proxy/pipeline/targets/stickiness.ts'
import type { Service } from '../proxy/upstream/service.ts'
import { attemptTerms } from './compile-service.ts'
import type { Document, ForwardDocument, RouteDocument } from './schema.ts'

/** The part of the compiler's environment that targets need. */
export interface TargetEnvironment {
  service(name: string): Service
}

/**
 * The targets of one document. Routes that lead to the same place in the same way share one: with
 * thousands of routes, memory that a request need not touch is time.
 */
export class TargetCompiler {
  readonly #document: Document
  readonly #environment: TargetEnvironment
  readonly #shared = new Map<string, Target>()

  constructor(document: Document, environment: TargetEnvironment) {
    this.#document = document
    this.#environment = environment
  }

  compile(route: RouteDocument): Target {
    const { target } = route
    if (target.kind !== 'forward' || target.rewrite !== null) {
      return compileTarget(route, this.#document, this.#environment)
    }
    const key = JSON.stringify(target)
    const known = this.#shared.get(key)
    if (known !== undefined) return known
    const made = compileTarget(route, this.#document, this.#environment)
    this.#shared.set(key, made)
    return made
  }
}

function compileTarget(
  route: RouteDocument,
  document: Document,
  environment: TargetEnvironment,
): Target {
  const { target } = route
  if (target.kind === 'redirect') {
    const location = parameterTemplate(target.to, route.match.path)
    return new RedirectTarget(target.status, location, target.to.includes('?'))
  }
  if (target.kind === 'respond') {
    const headers: Record<string, string[]> = {}
    for (const { name, value } of target.headers) {
      headers[name] ??= []
      headers[name].push(value)
    }
    return new RespondTarget(reply(target.status, headers, target.body))
  }
  const shares = target.services.map(({ service, weight }) =>
    share(service, weight, target, document, environment),
  )
  const rewrite = { target: targetRewrite(route, target), host: target.rewrite?.host ?? null }
  const stickiness = target.sticky === null ? null : new SplitStickiness(target.sticky)
  return new ForwardTarget(shares, rewrite, stickiness)
}

function share(
  name: string,
  weight: number,
  target: ForwardDocument,
  document: Document,
  environment: TargetEnvironment,
): Share {
  const own = document.services.find((service) => service.name === name)
  if (own === undefined) throw new Error(`there is no service "${name}"`)
  return {
    name,
    weight,
    service: environment.service(name),
    terms: attemptTerms(own, target),
  }
}

function targetRewrite(route: RouteDocument, target: ForwardDocument): TextOf | null {
  const { rewrite } = target
  if (rewrite === null) return null
  if (rewrite.path !== null) return pathTemplate(rewrite.path, route.match.path)
  if (rewrite.prefix === null) return null
  return prefixRewrite(route.match.path ?? '/*', rewrite.prefix)
}
