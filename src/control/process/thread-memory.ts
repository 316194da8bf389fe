// How much heap each data-plane thread may use: what the machine or its container has, shared out.
import type { ResourceLimits } from 'node:worker_threads'
import { memoryLimitBytes } from '../../lib/memory-limit.ts'

const MB = 1024 * 1024
const HEAP_MB_MIN = 64
const HEAP_MB_MAX = 2_048
/** The rest is for buffers, the control plane and the system. */
const HEAP_SHARE = 0.5

/**
 * Limits for one of `threads` threads: `heap` bytes, or its share on a machine or in a container with
 * `memoryBytes`.
 */
export function threadLimits(
  heap: number | 'auto',
  threads: number,
  memoryBytes = memoryLimitBytes(),
): ResourceLimits {
  if (heap !== 'auto') return { maxOldGenerationSizeMb: Math.floor(heap / MB) }
  const share = Math.floor((memoryBytes * HEAP_SHARE) / threads / MB)
  return { maxOldGenerationSizeMb: Math.min(HEAP_MB_MAX, Math.max(HEAP_MB_MIN, share)) }
}
