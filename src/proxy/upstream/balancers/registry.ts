// From what the configuration says to an algorithm.
import type { PickerFactory } from './balancer.ts'
import { type HashKey, hash } from './hash.ts'
import { leastConnections } from './least-connections.ts'
import { powerOfTwoChoices } from './p2c.ts'
import { random } from './random.ts'
import { roundRobin } from './round-robin.ts'
import { SinglePicker } from './single.ts'
import { type StickySettings, sticky } from './sticky.ts'
import { zoned } from './zoned.ts'

/** The algorithms that need no settings, by their name in the configuration. */
export const BALANCERS = {
  'round-robin': roundRobin,
  'least-connections': leastConnections,
  p2c: powerOfTwoChoices,
  random,
} as const satisfies Record<string, PickerFactory>

/** The value of `balance:` in the configuration. */
export type BalanceSettings = keyof typeof BALANCERS | { readonly hash: HashKey }

/** What a service gets that does not say: docs/decisions/0002-default-balancer.md. */
export const DEFAULT_BALANCE = 'p2c' satisfies BalanceSettings

/** The factory for a service; with `stickySettings` the algorithm places only new clients. */
export function pickerFactory(
  balance: BalanceSettings = DEFAULT_BALANCE,
  stickySettings: StickySettings | null = null,
): PickerFactory {
  // A key has one place, in whatever zone that is: all gateways must find it there.
  const chosen =
    typeof balance === 'string' ? zoned(unlessSingle(BALANCERS[balance])) : hash(balance.hash)
  return unlessSingle(stickySettings === null ? chosen : sticky(stickySettings, chosen))
}

function unlessSingle(factory: PickerFactory): PickerFactory {
  return (endpoints, context) =>
    endpoints.length === 1 ? new SinglePicker(endpoints[0]!) : factory(endpoints, context)
}
