// A worker that refreshes sessions when it is told to, at a provider that counts.
import { parentPort, workerData } from 'node:worker_threads'
import { systemClock } from '../../lib/clock.ts'
import { SharedMemoryStore, type StoreBuffers } from '../../state/shared-memory-store.ts'
import type { Session } from './session.ts'
import { SessionRefresh } from './session-refresh.ts'

/** What a worker is made with. */
export interface RefreshWorker {
  readonly name: string
  readonly buffers: StoreBuffers
  readonly threadIndex: number
  /** Int32: how often the provider was asked, by all threads. */
  readonly asked: SharedArrayBuffer
}

const { name, buffers, threadIndex, asked } = workerData as RefreshWorker

const provider = {
  async refresh(refreshToken: string) {
    const count = Atomics.add(new Int32Array(asked), 0, 1) + 1
    // Long enough for the others to come meanwhile.
    await new Promise((resolve) => setTimeout(resolve, 100))
    if (refreshToken === 'withdrawn') throw new Error('invalid_grant')
    const refresh = `${refreshToken} after ${count}`
    return { idToken: null, accessToken: 'a', refreshToken: refresh, lifetimeMs: 600_000 }
  },
}

const refresh = new SessionRefresh({
  name,
  provider,
  rules: { lifetimeMs: 3_600_000, refreshBeforeMs: 30_000, keepsAccessToken: true },
  timeoutMs: 20_000,
  environment: { clock: systemClock, places: new SharedMemoryStore(buffers, threadIndex) },
  onFailure() {},
})

parentPort!.on('message', async (session: Session) => {
  const results = await Promise.all([refresh.refresh(session), refresh.refresh(session)])
  parentPort!.postMessage(results)
})
parentPort!.postMessage('ready')
