// What every policy must hold to, those of others included: `policyProblems(definition)` says where
// one does not. Needs no test runner, so that any can be used.
import { z } from 'zod'
import { inertEnvironment } from '../proxy/pipeline/inert-environment.ts'
import type { PolicyDefinition, PolicyHooks } from '../proxy/pipeline/policy.ts'

const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/
const SENTENCE = /^[A-Z`][^\n]*\.$/
const HOOKS = new Set([
  'onRequest',
  'onForward',
  'onResponse',
  'onRequestBody',
  'onResponseBody',
  'onFinish',
  'dispose',
])
const UNKNOWN_SETTING = 'noSuchSetting'

/** A node of a JSON Schema, as far as it is looked at here. */
interface SchemaNode {
  readonly description?: string
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly additionalProperties?: unknown
}

/** Everything in which a policy breaks the contract, a sentence each; empty when it holds. */
export function policyProblems(definition: PolicyDefinition): string[] {
  const problems: string[] = []
  if (!NAME.test(definition.name)) {
    problems.push(`the name "${definition.name}" must be lower case with single dashes`)
  }
  if (!SENTENCE.test(definition.summary)) {
    problems.push('the summary must be one sentence, with a capital and a full stop')
  }
  problems.push(...schemaProblems(definition))
  if (definition.examples.length === 0) problems.push('there must be an example')
  for (const [index, example] of definition.examples.entries()) {
    for (const found of exampleProblems(definition, example)) {
      problems.push(`example ${index + 1}: ${found}`)
    }
  }
  return problems
}

function schemaProblems({ settings }: PolicyDefinition): string[] {
  let root: SchemaNode
  try {
    root = z.toJSONSchema(settings, { io: 'input' }) as SchemaNode
  } catch (error) {
    return [`the settings have no JSON Schema: ${(error as Error).message}`]
  }
  if (root.properties === undefined) return ['the settings must be an object']
  return nodeProblems(root, '')
}

/** Every setting at every depth is described, and no other one is taken. */
function nodeProblems(node: SchemaNode, path: string): string[] {
  const problems: string[] = []
  if (node.additionalProperties !== false) {
    problems.push(`${path === '' ? 'the settings' : path} must refuse unknown keys (strictObject)`)
  }
  for (const [name, setting] of Object.entries(node.properties ?? {})) {
    const place = path === '' ? name : `${path}.${name}`
    if (setting.description === undefined)
      problems.push(`the setting "${place}" has no description`)
    if (setting.properties !== undefined) problems.push(...nodeProblems(setting, place))
  }
  return problems
}

function exampleProblems(definition: PolicyDefinition, example: unknown): string[] {
  const parsed = definition.settings.safeParse(example)
  if (!parsed.success) return [`it is refused: ${parsed.error.issues[0]!.message}`]
  if (typeof example !== 'object' || example === null) return ['it must be an object']
  if (definition.settings.safeParse({ ...example, [UNKNOWN_SETTING]: 1 }).success) {
    return ['an unknown setting beside it is not refused']
  }
  try {
    return createProblems(definition, deepFreeze(parsed.data))
  } catch (error) {
    return [`create fails: ${(error as Error).message}`]
  }
}

function createProblems(definition: PolicyDefinition, settings: unknown): string[] {
  const before = process.getActiveResourcesInfo().length
  const first = new Slots()
  const second = new Slots()
  const hooks = definition.create(settings, first.environment)
  const others = definition.create(settings, second.environment)
  const problems = hookProblems(definition, hooks)
  if (hooks === others) problems.push('create must make hooks of its own for every route')
  if (first.count !== second.count) problems.push('create reserves other slots the second time')
  for (const made of [hooks, others]) {
    made.dispose?.()
    made.dispose?.()
  }
  first.environment.dispose()
  second.environment.dispose()
  if (process.getActiveResourcesInfo().length > before) {
    problems.push('dispose leaves a timer or another resource of create behind')
  }
  return problems
}

function hookProblems({ body }: PolicyDefinition, hooks: PolicyHooks): string[] {
  const problems: string[] = []
  for (const [name, hook] of Object.entries(hooks)) {
    if (!HOOKS.has(name)) problems.push(`"${name}" is not a hook`)
    else if (typeof hook !== 'function') problems.push(`the hook ${name} is not a function`)
  }
  if (hooks.onRequestBody !== undefined && body?.request === undefined) {
    problems.push('onRequestBody needs `body: { request: ... }` in the definition')
  }
  if (hooks.onResponseBody !== undefined && body?.response === undefined) {
    problems.push('onResponseBody needs `body: { response: ... }` in the definition')
  }
  return problems
}

/** An environment that counts the slots it hands out. */
class Slots {
  count = 0
  readonly environment = inertEnvironment({ slot: () => this.count++ })
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const part of Object.values(value)) deepFreeze(part)
  }
  return value
}
