// Limits for unit tests of heads; those of bodies and times play no part there.
import type { HttpLimits } from './limits.ts'

export const TEST_LIMITS: HttpLimits = {
  targetBytesMax: 1024,
  headBytesMax: 65536,
  headersMax: 100,
  bodyBytesMax: 1,
  headTimeoutMs: 1,
  bodyIdleTimeoutMs: 1,
  bodyBytesPerSecondMin: 0,
  bodyRateGraceMs: 1,
  keepAliveTimeoutMs: 1,
  requestsPerConnectionMax: 1,
}
