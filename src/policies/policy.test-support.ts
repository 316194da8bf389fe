// What unit tests of policies give them to work with.
import type { z } from 'zod'
import { ManualClock } from '../lib/clock.ts'
import { inertEnvironment } from '../proxy/pipeline/inert-environment.ts'
import type { PolicyDefinition, PolicyEnvironment, PolicyHooks } from '../proxy/pipeline/policy.ts'
import { allocateStore, SharedMemoryStore } from '../state/shared-memory-store.ts'

const KEYS_MAX = 256

/** An environment that keeps what is logged, with a store that follows its clock. */
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
  const store = new SharedMemoryStore(allocateStore({ threads: 1, keysMax: KEYS_MAX }), 0, clock)
  return { ...inertEnvironment({ route: { id: 'orders' }, log, store }), lines, ...parts, clock }
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
