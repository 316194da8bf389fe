// A policy of your own: stamps requests with the time they came in, and responses with how long they
// took. In a project of your own the import is from 'gatehouse'.
import { z } from 'zod'
import { definePolicy } from '../../src/index.ts'

export default definePolicy({
  name: 'stamp',
  summary: 'Stamps requests with the time they came in, and responses with how long they took.',
  settings: z.strictObject({
    header: z
      .string()
      .regex(/^[A-Za-z0-9-]+$/, 'expected a header name')
      .default('x-stamp')
      .describe('The header that carries the stamp, in both directions.'),
    label: z
      .string()
      .regex(/^[\x21-\x7e]*$/, 'expected visible ASCII')
      .default('gatehouse')
      .describe('What stands before the time.'),
    once: z
      .boolean()
      .default(false)
      .describe('Refuse requests that carry a stamp already, for they have been here before.'),
  }),
  examples: [{}, { header: 'x-seen-by', label: 'edge-1', once: true }],

  // Runs once per route when a configuration is applied. Everything that can be prepared is prepared
  // here, so that the hooks below have little left to do.
  create({ header, label, once }, environment) {
    const { clock } = environment
    const lowerName = header.toLowerCase()
    const begun = environment.slot()
    const refusal = environment.problem('loop_detected', {
      detail: `The request carries ${header} already.`,
    })
    return {
      onRequest(exchange) {
        if (once && exchange.requestHeader(lowerName) !== null) return refusal
        exchange.slots[begun] = clock.now()
        exchange.setRequestHeader(header, `${label} ${new Date(clock.wallTime()).toISOString()}`)
      },
      onResponse(exchange) {
        // Also runs for the refusal above, which never began.
        const start = exchange.slots[begun]
        if (typeof start !== 'number') return
        exchange.setResponseHeader(header, `${label} ${(clock.now() - start).toFixed(1)}ms`)
      },
    }
  },
})
