// Refuses the requests for which an expression holds.
import { z } from 'zod'
import { compileCondition } from '../../proxy/pipeline/condition.ts'
import { definePolicy } from '../../proxy/pipeline/policy.ts'
import { Reply } from '../../proxy/pipeline/reply.ts'

const expression = z
  .string()
  .min(1, 'expected a CEL expression')
  .superRefine((text, ctx) => {
    try {
      compileCondition(text)
    } catch (error) {
      ctx.addIssue({
        code: 'custom',
        message: `the expression is not valid: ${(error as Error).message}`,
      })
    }
  })

const settings = z.strictObject({
  if: expression.describe(
    'A CEL expression over the request; where it holds, the request ends here.',
  ),
  status: z.int().min(400).max(499).default(403).describe('The status of the answer, 400 to 499.'),
  detail: z
    .string()
    .min(1)
    .max(500)
    .optional()
    .describe('One sentence that the answer gives as its detail.'),
})

export const block = definePolicy({
  name: 'block',
  summary: 'Refuses the requests for which an expression holds.',
  settings,
  examples: [
    { if: "request.path.startsWith('/admin')" },
    { if: "request.headers['user-agent'] == ''", status: 400, detail: 'Say who you are.' },
  ],
  create({ if: source, status, detail }, environment) {
    const { log, problem, route, stage } = environment
    const condition = compileCondition(source, {
      onFailure: (reason) =>
        log.warn(
          { route: route.id, policy: stage.id, reason },
          'the expression of a block could not be evaluated; the request is refused',
        ),
    })
    const { fieldLines, body, code } = problem('blocked', {
      ...(detail !== undefined && { detail }),
      extensions: { status },
    })
    const refusal = new Reply(status, fieldLines, body, code)
    return {
      onRequest(exchange) {
        if (condition.test(exchange)) return refusal
      },
    }
  },
})
