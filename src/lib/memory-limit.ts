// How much memory the process may use.
import { totalmem } from 'node:os'

/** What the machine has, or the container allows if that is less, in bytes. */
export function memoryLimitBytes(): number {
  const constrained = process.constrainedMemory()
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem()
}
