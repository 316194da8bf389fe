// Which endpoints an algorithm may choose from.
import type { Endpoint } from '../endpoint.ts'

/** Whether the next attempt may go to `endpoint`. */
export function isCandidate(endpoint: Endpoint, tried: readonly Endpoint[]): boolean {
  return (tried.length === 0 || !tried.includes(endpoint)) && endpoint.usable
}
