import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { allocateStore } from '../../state/shared-memory-store.ts'
import type { RefreshWorker } from './refresh-thread.test-support.ts'
import type { Session } from './session.ts'
import type { Refreshed } from './session-refresh.ts'

const THREADS = 3

function sessionWith(refreshToken: string): Session {
  const now = Date.now()
  const times = { endsAtMs: now + 3_600_000, refreshAtMs: now, tokensEndAtMs: now }
  return { ...times, idToken: 'x.e30.x', accessToken: 'old', refreshToken }
}

/** Threads that refresh, and how often the provider was asked. */
async function threads(t: TestContext) {
  const buffers = allocateStore({ threads: THREADS, keysMax: 256 })
  const asked = new SharedArrayBuffer(4)
  const name = randomUUID()
  const workers = Array.from({ length: THREADS }, (_, threadIndex) => {
    const file = new URL('./refresh-thread.test-support.ts', import.meta.url)
    const workerData: RefreshWorker = { name, buffers, threadIndex, asked }
    return new Worker(file, { workerData })
  })
  t.after(() => Promise.all(workers.map((worker) => worker.terminate())))
  await Promise.all(workers.map((worker) => once(worker, 'message')))
  const refresh = async (worker: Worker, session: Session): Promise<Refreshed[]> => {
    const answer = once(worker, 'message') as Promise<[Refreshed[]]>
    worker.postMessage(session)
    return (await answer)[0]
  }
  return {
    timesAsked: () => new Int32Array(asked)[0],
    everywhere: async (session: Session) =>
      (await Promise.all(workers.map((worker) => refresh(worker, session)))).flat(),
    oneByOne: async (session: Session) => {
      const results: Refreshed[] = []
      for (const worker of workers) results.push(...(await refresh(worker, session)))
      return results
    },
  }
}

test('all threads refresh a session once, and all of them get what came of it', async (t) => {
  const { timesAsked, everywhere, oneByOne } = await threads(t)
  const session = sessionWith('first')
  const results = await everywhere(session)
  assert.equal(results.length, 2 * THREADS)
  for (const result of results) {
    assert.equal((result as Session).refreshToken, 'first after 1')
    assert.deepEqual(result, results[0])
  }
  assert.deepEqual(await oneByOne(session), results, 'so do those who come later with the old one')
  assert.equal(timesAsked(), 1)
  const next = await oneByOne(results[0] as Session)
  assert.equal((next[0] as Session).refreshToken, 'first after 1 after 2')
  assert.equal(timesAsked(), 2)
})

test('a session that is over is so in all threads', async (t) => {
  const { timesAsked, everywhere, oneByOne } = await threads(t)
  const session = sessionWith('withdrawn')
  assert.deepEqual(new Set(await everywhere(session)), new Set(['over']))
  assert.deepEqual(new Set(await oneByOne(session)), new Set(['over']))
  assert.equal(timesAsked(), 1)
})
