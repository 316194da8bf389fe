// When the gateway itself has too much to do, and answers only what matters more.
import { z } from 'zod'
import { byteSize, durationMs } from '../../lib/units.ts'

function share() {
  return z.number().gt(0, 'must be above 0').lt(1, 'must be below 1')
}

const overloadObject = z
  .strictObject({
    loopDelay: durationMs({ min: 10, max: 60_000 })
      .prefault('200ms')
      .describe(
        "How late a thread's event loop may be, all the time. From there on requests of low importance get 503, from twice and four times as much also those of normal and high.",
      ),
    memory: share()
      .prefault(0.85)
      .describe(
        'Part of the memory limit that the process may take before requests of low importance get 503; halfway from there to all of it also those of normal, and near the end those of high.',
      ),
    memoryLimit: byteSize({ min: 64 * 1024 ** 2 })
      .optional()
      .describe(
        "What `memory` is a part of. Default: the container's limit, else the machine's memory.",
      ),
    heap: share()
      .prefault(0.85)
      .describe("The same for a thread's JavaScript heap, of which each has a limit."),
    connections: share()
      .prefault(0.9)
      .describe(
        'Part of `limits.connections` that may be open before requests of low importance get 503 and their connection ends. Others have one and are served.',
      ),
  })
  .transform(({ loopDelay, memory, memoryLimit, heap, connections }) => ({
    loopDelayMs: loopDelay,
    memoryShare: memory,
    memoryBytesMax: memoryLimit ?? null,
    heapShare: heap,
    connectionsShare: connections,
  }))

/** `overload` of the gateway. */
export const overloadSchema = z
  .union([z.literal(false).transform(() => null), overloadObject])
  .prefault({})
