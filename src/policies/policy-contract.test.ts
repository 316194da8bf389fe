import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { z } from 'zod'
import { definePolicy, type PolicyDefinition } from '../proxy/pipeline/policy.ts'
import { policyProblems } from './policy-contract.ts'
import { policies } from './registry.ts'

const folder = new URL('./', import.meta.url)

describe('every policy', () => {
  for (const policy of policies) {
    test(`${policy.name} holds to the contract`, () => {
      assert.deepEqual(policyProblems(policy), [])
    })

    test(`${policy.name} has its page, with room for its settings`, () => {
      const page = readFileSync(new URL(`${policy.name}/${policy.name}.md`, folder), 'utf8')
      assert.ok(page.startsWith(`# ${policy.name}\n`))
      assert.ok(page.includes(policy.summary))
      assert.match(
        page,
        /\n## Settings\n\n<!-- settings: generated [^\n]*-->\n[\s\S]*<!-- \/settings -->\n/,
      )
    })
  }

  test('is in the registry, once', () => {
    const folders = readdirSync(folder, { withFileTypes: true }).filter((entry) =>
      entry.isDirectory(),
    )
    const names = policies.map((policy) => policy.name)
    assert.deepEqual([...names].sort(), folders.map((entry) => entry.name).sort())
  })
})

const good = {
  name: 'good-one',
  summary: 'Does good.',
  settings: z.strictObject({ much: z.number().default(1).describe('How much.') }),
  examples: [{}],
  create: () => ({ onRequest() {} }),
}

describe('the contract finds', () => {
  for (const [what, changes, found] of [
    ['nothing in a good policy', {}, []],
    ['a bad name', { name: 'Good_One' }, [/must be lower case/]],
    ['a bad summary', { summary: 'does good' }, [/one sentence/]],
    [
      'settings that are no object',
      { settings: z.string(), examples: ['x'] },
      [/must be an object/, /example 1: it must be an object/],
    ],
    [
      'settings that take anything',
      { settings: z.object({ much: z.number().default(1).describe('How much.') }) },
      [/must refuse unknown keys/, /unknown setting beside it is not refused/],
    ],
    [
      'settings without a description, at any depth',
      { settings: z.strictObject({ a: z.strictObject({ b: z.string().optional() }).optional() }) },
      [/"a" has no description/, /"a.b" has no description/],
    ],
    [
      'settings without a JSON Schema',
      { settings: z.strictObject({ a: z.date().optional() }) },
      [/no JSON Schema/],
    ],
    ['no examples', { examples: [] }, [/must be an example/]],
    ['an example that is refused', { examples: [{ much: 'x' }] }, [/example 1: it is refused/]],
    [
      'a create that throws',
      {
        create: () => {
          throw new Error('no')
        },
      },
      [/example 1: create fails: no/],
    ],
    [
      'a create that changes its settings',
      {
        create: (settings: { much: number }) => {
          settings.much = 2
          return {}
        },
      },
      [/create fails: Cannot assign to read only property/],
    ],
    [
      'something that is no hook',
      { create: () => ({ onReqest() {} }) },
      [/"onReqest" is not a hook/],
    ],
    [
      'a hook that is no function',
      { create: () => ({ onRequest: 1 }) },
      [/onRequest is not a function/],
    ],
    [
      'a body that was not declared',
      { create: () => ({ onRequestBody: () => null, onResponseBody: () => null }) },
      [/body: \{ request/, /body: \{ response/],
    ],
    [
      'hooks that are shared',
      {
        create: (
          (hooks) => () =>
            hooks
        )({}),
      },
      [/hooks of its own/],
    ],
    [
      'a dispose that cannot be called twice',
      {
        create: () => {
          let timer: object | null = {}
          return {
            dispose() {
              if (timer === null) throw new Error('disposed twice')
              timer = null
            },
          }
        },
      },
      [/create fails: disposed twice/],
    ],
  ] as const) {
    test(what, () => {
      const policy = definePolicy({ ...good, ...changes } as PolicyDefinition)
      const problems = policyProblems(policy)
      assert.equal(problems.length, found.length, problems.join('\n'))
      for (const [index, problem] of problems.entries()) assert.match(problem, found[index]!)
    })
  }

  test('a timer that is left behind', () => {
    const timers: NodeJS.Timeout[] = []
    const policy = definePolicy({
      ...good,
      create() {
        timers.push(setInterval(() => {}, 1_000_000))
        return {}
      },
    } as PolicyDefinition)
    assert.match(policyProblems(policy)[0]!, /leaves a timer/)
    for (const timer of timers) clearInterval(timer)
  })
})
