// `drain`: how a gateway, or a part of it, ends.
import { z } from 'zod'
import { durationMs } from '../../lib/units.ts'

/** `drain` of the configuration. */
export const drainSchema = z
  .strictObject({
    delay: durationMs({ max: 3_600_000 })
      .prefault('0s')
      .describe(
        'After SIGTERM, for how long new connections are still served while `/readyz` says 503, so ' +
          'that load balancers find out. `0s`: not at all; behind Kubernetes or a load balancer some ' +
          'seconds are needed.',
      ),
    idle: durationMs({ max: 3_600_000 })
      .prefault('5s')
      .describe(
        'How long a kept connection that nobody uses stays open for one more request, which is ' +
          'answered with `Connection: close`: a client that sends one at this moment loses nothing. ' +
          'Counted from SIGTERM.',
      ),
    spread: durationMs({ max: 3_600_000 })
      .prefault('20s')
      .describe(
        'Over which time WebSockets and event streams that must end are closed, evenly, so that ' +
          'their clients do not all come back at once: on shutdown, and when a reload changes ' +
          'their route or service.',
      ),
    timeout: durationMs({ max: 86_400_000 })
      .prefault('30s')
      .describe('How long requests may take to end, after the delay, before they are cut off.'),
  })
  .prefault({})
  .transform(({ delay, idle, spread, timeout }) => ({
    delayMs: delay,
    idleMs: idle,
    spreadMs: spread,
    timeoutMs: timeout,
  }))
  .describe('How the gateway ends: on shutdown, and when a new process takes over from it.')
