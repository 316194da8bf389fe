// Refuses requests that do not have the form their schemas describe, before any of them is forwarded.
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { byteSize } from '../../lib/units.ts'
import { definePolicy, type PolicyEnvironment } from '../../proxy/pipeline/policy.ts'
import { BodyCheck } from './body-check.ts'
import { ParameterCheck } from './parameter-check.ts'
import { CompiledSchema, type WrittenSchema } from './schemas.ts'

/** What compiling one schema may cost. */
const SCHEMA_LENGTH_MAX = 262_144

const schema = z.record(z.string(), z.unknown()).superRefine((written, ctx) => {
  if (JSON.stringify(written).length > SCHEMA_LENGTH_MAX) {
    ctx.addIssue({
      code: 'custom',
      message: `the schema is longer than ${SCHEMA_LENGTH_MAX} characters`,
    })
  }
})

const settings = z
  .strictObject({
    body: schema.optional().describe('A JSON Schema (2020-12) for the body, which must be JSON.'),
    path: schema.optional().describe("A schema for an object of the path's parameters."),
    query: schema.optional().describe("A schema for an object of the query's parameters."),
    headers: schema
      .optional()
      .describe('A schema for an object of header fields, by their names in lower case.'),
    bodyMax: byteSize({ min: 1, max: 64 * 1024 * 1024 })
      .prefault('1mb')
      .describe('The longest body that may come; it is held in memory.'),
    depthMax: z
      .int()
      .min(1)
      .max(256)
      .default(32)
      .describe('How deep objects and arrays of the body may be nested.'),
    membersMax: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(10_000)
      .describe('How many members and items the body may have in all, and the query parameters.'),
  })
  .superRefine(({ body, path, query, headers }, ctx) => {
    if (body ?? path ?? query ?? headers) return
    ctx.addIssue({
      code: 'custom',
      message: 'give a schema: for the `body`, the `path`, the `query` or the `headers`',
    })
  })

export const validate = definePolicy({
  name: 'validate',
  summary: 'Refuses requests whose body or parameters do not fit a JSON Schema.',
  settings,
  body: { request: { buffer: ({ body, bodyMax }) => (body === undefined ? 0 : bodyMax) } },
  examples: [
    {
      body: {
        type: 'object',
        required: ['sku', 'count'],
        properties: {
          sku: { type: 'string', pattern: '^[A-Z]{2}[0-9]{4}$' },
          count: { type: 'integer', minimum: 1 },
        },
        additionalProperties: false,
      },
      bodyMax: '64kb',
    },
    {
      path: { type: 'object', properties: { id: { type: 'integer' } } },
      query: {
        type: 'object',
        properties: {
          page: { type: 'integer', minimum: 1 },
          tag: { type: 'array', items: { type: 'string' }, maxItems: 5 },
        },
        additionalProperties: false,
      },
      headers: { type: 'object', required: ['idempotency-key'] },
    },
  ],
  create(written, environment) {
    const { body, path, query, headers, membersMax } = written
    const parameters =
      path === undefined && query === undefined && headers === undefined
        ? null
        : new ParameterCheck(
            checkOf(path, environment),
            checkOf(query, environment),
            checkOf(headers, environment),
            membersMax,
            environment,
          )
    if (body === undefined) {
      return { onRequest: (exchange) => parameters?.verdict(exchange) }
    }
    const check = new BodyCheck(compiled(body, environment), written, environment)
    return {
      onRequest: (exchange) => parameters?.verdict(exchange) ?? check.head(exchange),
      onRequestBody: (exchange, chunk) => check.body(exchange, chunk),
    }
  },
})

/** A schema with what it was compiled from; null where there is none. */
function checkOf(written: WrittenSchema | undefined, environment: PolicyEnvironment) {
  return written === undefined ? null : { written, schema: compiled(written, environment) }
}

function compiled(written: WrittenSchema, environment: PolicyEnvironment): CompiledSchema {
  const key = createHash('sha256').update(JSON.stringify(written)).digest('base64url')
  return environment.keep(key, () => new CompiledSchema(written))
}
