// Settings that keep a service well: checks, ejection of endpoints that fail, and the breaker.
import { z } from 'zod'
import { durationMs } from '../../lib/units.ts'
import { fieldName, fieldValue, refuse } from './value.ts'

function share() {
  return z.number().gt(0, 'must be above 0').max(1, 'must be 1 or less')
}

const DAY_MS = 86_400_000

/** One status, or all from one to another: `200`, `200-299`. */
const statusRange = z
  .union([z.int().min(200).max(599), z.string()])
  .transform((value, ctx): { from: number; to: number } => {
    if (typeof value === 'number') return { from: value, to: value }
    const match = /^([2-5][0-9]{2})-([2-5][0-9]{2})$/.exec(value)
    const range = { from: Number(match?.[1]), to: Number(match?.[2]) }
    if (match === null || range.from > range.to) {
      refuse(ctx, 'this is no range of statuses', 'a status, or two like 200-299')
    }
    return range
  })

/** Active checks. */
export const healthSchema = z
  .strictObject({
    path: z
      .string()
      .regex(/^\/[\x21-\x7e]*$/, 'must begin with / and hold no space')
      .optional()
      .describe(
        'Path that is asked for over HTTP. Absent: a TCP connection (over https with its handshake) is check enough.',
      ),
    every: durationMs({ min: 100, max: DAY_MS })
      .prefault('5s')
      .describe('Pause between two checks of an endpoint, give or take a tenth.'),
    timeout: durationMs({ min: 10, max: DAY_MS })
      .prefault('2s')
      .describe('For one check, connecting included.'),
    method: z
      .string()
      .regex(/^[A-Z]{1,20}$/, 'a method is written in upper case')
      .prefault('GET')
      .describe('Method of the request.'),
    headers: z
      .record(fieldName(), fieldValue())
      .prefault({})
      .describe('Headers of the request; `host` replaces the endpoint.'),
    status: z
      .union([statusRange.transform((range) => [range]), z.array(statusRange).min(1)])
      .prefault('200-299')
      .describe('Statuses that pass: one, a range like `200-299`, or a list of these.'),
    body: z
      .string()
      .min(1)
      .max(4096)
      .optional()
      .describe("Text that must stand in the answer's first 64 KB."),
    healthy: z
      .int()
      .min(1)
      .max(100)
      .prefault(2)
      .describe('So many passes in a row put a failing endpoint back to use.'),
    unhealthy: z
      .int()
      .min(1)
      .max(100)
      .prefault(3)
      .describe('So many failures in a row take an endpoint out of use.'),
    port: z.int().min(1).max(65_535).optional().describe('Port to check, if another one.'),
    holdBack: z
      .boolean()
      .prefault(false)
      .describe('Whether a new endpoint waits for its first pass before it gets requests.'),
  })
  .transform(({ path, every, timeout, body, port, status, ...rest }, ctx) => {
    if (path === undefined && body !== undefined) refuse(ctx, '`body` needs a `path` to ask for')
    return {
      path: path ?? null,
      everyMs: every,
      timeoutMs: timeout,
      statuses: status,
      body: body ?? null,
      port: port ?? null,
      ...rest,
    }
  })

const ejectionObject = z
  .strictObject({
    failures: z
      .int()
      .min(1)
      .max(1000)
      .prefault(5)
      .describe('So many failures in a row eject an endpoint.'),
    ratio: share()
      .prefault(0.5)
      .describe(
        'An endpoint of which this part of the requests fails is ejected too, if the others do at least twice as well.',
      ),
    requests: z
      .int()
      .min(1)
      .max(1_000_000)
      .prefault(20)
      .describe('Fewest requests to an endpoint within the window that `ratio` judges by.'),
    window: durationMs({ min: 2000, max: 600_000 })
      .prefault('10s')
      .describe('How far back `ratio` looks.'),
    time: durationMs({ min: 100, max: DAY_MS })
      .prefault('10s')
      .describe('How long an endpoint is out the first time; each further time is twice as long.'),
    timeMax: durationMs({ min: 100, max: DAY_MS }).prefault('5m').describe('Longest such time.'),
    share: share()
      .prefault(0.5)
      .describe(
        'Greatest part of the endpoints that is out at once. One may be, the last one never.',
      ),
  })
  .transform(({ failures, ratio, requests, window, time, timeMax, share }, ctx) => {
    if (time > timeMax) refuse(ctx, '`time` is longer than `timeMax`')
    return {
      failuresInRow: failures,
      failureRatio: ratio,
      requestsMin: requests,
      windowMs: window,
      timeMs: time,
      timeMaxMs: timeMax,
      shareMax: share,
    }
  })

/** Passive health. */
export const ejectionSchema = z
  .union([z.literal(false).transform(() => null), ejectionObject])
  .prefault({})
  .describe('Endpoints at which requests fail are left out for a while. `false`: off.')

export const panicBelowSchema = z
  .number()
  .min(0)
  .max(1)
  .prefault(0.3)
  .describe(
    'With fewer than this part of the endpoints in use, all are used again; `0`: never, requests then get 503.',
  )

export const spillBelowSchema = z
  .number()
  .min(0)
  .max(1)
  .prefault(0.7)
  .describe(
    "With fewer than this part of the endpoints in the gateway's own zone in use, requests go to other zones in proportion; `0`: only with none.",
  )

const fallbackSchema = z
  .strictObject({
    to: z.string().min(1).optional().describe('Name of a service that answers instead.'),
    status: z.int().min(200).max(599).optional().describe('Status of a fixed reply.'),
    headers: z.record(fieldName(), fieldValue()).prefault({}).describe('Its headers.'),
    body: z.string().prefault('').describe('Its body.'),
  })
  .transform(({ to, status, headers, body }, ctx) => {
    if ((to === undefined) === (status === undefined)) {
      refuse(ctx, 'a fallback has either `to` or `status`')
    }
    if (to !== undefined) return { kind: 'service' as const, service: to }
    const lists = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, [value]]),
    )
    return { kind: 'reply' as const, status: status ?? 503, headers: lists, body }
  })

/** The circuit breaker of a service. */
export const breakerSchema = z
  .strictObject({
    ratio: share()
      .prefault(0.5)
      .describe('Part of the requests that must have failed, retries and all, to open it.'),
    requests: z
      .int()
      .min(1)
      .max(1_000_000)
      .prefault(20)
      .describe('Fewest requests within the window to judge by.'),
    window: durationMs({ min: 100, max: 3_600_000 })
      .prefault('10s')
      .describe('For how long requests are counted before counting begins anew.'),
    slowerThan: durationMs({ min: 1 })
      .optional()
      .describe('An answer that takes longer counts as failed. Absent: none does.'),
    open: durationMs({ min: 100, max: 3_600_000 })
      .prefault('5s')
      .describe('How long requests are refused before a few are let through to see.'),
    probes: z
      .int()
      .min(1)
      .max(1000)
      .prefault(3)
      .describe('So many are let through, and all must succeed to close it.'),
    fallback: fallbackSchema
      .optional()
      .describe('Answers while it is open. Absent: 503 with `Retry-After`.'),
  })
  .transform(({ ratio, requests, window, slowerThan, open, probes, fallback }) => ({
    failureRatio: ratio,
    requestsMin: requests,
    windowMs: window,
    slowMs: slowerThan ?? 0,
    openMs: open,
    probes,
    fallback: fallback ?? null,
  }))
