// Authorisation: what a caller must be, have or ask for. It never finds out who calls.
import { z } from 'zod'
import { definePolicy } from '../../proxy/pipeline/policy.ts'
import { mentionsConsumer, Requirement } from './requirement.ts'

const token = z
  .string()
  .regex(/^[!#-[\]-~]{1,256}$/, 'a scope is visible ASCII without spaces, quotes and backslashes')
const scalar = z.union([z.string(), z.number(), z.boolean()])

const settings = z
  .strictObject({
    scopes: z
      .array(token)
      .min(1)
      .optional()
      .describe('Scopes of the token (`scope` or `scp`) that must all be there.'),
    groups: z
      .array(z.string().min(1))
      .min(1)
      .optional()
      .describe('Groups of which the caller must be in one.'),
    consumers: z
      .array(z.string().min(1))
      .min(1)
      .optional()
      .describe('Ids of which the caller must have one.'),
    claims: z
      .record(
        z.string().min(1),
        z.union([scalar.transform((value) => [value]), z.array(scalar).min(1)]),
      )
      .optional()
      .describe(
        'Claims of the token that must all fit: a value, or a list of which one is enough. Of a claim that is a list, one item is enough.',
      ),
    expression: z
      .string()
      .min(1)
      .optional()
      .describe('A CEL expression that must hold; what cannot be evaluated does not.'),
  })
  .superRefine((value, ctx) => {
    if (Object.values(value).every((part) => part === undefined)) {
      ctx.addIssue({
        code: 'custom',
        message:
          'nothing is required; name `scopes`, `groups`, `consumers`, `claims` or `expression`',
      })
    }
  })
  .transform(({ scopes = [], groups = [], consumers = [], claims = {}, expression = null }) => ({
    scopes,
    groups,
    consumers,
    claims,
    expression,
  }))

export const require = definePolicy({
  name: 'require',
  summary: 'Lets through only callers that may do this.',
  settings,
  needs: ['consumer'],
  needsWith: (written) => (needsConsumer(written) ? ['consumer'] : []),
  examples: [
    { scopes: ['orders:read'] },
    { groups: ['staff', 'support'], claims: { tenant: 'shop', plan: ['pro', 'team'] } },
    { consumers: ['billing'] },
    { expression: "request.method == 'GET' || 'staff' in consumer.groups" },
  ],
  create(written, environment) {
    const requirement = new Requirement(written, needsConsumer(written), environment)
    return { onRequest: (exchange) => requirement.check(exchange) }
  },
})

function needsConsumer({ scopes, groups, consumers, claims, expression }: Settings): boolean {
  const listed = scopes.length + groups.length + consumers.length + Object.keys(claims).length
  return listed > 0 || (expression !== null && mentionsConsumer(expression))
}

type Settings = z.output<typeof settings>
