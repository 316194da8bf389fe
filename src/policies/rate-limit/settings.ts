// The settings of `rate-limit`: one limit, written directly, or several.
import { z } from 'zod'
import { durationMs } from '../../lib/units.ts'
import { costSetting } from '../limit-cost.ts'
import { ipv6PrefixSetting, limitKeySetting, MISSING_KEY } from '../limit-key.ts'

const LIMITS_MAX = 8
const UNITS_MAX = 1_000_000_000
const YEAR_MS = 366 * 86_400_000

const oneLimit = {
  limit: z.int().min(1).max(UNITS_MAX).describe('How many units (requests, if each costs 1).'),
  per: durationMs({ min: 1_000, max: YEAR_MS }).describe('In how long, from 1s on.'),
  burst: z
    .int()
    .min(1)
    .max(UNITS_MAX)
    .optional()
    .describe('How many of them may come at once; only for `gcra`. Default: all.'),
  algorithm: z
    .enum(['gcra', 'sliding-window'])
    .default('gcra')
    .describe(
      '`gcra`: units come back one by one, evenly. `sliding-window`: never more than the limit in ' +
        'any stretch of `per`; a unit comes back when it is that old, a seventh later at most.',
    ),
}

const limitsEntry = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9_.-]{1,64}$/, 'expected letters, digits, ".", "_" or "-"')
    .optional()
    .describe('What clients are told it is called. Default: the id of the policy and a number.'),
  ...oneLimit,
  by: limitKeySetting().optional().describe('Where it differs from `by` of the policy.'),
})

const settings = z.strictObject({
  limit: oneLimit.limit.optional(),
  per: oneLimit.per.optional(),
  burst: oneLimit.burst,
  algorithm: oneLimit.algorithm
    .removeDefault()
    .optional()
    .describe(`${oneLimit.algorithm.description} Default: \`gcra\`.`),
  limits: z
    .array(limitsEntry)
    .min(1)
    .max(LIMITS_MAX)
    .optional()
    .describe('Several limits instead of one: a request counts under all of them, or is refused.'),
  by: limitKeySetting()
    .default('ip')
    .describe(
      'What is counted by itself: each client address (`ip`), `consumer`, `route`, value of ' +
        '`header:NAME` or of `claim:NAME`, or result of `{ expression: <CEL> }`. ' +
        MISSING_KEY,
    ),
  ipv6Prefix: ipv6PrefixSetting(),
  cost: costSetting(),
  whenFull: z
    .enum(['deny', 'allow'])
    .default('deny')
    .describe('What becomes of new keys while there are more than the gateway can hold.'),
  headers: z
    .boolean()
    .default(true)
    .describe('Whether responses carry `RateLimit` and `RateLimit-Policy`.'),
})

/** The settings as they are written; several limits or one become a list. */
export const rateLimitSettings = settings.transform((written, ctx) => {
  const { limit, per, burst, algorithm, limits, by, ...rest } = written
  const refuse = (message: string, path: string[] = []): void => {
    ctx.addIssue({ code: 'custom', message, path })
  }
  const isSingle = limit !== undefined || per !== undefined
  if (limits !== undefined && (isSingle || burst !== undefined || algorithm !== undefined)) {
    refuse('expected either `limits` or a single `limit` with `per`')
    return z.NEVER
  }
  if (limits === undefined && (limit === undefined || per === undefined)) {
    refuse('expected `limit` and `per`, or a list of `limits`')
    return z.NEVER
  }
  const single = { limit: limit!, per: per!, burst, algorithm: algorithm ?? ('gcra' as const) }
  const all = limits ?? [single as z.output<typeof limitsEntry>]
  for (const [index, one] of all.entries()) {
    if (one.burst !== undefined && one.algorithm !== 'gcra') {
      const path = limits === undefined ? ['burst'] : ['limits', String(index), 'burst']
      refuse('a sliding window has no burst', path)
    }
  }
  return {
    ...rest,
    limits: all.map((one) => ({
      name: one.name ?? null,
      limit: one.limit,
      periodMs: one.per,
      burst: one.algorithm === 'gcra' ? (one.burst ?? one.limit) : 0,
      algorithm: one.algorithm,
      by: one.by ?? by,
    })),
  }
})

/** The settings, checked. */
export type RateLimitSettings = z.output<typeof rateLimitSettings>
export type LimitSettings = RateLimitSettings['limits'][number]
