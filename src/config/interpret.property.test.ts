import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { propertyOptions } from '../../test/support/property.ts'
import { policies } from '../policies/registry.ts'
import { interpret } from './interpret.ts'

const VALID = {
  listen: [{ url: 'http://127.0.0.1:0', limits: { headers: 5 }, trustedProxies: ['::1'] }],
  services: {
    a: 'http://127.0.0.1:1',
    b: {
      endpoints: ['http://127.0.0.1:2', { url: 'http://127.0.0.1:3', weight: 2 }],
      balance: { hash: { by: 'header', name: 'x' } },
      sticky: { secret: '0123456789abcdef0123456789abcdef' },
      timeouts: { connect: '1s' },
    },
  },
  policies: { p: { 'body-limit': { max: '1kb' }, when: 'true' } },
  use: ['request-id'],
  routes: [
    {
      path: '/a/*',
      headers: { x: { prefix: 'y' } },
      use: ['p'],
      rewrite: { prefix: '/b' },
      to: 'a',
    },
    { match: { path: '/b/{id}', methods: ['GET'] }, to: [{ service: 'b', weight: 1 }] },
    { path: '/c', redirect: { to: '/d', status: 301 } },
    { path: '/d', respond: { json: { a: [1] } } },
  ],
  admin: { listen: 'http://127.0.0.1:9901' },
}

type Path = readonly (string | number)[]

function pathsOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path]
  return [path, ...Object.entries(value).flatMap(([key, item]) => pathsOf(item, [...path, key]))]
}

function replace(value: unknown, [key, ...rest]: Path, by: unknown): unknown {
  if (key === undefined) return by
  const copy = structuredClone(value) as Record<string, unknown>
  copy[key] = replace(copy[key], rest, by)
  return copy
}

const options = { directory: '/', env: {}, policies, isText: true }
const replacement = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom('${env:X}', '${x:', '/a/{', '*', '~ (', '__proto__', 'p', 'constructor'),
)

test('whatever stands in whichever place, there is a document or an error, and never an exception', async () => {
  assert.deepEqual(
    (await interpret(VALID, options)).findings.filter(({ severity }) => severity === 'error'),
    [],
  )
  const change = fc.tuple(fc.constantFrom(...pathsOf(VALID)), replacement)
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
      let data: unknown = VALID
      for (const [path, by] of changes) {
        try {
          data = replace(data, path, by)
        } catch {
          // An earlier change took away what this one was to be in.
        }
      }
      const { document, findings } = await interpret(data, options)
      const hasError = findings.some(({ severity }) => severity === 'error')
      assert.equal(document === null, hasError)
    }),
    propertyOptions(100),
  )
})
