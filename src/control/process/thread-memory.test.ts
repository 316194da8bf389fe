import assert from 'node:assert/strict'
import { test } from 'node:test'
import { threadLimits } from './thread-memory.ts'

const GB = 1024 ** 3

test('threads share half of the memory, within bounds', () => {
  const heapMb = (threads: number, memoryBytes: number) =>
    threadLimits('auto', threads, memoryBytes).maxOldGenerationSizeMb
  assert.equal(heapMb(4, 8 * GB), 1_024)
  assert.equal(heapMb(2, 64 * GB), 2_048)
  assert.equal(heapMb(8, GB / 2), 64)
})

test('a limit that was set is kept', () => {
  assert.equal(threadLimits(300 * 1024 ** 2, 64, GB).maxOldGenerationSizeMb, 300)
})
