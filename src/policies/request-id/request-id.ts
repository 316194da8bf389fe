// Gives every request an id that the service, the client and the logs see alike.
import { z } from 'zod'
import { randomHex, uuidV7 } from '../../observability/random-id.ts'
import { definePolicy } from '../../proxy/pipeline/policy.ts'
import { fieldName, isProtectedField } from '../field.ts'

const LENGTH_MAX = 128

const settings = z.strictObject({
  header: fieldName()
    .refine((name) => !isProtectedField(name, 'request') && !isProtectedField(name, 'response'), {
      error: 'the gateway itself writes this header; choose another',
    })
    .default('x-request-id')
    .describe('The header that carries the id, in both directions.'),
  trust: z
    .boolean()
    .default(false)
    .describe(
      'Keep the id that a request brings, if it is 1 to 128 letters, digits or `-._~+/=:@`. Only ' +
        'for gateways whose clients are themselves trusted.',
    ),
  format: z
    .enum(['uuid', 'hex'])
    .default('uuid')
    .describe('New ids: `uuid` is a version 7 UUID, in order of time; `hex` is 32 random digits.'),
  respond: z.boolean().default(true).describe('Whether the response carries the id as well.'),
})

export const requestId = definePolicy({
  name: 'request-id',
  summary: 'Gives every request an id and passes it on.',
  settings,
  provides: ['request-id'],
  examples: [{}, { header: 'x-correlation-id', trust: true, format: 'hex', respond: false }],
  create({ header, trust, format, respond }, environment) {
    const lowerName = header.toLowerCase()
    const { clock } = environment
    const isUuid = format === 'uuid'
    return {
      onRequest(exchange) {
        const received = trust ? exchange.requestHeader(lowerName) : null
        if (received !== null && isUsable(received)) {
          exchange.requestId = received
          return
        }
        const id = isUuid ? uuidV7(clock.wallTime()) : randomHex(16)
        exchange.requestId = id
        exchange.setRequestHeader(header, id)
      },
      ...(respond && {
        onResponse(exchange) {
          if (exchange.requestId !== null) exchange.setResponseHeader(header, exchange.requestId)
        },
      }),
    }
  },
})

/** Letters, digits and `-._~+/=:@`, which need no quoting in a log, a header or a URL's path. */
function isUsable(id: string): boolean {
  if (id.length === 0 || id.length > LENGTH_MAX) return false
  for (let index = 0; index < id.length; index++) {
    const code = id.charCodeAt(index)
    const isLetter = (code | 0x20) >= 0x61 && (code | 0x20) <= 0x7a
    // '-' '.' '/' and digits to ':' are neighbours: 0x2d to 0x3a.
    const isDigitOrMark = code >= 0x2d && code <= 0x3a
    const isOther =
      code === 0x2b || code === 0x3d || code === 0x40 || code === 0x5f || code === 0x7e
    if (!isLetter && !isDigitOrMark && !isOther) return false
  }
  return true
}
