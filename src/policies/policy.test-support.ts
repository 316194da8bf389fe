// What unit tests of policies give them to work with.
import type { z } from 'zod'
import { ManualClock } from '../lib/clock.ts'
import { inertEnvironment } from '../proxy/pipeline/inert-environment.ts'
import type { PolicyDefinition, PolicyEnvironment, PolicyHooks } from '../proxy/pipeline/policy.ts'

/** An environment that keeps what is logged. */
export interface TestEnvironment extends PolicyEnvironment {
  /** Ready lines, as they were handed over. */
  readonly lines: string[]
  readonly clock: ManualClock
  /** Gives back what was kept. */
  dispose(): void
}

/** The environment of a route called `orders`; `parts` stand in for its own. */
export function testEnvironment(parts: Partial<PolicyEnvironment> = {}): TestEnvironment {
  const lines: string[] = []
  const nothing = () => {}
  const clock = new ManualClock()
  const log = {
    info: nothing,
    warn: nothing,
    error: nothing,
    line: (json: string) => lines.push(json),
  }
  return { ...inertEnvironment({ route: { id: 'orders' }, log }), lines, ...parts, clock }
}

/** The hooks that a policy makes of settings as a configuration has them. */
export function hooksOf<Schema extends z.ZodType>(
  policy: PolicyDefinition<Schema>,
  settings: z.input<Schema>,
  environment: PolicyEnvironment = testEnvironment(),
): PolicyHooks {
  return policy.create(policy.settings.parse(settings), environment)
}

/** The messages with which a policy refuses settings, with the place of each. */
export function refusals(policy: PolicyDefinition, settings: unknown): string[] {
  const result = policy.settings.safeParse(settings)
  if (result.success) return []
  return result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
}
