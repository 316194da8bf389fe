import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { z } from 'zod'
import { policies } from '../policies/registry.ts'
import { documentJsonSchema, type JsonSchema } from './json-schema.ts'

const schema = documentJsonSchema(policies)
const validator = z.fromJSONSchema(schema as z.core.JSONSchema.JSONSchema)
const accepts = (document: unknown) => validator.safeParse(document).success
const base = { listen: 'http://127.0.0.1:1', routes: [{ respond: {} }] }

describe('the JSON Schema', () => {
  test('accepts what the gateway accepts', () => {
    assert.ok(accepts(base))
    assert.ok(accepts({ ...base, use: ['request-id', { cors: { origins: '*' }, when: 'true' }] }))
  })

  test('accepts a reference where not every text would do', () => {
    assert.ok(
      accepts({ ...base, threads: '${env:THREADS:-auto}', drain: { timeout: '${env:DRAIN}' } }),
    )
  })

  for (const [title, wrong] of [
    ['a key that does not exist', { ...base, polices: {} }],
    [
      'a key that does not exist in a service',
      { ...base, services: { a: { url: 'http://a', tiemout: '1s' } } },
    ],
    [
      'a key that does not exist in a match',
      { ...base, routes: [{ match: { pth: '/' }, respond: {} }] },
    ],
    ['a policy that does not exist', { ...base, use: [{ corz: {} }] }],
    ['a wrong setting of a policy', { ...base, use: [{ 'body-limit': { mx: '1kb' } }] }],
    ['a duration without a unit', { ...base, drain: { timeout: 5 } }],
    ['a value outside a choice', { ...base, log: { level: 'loud' } }],
    ['no routes', { listen: 'http://127.0.0.1:1' }],
  ] as const) {
    test(`rejects ${title}`, () => assert.ok(!accepts(wrong)))
  }

  test('describes every setting', () => {
    const silent: string[] = []
    const visit = (node: JsonSchema, path: string) => {
      for (const [name, property] of Object.entries(node.properties ?? {})) {
        if (!property.description) silent.push(`${path}.${name}`)
        visit(property, `${path}.${name}`)
      }
      for (const branch of node.anyOf ?? []) visit(branch, path)
      if (node.items !== undefined) visit(node.items, `${path}[]`)
      const { additionalProperties: named } = node
      if (typeof named === 'object') visit(named as JsonSchema, `${path}.NAME`)
    }
    visit(schema, '')
    visit((schema.$defs as Record<string, JsonSchema>).use!, 'use')
    assert.deepEqual(silent, [])
  })
})
