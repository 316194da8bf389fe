// Sets, adds and removes headers of requests and responses, with values from the exchange.
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
  return z
    .strictObject({
      set: z
        .record(z.string(), value)
        .default({})
        .describe('Headers by name, in place of those that are there. An absent value removes.'),
      add: z
        .record(z.string(), z.union([value, z.array(value).min(1)]))
        .default({})
        .describe('Headers by name, beside those that are there; several values as a list.'),
      remove: z.array(z.string()).default([]).describe('Names of headers to take away.'),
    })
    .superRefine(({ set, add, remove }, ctx) => {
      const seen = new Set<string>()
      const check = (name: string, path: PropertyKey[], isOnce: boolean) => {
        const message = nameProblem(name, side, isOnce ? seen : null)
        if (message !== null) ctx.addIssue({ code: 'custom', path, message })
      }
      for (const name of Object.keys(set)) check(name, ['set', name], true)
      for (const [index, name] of remove.entries()) check(name, ['remove', index], true)
      // Removing what the service sent and adding one's own is a thing people want.
      for (const name of Object.keys(add)) check(name, ['add', name], false)
    })
}

/** What is wrong with a header's name, or null; names that are `seen` must not come again. */
function nameProblem(
  name: string,
  side: 'request' | 'response',
  seen: Set<string> | null,
): string | null {
  if (!fieldName().safeParse(name).success) return 'this is not a valid header name'
  if (isProtectedField(name, side)) return `the gateway itself writes this header of the ${side}`
  const lowerName = name.toLowerCase()
  if (seen?.has(lowerName)) return `"${name}" is set or removed twice`
  seen?.add(lowerName)
  return null
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
