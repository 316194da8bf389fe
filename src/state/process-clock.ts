// A monotonic clock that reads the same in every thread of the process. `performance.now()` counts from
// an origin that each thread may have for itself; `process.hrtime` has one for all, but allocates.
import type { Clock } from '../lib/clock.ts'

const READINGS = 5
const offsetMs = measureOffset()

/** The machine's clock, in agreement over all threads to a few microseconds. */
export const processClock: Clock = {
  now: () => performance.now() + offsetMs,
  wallTime: () => Date.now(),
}

/** How far the common clock is ahead of this thread's; the reading that was interrupted least counts. */
function measureOffset(): number {
  let best = 0
  let narrowest = Number.POSITIVE_INFINITY
  for (let reading = 0; reading < READINGS; reading++) {
    const before = performance.now()
    const common = Number(process.hrtime.bigint()) / 1e6
    const after = performance.now()
    if (after - before >= narrowest) continue
    narrowest = after - before
    best = common - (before + after) / 2
  }
  return best
}
