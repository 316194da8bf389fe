// Sets, adds and removes headers of requests and responses, with values from the exchange.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the examples hold templates of our own
import { z } from 'zod'
import { definePolicy, type PolicyHooks } from '../../proxy/pipeline/policy.ts'
import { compileValueTemplate } from '../../proxy/pipeline/value-template.ts'
import { fieldName, isProtectedField } from '../field.ts'
import { HeaderEdits } from './header-edits.ts'

/** A value, checked by compiling it. */
const value = z
  .string()
  .min(1, 'a value is needed; to take a header away, use `remove`')
  .superRefine((text, ctx) => {
    try {
      compileValueTemplate(text)
    } catch (error) {
      ctx.addIssue({ code: 'custom', message: (error as Error).message })
    }
  })

function edits(side: 'request' | 'response') {
  const name = fieldName().refine((text) => !isProtectedField(text, side), {
    error: `the gateway itself writes this header of the ${side}`,
  })
  return z
    .strictObject({
      set: z
        .record(name, value)
        .default({})
        .describe('Headers by name, in place of those that are there. An absent value removes.'),
      add: z
        .record(name, z.union([value, z.array(value).min(1)]))
        .default({})
        .describe('Headers by name, beside those that are there; several values as a list.'),
      remove: z.array(name).default([]).describe('Names of headers to take away.'),
    })
    .superRefine(({ set, add, remove }, ctx) => {
      const seen = new Set<string>()
      for (const [verb, names] of [
        ['set', Object.keys(set)],
        ['remove', remove],
        ['add', Object.keys(add)],
      ] as const) {
        for (const [index, written] of names.entries()) {
          const lower = written.toLowerCase()
          // Removing what the service sent and adding one's own is a thing people want.
          const isTwice = verb === 'add' ? false : seen.has(lower)
          if (verb !== 'add') seen.add(lower)
          if (!isTwice) continue
          ctx.addIssue({
            code: 'custom',
            path: [verb, verb === 'remove' ? index : written],
            message: `"${written}" is set or removed twice`,
          })
        }
      }
    })
}

const settings = z.strictObject({
  request: edits('request').optional().describe('What to change in the request that is forwarded.'),
  response: edits('response').optional().describe('What to change in the response.'),
})

export const headers = definePolicy({
  name: 'headers',
  summary: 'Sets, adds and removes headers of requests and responses.',
  settings,
  examples: [
    {},
    { response: { remove: ['x-powered-by'], set: { 'x-content-type-options': 'nosniff' } } },
    {
      request: {
        set: { 'x-user': '${consumer.id}', 'x-client': '${client.ip}' },
        add: { 'x-tag': ['gatehouse', '${route.id}'] },
        remove: ['x-debug'],
      },
    },
  ],
  create({ request, response }) {
    const hooks: PolicyHooks = {}
    if (request !== undefined) {
      const change = new HeaderEdits(request)
      hooks.onRequest = (exchange) => change.applyToRequest(exchange)
    }
    if (response !== undefined) {
      const change = new HeaderEdits(response)
      hooks.onResponse = (exchange) => change.applyToResponse(exchange)
    }
    return hooks
  },
})
