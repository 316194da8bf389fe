// The bound on requests in flight at a service, and on those that wait for a place.
import { z } from 'zod'
import { durationMs } from '../../lib/units.ts'
import { IMPORTANCES } from '../../proxy/upstream/concurrency/importance.ts'
import { hasUnknownKeys, refuse } from './value.ts'

const LIMIT_MAX = 100_000

/** How much requests matter when not all can be served. */
export function importance() {
  return z.enum(IMPORTANCES)
}

function limit() {
  return z.int().min(1).max(LIMIT_MAX)
}

const queueSchema = z.strictObject({
  max: z
    .int()
    .min(0)
    .max(LIMIT_MAX)
    .prefault(100)
    .describe(
      'Most requests that wait, over all threads. One more gets 503, unless one of lower importance waits, which gets it instead. `0`: nobody waits.',
    ),
  timeout: durationMs({ min: 1, max: 600_000 })
    .prefault('1s')
    .describe('Longest wait for a place. Past it: 503.'),
})

const concurrencyObject = z.strictObject({
  limit: limit().optional().describe('A fixed limit, over all threads. Either this or `adaptive`.'),
  adaptive: z
    .enum(['gradient', 'aimd'])
    .optional()
    .describe(
      'A limit that is found out: `gradient` compares answers with how long they take when the service ' +
        'has little to do, `aimd` with `latency`.',
    ),
  min: limit().optional().describe('Lowest limit with `adaptive`. Default: 4.'),
  max: limit().optional().describe('Highest limit with `adaptive`. Default: 1000.'),
  tolerance: z
    .number()
    .min(1.1)
    .max(10)
    .optional()
    .describe(
      'With `gradient`: answers may take so many times as long as without a queue at the service. Default: 1.5.',
    ),
  latency: durationMs({ min: 1, max: 600_000 })
    .optional()
    .describe('With `aimd`, and needed there: a tenth of the answers may take longer than this.'),
  queue: queueSchema.prefault({}).describe('Requests that wait for a place.'),
})

const MIN = 4
const MAX = 1000
const TOLERANCE = 1.5

type Written = z.output<typeof concurrencyObject>

function fixedLimit(written: Written, ctx: z.core.$RefinementCtx): number {
  for (const key of ['min', 'max', 'tolerance', 'latency'] as const) {
    if (written[key] !== undefined) refuse(ctx, `\`${key}\` belongs to an \`adaptive\` limit`)
  }
  if (written.limit === undefined && !hasUnknownKeys(ctx)) {
    refuse(ctx, 'there is no limit', 'either `limit` or `adaptive`')
  }
  return written.limit ?? MAX
}

function adaptiveLimit(written: Written, ctx: z.core.$RefinementCtx) {
  const { adaptive: algorithm = 'gradient', limit: fixed, latency } = written
  // A bound that is given may leave the other's default behind.
  const min = written.min ?? Math.min(MIN, written.max ?? MIN)
  const max = written.max ?? Math.max(MAX, min)
  if (fixed !== undefined) refuse(ctx, '`limit` is fixed and `adaptive` is not; keep one')
  if (min > max) refuse(ctx, '`min` is greater than `max`')
  if (algorithm === 'aimd' && latency === undefined) {
    refuse(ctx, '`adaptive: aimd` needs the `latency` that is too long')
  }
  if (algorithm === 'gradient' && latency !== undefined) {
    refuse(ctx, '`latency` belongs to `adaptive: aimd`; `gradient` takes a `tolerance`')
  }
  if (algorithm === 'aimd' && written.tolerance !== undefined) {
    refuse(ctx, '`tolerance` belongs to `adaptive: gradient`; `aimd` takes a `latency`')
  }
  return { algorithm, min, max, tolerance: written.tolerance ?? TOLERANCE, latencyMs: latency ?? 0 }
}

/** `concurrency` of a service. */
export const concurrencySchema = z
  .union([
    limit().transform((fixed) => concurrencyObject.parse({ limit: fixed })),
    concurrencyObject,
  ])
  .transform((written, ctx) => ({
    limit: written.adaptive === undefined ? fixedLimit(written, ctx) : null,
    adaptive: written.adaptive === undefined ? null : adaptiveLimit(written, ctx),
    queueMax: written.queue.max,
    queueTimeoutMs: written.queue.timeout,
  }))
