// Settings of what a service's requests are given: further attempts, and a deadline.
import { z } from 'zod'
import { byteSize, durationMs } from '../../lib/units.ts'
import { RetryCause } from '../../proxy/upstream/retries.ts'
import { fieldName, refuse } from './value.ts'

const IDEMPOTENT = ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']
const CAUSES = ['connect', 'reset', 'timeout'] as const

const backoffFields = {
  base: durationMs({ max: 60_000 }).describe(
    'Longest wait before the first retry; it doubles for each further one.',
  ),
  max: durationMs({ max: 60_000 }).describe('Longest wait of all.'),
}

const BACKOFF = 'The wait before a retry is drawn between nothing and this.'

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

/** What a service says of its retries, and a route of its own. */
const retryFields = {
  attempts: z
    .int()
    .min(0)
    .max(5)
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
    .describe(
      'What is tried again: `connect` (no connection), `reset` (it ended before an answer), `timeout` (`timeouts.attempt` has passed), and statuses.',
    ),
  methods: z
    .array(z.string().regex(/^[A-Z]{1,20}$/, 'a method is written in upper case'))
    .describe(
      'Methods of requests that may be sent again. Any request may that was not sent at all.',
    ),
  idempotencyKey: z
    .boolean()
    .describe(
      'Whether a request with an `Idempotency-Key` may be sent again, whatever its method.',
    ),
  retryAfterMax: durationMs({ max: 60_000 }).describe(
    'Longest `Retry-After` that is waited for. An answer that asks for more goes to the client.',
  ),
  bodyBytesMax: byteSize({ max: 16 * 1024 ** 2 }).describe(
    'Largest request body that is kept to be sent again.',
  ),
  sameEndpoint: z
    .boolean()
    .describe(
      'Whether an endpoint may be asked again when no other is left: for addresses behind which there are several instances.',
    ),
}

/** Further attempts after one that failed. */
export const retriesSchema = z
  .strictObject({
    attempts: retryFields.attempts.prefault(1),
    on: retryFields.on.prefault(['connect', 'reset', 'timeout', 502, 503, 504]),
    methods: retryFields.methods.prefault(IDEMPOTENT),
    idempotencyKey: retryFields.idempotencyKey.prefault(true),
    backoff: z
      .strictObject({
        base: backoffFields.base.prefault('25ms'),
        max: backoffFields.max.prefault('250ms'),
      })
      .prefault({})
      .describe(BACKOFF),
    retryAfterMax: retryFields.retryAfterMax.prefault('1s'),
    budget: budgetSchema.prefault({}),
    bodyBytesMax: retryFields.bodyBytesMax.prefault('64kb'),
    sameEndpoint: retryFields.sameEndpoint.prefault(false),
  })
  .transform((written, ctx) => {
    const { backoff } = written
    if (backoff.base > backoff.max) refuse(ctx, '`backoff.base` is longer than `backoff.max`')
    return {
      attemptsMax: written.attempts,
      ...triedAgain(written.on),
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

/** What a route changes of them; the budget is that of the service. */
export const routeRetriesSchema = z.union([
  z.literal(false),
  z
    .strictObject({
      ...retryFields,
      backoff: z.strictObject(backoffFields).describe(BACKOFF),
    })
    .partial()
    .transform(({ attempts, on, methods, idempotencyKey, backoff, ...rest }, ctx) => {
      if (backoff !== undefined && backoff.base > backoff.max) {
        refuse(ctx, '`backoff.base` is longer than `backoff.max`')
      }
      return {
        ...(attempts !== undefined && { attemptsMax: attempts }),
        ...(on !== undefined && triedAgain(on)),
        ...(methods !== undefined && { methods }),
        ...(idempotencyKey !== undefined && { honoursIdempotencyKey: idempotencyKey }),
        ...(backoff !== undefined && { backoffBaseMs: backoff.base, backoffMaxMs: backoff.max }),
        ...(rest.retryAfterMax !== undefined && { retryAfterMaxMs: rest.retryAfterMax }),
        ...(rest.bodyBytesMax !== undefined && { bodyBytesMax: rest.bodyBytesMax }),
        ...(rest.sameEndpoint !== undefined && { sameEndpoint: rest.sameEndpoint }),
      }
    }),
])

function triedAgain(on: readonly (string | number)[]) {
  const isCause = (value: string | number): value is (typeof CAUSES)[number] =>
    typeof value === 'string'
  return {
    causes: on.filter(isCause).reduce((bits, cause) => bits | RetryCause[cause], 0),
    statuses: on.filter((value) => typeof value === 'number'),
  }
}

const PERCENTILE = /^p([5-9][0-9](?:\.[0-9])?)$/

/** Another endpoint is asked as well when an answer takes long. */
export const hedgeSchema = z
  .strictObject({
    after: z
      .union([
        z
          .string()
          .regex(PERCENTILE, 'expected a duration like 50ms, or a percentile from p50 to p99.9')
          .transform((text) => ({ afterMs: 0, quantile: Number(PERCENTILE.exec(text)![1]) / 100 })),
        durationMs({ min: 1, max: 600_000 }).transform((afterMs) => ({ afterMs, quantile: 0 })),
      ])
      .describe(
        'When: so long after an attempt began, like `50ms`, or when so many of the answers of the last minutes were there, like `p95`.',
      ),
    max: z
      .int()
      .min(1)
      .max(3)
      .prefault(1)
      .describe(
        'So many more of one request, each `after` the one before, at an endpoint of its own.',
      ),
  })
  .transform(({ after, max }) => ({ ...after, max }))

/** A deadline that comes with the request. */
export const deadlineSchema = z.strictObject({
  header: fieldName().describe(
    'Header with the time that is left: `grpc-timeout` in its own form; else a number with `ms`, `s`, `m` or none.',
  ),
  unit: z.enum(['ms', 's']).prefault('ms').describe('What a number without a unit counts.'),
})
