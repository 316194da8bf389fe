// Cross-origin resource sharing (the Fetch standard, "CORS protocol"): answers preflights itself and
// says in every response which origins may read it.
import { z } from 'zod'
import { durationMs } from '../../lib/units.ts'
import { definePolicy } from '../../proxy/pipeline/policy.ts'
import { fieldName } from '../field.ts'
import { origin } from '../origins.ts'
import { CorsAnswer } from './cors-answer.ts'

const settings = z
  .strictObject({
    origins: z
      .union([z.literal('*'), z.array(origin()).min(1)], {
        error: 'expected "*" or a list of origins like https://shop.example',
      })
      .describe(
        'Who may call: a list of origins, `https://*.shop.example` for subdomains, or `*`.',
      ),
    methods: z
      .array(z.string().regex(/^[A-Z][A-Z-]*$/, 'expected a method in upper case, like GET'))
      .min(1)
      .default(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'])
      .describe('The methods that may be used.'),
    headers: z
      .union([z.literal('*'), z.array(fieldName())], {
        error: 'expected "*" or a list of header names',
      })
      .default('*')
      .describe('The request headers that may be used; `*` allows whichever are asked for.'),
    expose: z
      .union([z.literal('*'), z.array(fieldName())], {
        error: 'expected "*" or a list of header names',
      })
      .default([])
      .describe('The response headers that scripts may read beside the few that they always may.'),
    credentials: z
      .boolean()
      .default(false)
      .describe(
        'Whether cookies and authorization may be sent. Never together with `origins: "*"`.',
      ),
    maxAge: durationMs()
      .prefault('10m')
      .describe('How long a browser may remember the answer to a preflight.'),
    privateNetwork: z
      .boolean()
      .default(false)
      .describe(
        'Whether public pages may call this API in a private network. Never with `origins: "*"`.',
      ),
  })
  .superRefine(({ origins, expose, credentials, privateNetwork }, ctx) => {
    if (credentials && origins === '*') {
      ctx.addIssue({
        code: 'custom',
        path: ['credentials'],
        message:
          'credentials for every origin would let any page act as its visitor; list the origins',
      })
    }
    if (privateNetwork && origins === '*') {
      ctx.addIssue({
        code: 'custom',
        path: ['privateNetwork'],
        message:
          'a private network open to every origin would be open to any page; list the origins',
      })
    }
    if (credentials && expose === '*') {
      ctx.addIssue({
        code: 'custom',
        path: ['expose'],
        message: 'with credentials browsers take "*" for the name of a header; list the headers',
      })
    }
  })

export const cors = definePolicy({
  name: 'cors',
  summary: 'Lets pages of other origins call the API, and answers their preflights.',
  settings,
  examples: [
    { origins: '*' },
    { origins: ['https://shop.example', 'https://*.shop.example'], credentials: true },
    {
      origins: ['http://localhost:3000'],
      methods: ['GET', 'POST'],
      headers: ['content-type', 'authorization'],
      expose: ['x-request-id'],
      maxAge: '1h',
      privateNetwork: true,
    },
  ],
  create(written, environment) {
    const slot = environment.slot()
    const answer = new CorsAnswer(written, environment)
    return {
      onRequest(exchange) {
        const origin = exchange.requestHeader('origin')
        exchange.slots[slot] = origin
        if (origin === null || exchange.method !== 'OPTIONS') return
        if (exchange.requestHeader('access-control-request-method') === null) return
        exchange.slots[slot] = PREFLIGHT
        return answer.preflight(origin, exchange)
      },
      onResponse(exchange) {
        const origin = exchange.slots[slot]
        // The answer to a preflight is complete as it is.
        if (origin !== PREFLIGHT) answer.share(typeof origin === 'string' ? origin : null, exchange)
      },
    }
  },
})

/** In place of the origin, once a preflight is answered. */
const PREFLIGHT = Symbol('preflight')
