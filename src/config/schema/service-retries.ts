// Settings of what a service's requests are given: further attempts, and a deadline.
import { z } from 'zod'
import { byteSize, durationMs } from '../../lib/units.ts'
import { RetryCause } from '../../proxy/upstream/retries.ts'
import { fieldName, refuse } from './value.ts'

const IDEMPOTENT = ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']
const CAUSES = ['connect', 'reset', 'timeout'] as const

const backoffSchema = z
  .strictObject({
    base: durationMs({ max: 60_000 })
      .prefault('25ms')
      .describe('Longest wait before the first retry; it doubles for each further one.'),
    max: durationMs({ max: 60_000 }).prefault('250ms').describe('Longest wait of all.'),
  })
  .describe('The wait before a retry is drawn between nothing and this.')

const budgetSchema = z
  .strictObject({
    share: z
      .number()
      .min(0)
      .max(1)
      .prefault(0.2)
      .describe('Retries per request, over the last ten seconds.'),
    minPerSecond: z
      .number()
      .min(0)
      .max(1000)
      .prefault(10)
      .describe('So many more each second, over all threads: for services with little traffic.'),
  })
  .describe('Bounds what retries add to the load of a service in trouble.')

/** Further attempts after one that failed. */
export const retriesSchema = z
  .strictObject({
    attempts: z
      .int()
      .min(0)
      .max(5)
      .prefault(1)
      .describe('Further attempts after the first, each at an endpoint that was not tried yet.'),
    on: z
      .array(
        z.union([
          z.enum(CAUSES),
          z
            .int()
            .refine(
              (status) => status === 429 || (status >= 500 && status <= 599),
              'must be 429 or from 500 to 599',
            ),
        ]),
      )
      .prefault(['connect', 'reset', 'timeout', 502, 503, 504])
      .describe(
        'What is tried again: `connect` (no connection), `reset` (it ended before an answer), `timeout` (`timeouts.attempt` has passed), and statuses.',
      ),
    methods: z
      .array(z.string().regex(/^[A-Z]{1,20}$/, 'a method is written in upper case'))
      .prefault(IDEMPOTENT)
      .describe(
        'Methods of requests that may be sent again. Any request may that was not sent at all.',
      ),
    idempotencyKey: z
      .boolean()
      .prefault(true)
      .describe(
        'Whether a request with an `Idempotency-Key` may be sent again, whatever its method.',
      ),
    backoff: backoffSchema.prefault({}),
    retryAfterMax: durationMs({ max: 60_000 })
      .prefault('1s')
      .describe(
        'Longest `Retry-After` that is waited for. An answer that asks for more goes to the client.',
      ),
    budget: budgetSchema.prefault({}),
    bodyBytesMax: byteSize({ max: 16 * 1024 ** 2 })
      .prefault('64kb')
      .describe('Largest request body that is kept to be sent again.'),
    sameEndpoint: z
      .boolean()
      .prefault(false)
      .describe(
        'Whether an endpoint may be asked again when no other is left: for addresses behind which there are several instances.',
      ),
  })
  .transform((written, ctx) => {
    const { backoff, on } = written
    if (backoff.base > backoff.max) refuse(ctx, '`backoff.base` is longer than `backoff.max`')
    const isCause = (value: string | number): value is (typeof CAUSES)[number] =>
      typeof value === 'string'
    return {
      attemptsMax: written.attempts,
      causes: on.filter(isCause).reduce((bits, cause) => bits | RetryCause[cause], 0),
      statuses: on.filter((value) => typeof value === 'number'),
      methods: written.methods,
      honoursIdempotencyKey: written.idempotencyKey,
      backoffBaseMs: backoff.base,
      backoffMaxMs: backoff.max,
      retryAfterMaxMs: written.retryAfterMax,
      bodyBytesMax: written.bodyBytesMax,
      sameEndpoint: written.sameEndpoint,
      budget: written.budget,
    }
  })

/** A deadline that comes with the request. */
export const deadlineSchema = z.strictObject({
  header: fieldName().describe(
    'Header with the time that is left: `grpc-timeout` in its own form; else a number with `ms`, `s`, `m` or none.',
  ),
  unit: z.enum(['ms', 's']).prefault('ms').describe('What a number without a unit counts.'),
})
