// One of three instances fails under a steady load, and works again later.
import { setTimeout as sleep } from 'node:timers/promises'
import { errorsAmong, latencyAt, OpenLoad, type Outcome } from './open-load.ts'
import { ATTEMPT_MS, type Balancer, type Fault, type Served } from './services.ts'

const PER_SECOND = 100
const WARM_UP_MS = 1500
const BEFORE_MS = 3000
/** What the gateway has to notice. */
const NOTICE_MS = 3 * ATTEMPT_MS
/** 2,000 requests, and long enough that an endpoint ejected for 10 s comes back to fail again. */
const AFTER_MS = 20_000
/** An endpoint that was ejected twice comes back after 20 s. */
const RECOVERY_MS = 30_000
const ERROR_SHARE_MAX = 0.001
/**
 * How much later p99 may be, in ms: a retry waits up to 25 ms. Far less than an attempt's time, so that
 * one request in a hundred that waits for a timeout is too many.
 */
const P99_ADDED_MAX_MS = 25

/** What was measured of one balancer and one fault. */
export interface Measured {
  readonly balancer: Balancer
  readonly fault: Fault
  readonly p99BeforeMs: number
  readonly errorsBefore: number
  readonly noticing: { readonly requests: number; readonly errors: number }
  readonly requests: number
  readonly errors: number
  readonly p99Ms: number
  readonly maxMs: number
  /** Of all requests that the instances saw, the part that the bad one did; NaN if it could not see any. */
  readonly badShare: number
  /** From the end of the fault until the instance answered half of its share again; null: not in time. */
  readonly recoveryMs: number | null
  /** What the clients got instead of answers. */
  readonly kinds: readonly string[]
}

/** Measures it. */
export async function measure(
  port: number,
  served: Served,
  balancer: Balancer,
  fault: Fault,
): Promise<Measured> {
  const bad = served.instances[1]!
  const load = new OpenLoad(port, `/${served.name}`, PER_SECOND, balancer.callers())
  await sleep(WARM_UP_MS + BEFORE_MS)
  const faultAt = performance.now()
  await bad.become(fault.mode)
  await sleep(NOTICE_MS)
  const noticedAt = performance.now()
  const seenAtStart = requestsOf(served)
  const badAtStart = bad.requests
  await sleep(AFTER_MS)
  const endAt = performance.now()
  const seen = requestsOf(served) - seenAtStart
  const seenByBad = bad.requests - badAtStart
  await bad.become('ok')
  const recoveryMs = await recovery(load, bad.port, endAt)
  await load.stop()
  const before = load.between(faultAt - BEFORE_MS, faultAt)
  const noticing = load.between(faultAt, noticedAt)
  const after = load.between(noticedAt, endAt)
  return {
    balancer,
    fault,
    p99BeforeMs: latencyAt(before, 0.99),
    errorsBefore: errorsAmong(before),
    noticing: { requests: noticing.length, errors: errorsAmong(noticing) },
    requests: after.length,
    errors: errorsAmong(after),
    p99Ms: latencyAt(after, 0.99),
    maxMs: latencyAt(after, 1),
    badShare: fault.mode === 'refuse' ? Number.NaN : seenByBad / seen,
    recoveryMs,
    kinds: [...new Set(failed(after).map(({ status, text }) => `${status} ${text}`))],
  }
}

/** What of it is not as it should be. */
export function faultsOf(measured: Measured): string[] {
  const { balancer, fault, errors, requests, p99Ms, p99BeforeMs, recoveryMs, kinds } = measured
  const found: string[] = []
  if (measured.errorsBefore > 0) {
    found.push(`${measured.errorsBefore} requests failed before the fault: is this machine busy?`)
  }
  if (errors >= requests * ERROR_SHARE_MAX) {
    found.push(`${errors} of ${requests} requests failed: ${kinds.join(', ')}`)
  }
  const p99Max = Math.max(2 * p99BeforeMs, p99BeforeMs + P99_ADDED_MAX_MS)
  if (isBounded(measured) && p99Ms > p99Max) {
    found.push(`p99 is ${p99Ms.toFixed(0)} ms, before it was ${p99BeforeMs.toFixed(0)}`)
  }
  if (recoveryMs === null) found.push('the instance is not used again')
  return found.map((text) => `${balancer.name}, ${fault.name}: ${text}`)
}

/** Whether the latency must come back: not where every attempt ends well and nobody looks at its time. */
export function isBounded({ balancer, fault }: Measured): boolean {
  return !fault.isQuiet || balancer.seesLatency
}

function failed(outcomes: readonly Outcome[]): Outcome[] {
  return outcomes.filter(({ status }) => status !== 200)
}

function requestsOf({ instances }: Served): number {
  return instances.reduce((sum, { requests }) => sum + requests, 0)
}

/** Waits until the instance answers half of its third of a second's requests. */
async function recovery(load: OpenLoad, port: number, since: number): Promise<number | null> {
  const text = String(port)
  const enough = PER_SECOND / 6
  while (performance.now() - since < RECOVERY_MS) {
    await sleep(100)
    const now = performance.now()
    const from = Math.max(since, now - 1000)
    const own = load.between(from, now).filter((outcome) => outcome.text === text)
    if (own.length >= enough) return now - since
  }
  return null
}
