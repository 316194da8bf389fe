// Refuses request bodies that are longer than a route wants to see.
import { z } from 'zod'
import { byteSize, formatByteSize } from '../../lib/units.ts'
import { definePolicy } from '../../proxy/pipeline/policy.ts'

const settings = z.strictObject({
  max: byteSize().prefault('1mb').describe('The longest request body that may pass.'),
})

export const bodyLimit = definePolicy({
  name: 'body-limit',
  summary: 'Refuses request bodies that are too long, with 413.',
  settings,
  body: { request: 'observe' },
  examples: [{}, { max: '64kb' }],
  create({ max }, environment) {
    const slot = environment.slot()
    const tooLarge = environment.problem('body_too_large', {
      detail: `The request body may have at most ${formatByteSize(max)}.`,
    })
    return {
      onRequest(exchange) {
        if (exchange.requestContentLength > max) return tooLarge
      },
      onRequestBody(exchange, chunk) {
        if (chunk === null) return chunk
        const before = exchange.slots[slot]
        const total = (typeof before === 'number' ? before : 0) + chunk.length
        exchange.slots[slot] = total
        return total > max ? tooLarge : chunk
      },
    }
  },
})
