// What policies do.
import type { MetricsWriter } from './metrics.ts'
import { Block } from './metrics-block.ts'
import { metricsShape } from './metrics-shape.ts'

export const POLICY = metricsShape(
  'policy',
  ['policy'],
  {
    rejections: {
      name: 'gatehouse_policy_rejections_total',
      help: 'Requests that a policy stopped, or in shadow mode would have stopped.',
      type: 'counter',
      label: 'mode',
      values: ['enforce', 'shadow'],
    },
    failures: {
      name: 'gatehouse_policy_failures_total',
      help: 'Failures of policies, by what failed: the policy itself, or its condition.',
      type: 'counter',
      label: 'part',
      values: ['policy', 'condition'],
    },
    loopHolds: {
      name: 'gatehouse_policy_loop_holds_total',
      help: 'Times that a policy held the event loop of a thread for half a second or longer.',
      type: 'counter',
    },
  },
  false,
  'configured',
)

/** What one policy does, on all routes that use it under this id. */
export class PolicyMetrics extends Block {
  constructor(writer: MetricsWriter, policy: string) {
    super(writer, POLICY, [policy])
  }

  rejected(): void {
    this.add(POLICY.offsets.rejections, 1)
  }

  /** It would have stopped a request, were it not in shadow mode. */
  shadowRejected(): void {
    this.add(POLICY.offsets.rejections + 1, 1)
  }

  failed(): void {
    this.add(POLICY.offsets.failures, 1)
  }

  conditionFailed(): void {
    this.add(POLICY.offsets.failures + 1, 1)
  }

  /** It held the event loop, and with it all other requests of a thread. */
  loopHeld(): void {
    this.add(POLICY.offsets.loopHolds, 1)
  }
}
