// Checks of policies: conditions compile, what a policy needs is there before it, names are used.

import { compileCondition } from '../../proxy/pipeline/condition.ts'
import { inertEnvironment } from '../../proxy/pipeline/inert-environment.ts'
import type { PolicyDefinition } from '../../proxy/pipeline/policy.ts'
import { STAGES_MAX } from '../../proxy/pipeline/route.ts'
import { compileConsumers } from '../compile-consumers.ts'
import { type DataPath, errorAt, type Finding, warningAt } from '../problem.ts'
import type { PolicyUse } from '../schema.ts'
import type { CheckInput } from './input.ts'

/** All checks of policies. */
export function checkPolicies(input: CheckInput): Finding[] {
  const findings: Finding[] = []
  for (const path of usePaths(input)) checkCondition(input, path, findings)
  checkNeeds(input, findings)
  checkCount(input, findings)
  checkCreation(input, findings)
  if (input.isComplete) checkNames(input, findings)
  return findings
}

/** The paths of everything written that uses a policy. */
function usePaths(input: CheckInput): DataPath[] {
  const paths: DataPath[] = input.keys(['policies']).map((name) => ['policies', name])
  const lists: DataPath[] = [['use']]
  const routes = input.written(['routes'])
  if (Array.isArray(routes))
    lists.push(...routes.map((_, index): DataPath => ['routes', index, 'use']))
  for (const list of lists) {
    const entries = input.written(list)
    if (Array.isArray(entries)) paths.push(...entries.map((_, index): DataPath => [...list, index]))
  }
  return paths
}

function checkCondition(input: CheckInput, use: DataPath, findings: Finding[]): void {
  const path = [...use, 'when']
  const text = input.written(path)
  if (typeof text !== 'string' || text === '') return
  try {
    compileCondition(text)
  } catch (error) {
    findings.push(
      errorAt(path, `the condition is not valid: ${(error as Error).message}`, {
        expected: 'a CEL expression that gives true or false',
      }),
    )
  }
}

function checkNeeds(input: CheckInput, findings: Finding[]): void {
  const { document, policies } = input
  const byName = new Map(policies.map((policy) => [policy.name, policy]))
  const everywhere = new Set<string>()
  checkList(document.use, (index) => input.usePath(index), everywhere, byName, findings)
  for (const [routeIndex, route] of document.routes.entries()) {
    const path = (index: number) => input.routePath(routeIndex, 'use', index)
    checkList(route.use, path, new Set(everywhere), byName, findings)
  }
}

/** Adds what the list provides to `provided` as it goes along. */
function checkList(
  uses: readonly PolicyUse[],
  pathOf: (index: number) => DataPath,
  provided: Set<string>,
  policies: ReadonlyMap<string, PolicyDefinition>,
  findings: Finding[],
): void {
  for (const [index, use] of uses.entries()) {
    const definition = policies.get(use.policy)
    const needs = definition?.needsWith?.(use.settings) ?? definition?.needs ?? []
    for (const need of needs) {
      if (provided.has(need)) continue
      const providers = [...policies.values()].filter((policy) => policy.provides?.includes(need))
      findings.push(
        errorAt(
          pathOf(index),
          `"${use.policy}" needs "${need}", and no policy before it provides that`,
          {
            expected:
              providers.length === 0
                ? `a policy that provides "${need}"`
                : `one of ${providers.map((policy) => policy.name).join(', ')} before it`,
          },
        ),
      )
    }
    for (const fact of definition?.provides ?? []) provided.add(fact)
  }
}

function checkCount(input: CheckInput, findings: Finding[]): void {
  const { document } = input
  for (const [index, route] of document.routes.entries()) {
    const count = document.use.length + route.use.length
    if (count <= STAGES_MAX) continue
    findings.push(
      errorAt(
        input.routePath(index, 'use'),
        `${count} policies run on this route, those on every route included`,
        {
          expected: `${STAGES_MAX} or fewer`,
        },
      ),
    )
  }
}

/** Some policies find out only here that their settings cannot work. */
function checkCreation(input: CheckInput, findings: Finding[]): void {
  const { document, policies } = input
  const byName = new Map(policies.map((policy) => [policy.name, policy]))
  const consumers = compileConsumers(document)
  for (const { use, routeId, path } of input.uses()) {
    const definition = byName.get(use.policy)
    if (definition === undefined) continue
    const environment = inertEnvironment({
      route: { id: routeId },
      stage: { id: use.id },
      consumers,
    })
    try {
      definition.create(use.settings, environment).dispose?.()
    } catch (error) {
      findings.push(
        errorAt(
          path,
          `the policy "${use.policy}" refuses its settings: ${(error as Error).message}`,
        ),
      )
    } finally {
      environment.dispose()
    }
  }
}

function checkNames(input: CheckInput, findings: Finding[]): void {
  const used = new Set(usePaths(input).map((path) => input.written(path)))
  for (const name of input.keys(['policies'])) {
    if (used.has(name)) continue
    findings.push(warningAt(['policies', name], `nothing uses the policy "${name}"`, { at: 'key' }))
  }
}
