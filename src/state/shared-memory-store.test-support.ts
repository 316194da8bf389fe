// A worker that uses the store as it is told, for tests with several threads.
import { parentPort, workerData } from 'node:worker_threads'
import { CellTable } from './cell-table.ts'
import { KeyedHash } from './keyed-hash.ts'
import { SharedMemoryStore, type StoreBuffers } from './shared-memory-store.ts'
import type { Limit } from './store.ts'

/** What the worker may be told. */
export type StoreTask =
  | { do: 'take'; limits: Limit[]; keys: string[]; times: number }
  | { do: 'enter'; key: string; max: number; times: number }
  | { do: 'spend'; key: string; max: number; times: number }
  | { do: 'die-with-lock'; key: string }

const { buffers, threadIndex } = workerData as { buffers: StoreBuffers; threadIndex: number }
const store = new SharedMemoryStore(buffers, threadIndex)

parentPort!.on('message', (task: StoreTask) => {
  if (task.do === 'die-with-lock') {
    dieWithLock(task.key)
    return
  }
  let allowed = 0
  for (let time = 0; time < task.times; time++) if (isAllowed(task)) allowed++
  parentPort!.postMessage(allowed)
})
parentPort!.postMessage(null)

function isAllowed(task: Exclude<StoreTask, { do: 'die-with-lock' }>): boolean {
  if (task.do === 'take') return store.take(task.limits, task.keys, 1, 'deny').allowed
  if (task.do === 'enter') return store.enter(task.key, task.max)
  return store.spend(task.key, 1, task.max, 3_600_000).allowed
}

/** Locks the key's bucket as the store does, says so, and never gives it back. */
function dieWithLock(key: string): void {
  const hash = new KeyedHash(buffers.hashKeys.subarray(0, 8))
  hash.read(key)
  const table = new CellTable(buffers.cells, threadIndex)
  parentPort!.postMessage(table.lock(table.bucketOf(hash.a)) ? 1 : 0)
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
}
