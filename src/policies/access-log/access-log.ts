// Writes one line of JSON about every exchange when it is over.
import { z } from 'zod'
import { durationMs } from '../../lib/units.ts'
import { jsonText } from '../../observability/json-text.ts'
import { definePolicy } from '../../proxy/pipeline/policy.ts'
import { fieldName, looksSecret } from '../field.ts'
import { AccessLine } from './access-line.ts'

const STATUS_COUNT = 600

const STATUS_EXPECTED = 'expected a status like 404, or a class like 5xx'
const status = z.union(
  [
    z.int({ error: STATUS_EXPECTED }).min(100, STATUS_EXPECTED).max(599, STATUS_EXPECTED),
    z.string().regex(/^[1-5]xx$/, STATUS_EXPECTED),
  ],
  { error: STATUS_EXPECTED },
)

const settings = z.strictObject({
  sample: z
    .number()
    .min(0)
    .max(1)
    .default(1)
    .describe('The share of the exchanges that is written, from 0 to 1, chosen at random.'),
  statuses: z
    .array(status)
    .min(1)
    .optional()
    .describe('Only exchanges with one of these statuses: `404`, or a class like `5xx`.'),
  slowerThan: durationMs()
    .optional()
    .describe('Only exchanges that took at least this long. With `statuses`, either suffices.'),
  query: z
    .boolean()
    .default(false)
    .describe('Write the query too; values whose names look secret (`token`, `code`) are masked.'),
  headers: z
    .array(
      fieldName().refine((name) => !looksSecret(name), {
        error: 'this header carries secrets, which do not belong in a log',
      }),
    )
    .max(32)
    .default([])
    .describe('Request headers to write, by name. Those that carry secrets are refused.'),
})

export const accessLog = definePolicy({
  name: 'access-log',
  summary: 'Writes one line of JSON about every exchange to standard output.',
  settings,
  examples: [
    {},
    { sample: 0.01, statuses: ['2xx', '3xx'] },
    { statuses: ['5xx', 429], slowerThan: '1s', query: true, headers: ['accept-language'] },
  ],
  create({ sample, statuses, slowerThan, query, headers }, environment) {
    const { log } = environment
    const isChosenStatus = statusTable(statuses)
    const slowMs = slowerThan ?? Number.POSITIVE_INFINITY
    const isFiltered = statuses !== undefined || slowerThan !== undefined
    const line = new AccessLine(jsonText(environment.route.id), query, headers)
    return {
      onFinish(exchange) {
        if (isFiltered && isChosenStatus[exchange.status] !== 1 && exchange.durationMs < slowMs) {
          return
        }
        if (sample < 1 && Math.random() >= sample) return
        log.line(line.write(exchange))
      },
    }
  },
})

function statusTable(statuses: readonly (string | number)[] | undefined): Uint8Array {
  const table = new Uint8Array(STATUS_COUNT)
  for (const item of statuses ?? []) {
    if (typeof item === 'number') table[item] = 1
    else table.fill(1, Number(item[0]) * 100, Number(item[0]) * 100 + 100)
  }
  return table
}
