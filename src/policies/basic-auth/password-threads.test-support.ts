// A worker that pretends to hash passwords, and notes how many are hashed at the same time.
import { parentPort, workerData } from 'node:worker_threads'
import { systemClock } from '../../lib/clock.ts'
import { SharedMemoryStore, type StoreBuffers } from '../../state/shared-memory-store.ts'
import { PasswordVerifier, type VerifierSettings } from './password-verifier.ts'

/** What a worker is told. */
export interface HashingTask {
  readonly buffers: StoreBuffers
  readonly threadIndex: number
  readonly settings: VerifierSettings
  /** Requests that come at once. */
  readonly requests: number
  /** Int32: how many are hashed now, in all threads; the most at any time. */
  readonly counts: SharedArrayBuffer
}

const { buffers, threadIndex, settings, requests, counts } = workerData as HashingTask
const cells = new Int32Array(counts)
const places = new SharedMemoryStore(buffers, threadIndex)
const verifier = new PasswordVerifier(settings, { clock: systemClock, places })

async function hash(): Promise<boolean> {
  const place = verifier.enter()
  if (place === false) return false
  if (place !== true) await place
  const now = Atomics.add(cells, 0, 1) + 1
  let most = Atomics.load(cells, 1)
  while (now > most) most = Atomics.compareExchange(cells, 1, most, now)
  await new Promise((resolve) => setTimeout(resolve, 2))
  Atomics.sub(cells, 0, 1)
  verifier.leave()
  return true
}

parentPort!.once('message', async () => {
  const results = await Promise.all(Array.from({ length: requests }, hash))
  parentPort!.postMessage(results.filter((hashed) => hashed).length)
})
parentPort!.postMessage('ready')
