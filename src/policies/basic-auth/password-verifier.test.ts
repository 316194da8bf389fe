import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { ManualClock } from '../../lib/clock.ts'
import { allocateStore, SharedMemoryStore } from '../../state/shared-memory-store.ts'
import type { HashingTask } from './password-threads.test-support.ts'
import { PasswordVerifier, poolThreads, type VerifierSettings } from './password-verifier.ts'

const clock = new ManualClock()

function verifierOf(settings: VerifierSettings): PasswordVerifier {
  const places = new SharedMemoryStore(allocateStore({ threads: 1, keysMax: 256 }), 0, clock)
  return new PasswordVerifier(settings, { clock, places })
}

describe('the verifier of passwords', () => {
  test('hashes few at a time, lets few wait, in their order', async () => {
    const verifier = verifierOf({ concurrency: 2, queueMax: 2, rememberMs: 0 })
    assert.equal(verifier.enter(), true)
    assert.equal(verifier.enter(), true)
    const order: number[] = []
    const first = (verifier.enter() as Promise<void>).then(() => order.push(1))
    const second = (verifier.enter() as Promise<void>).then(() => order.push(2))
    assert.equal(verifier.enter(), false)
    verifier.leave()
    await first
    const third = verifier.enter()
    assert.equal(typeof third, 'object', 'a place in the queue is free again')
    verifier.leave()
    await second
    verifier.leave()
    await third
    assert.deepEqual(order, [1, 2])
  })

  test('remembers a bounded number, the newest', () => {
    const verifier = verifierOf({ concurrency: 1, queueMax: 0, rememberMs: 1_000 })
    for (let index = 0; index <= 10_000; index++) verifier.remember(`${index}`)
    assert.equal(verifier.isRemembered('0'), false)
    assert.equal(verifier.isRemembered('1'), true)
    assert.equal(verifier.isRemembered('10000'), true)
    clock.advance(1_000)
    assert.equal(verifier.isRemembered('10000'), false)
  })

  test('tells tickets apart by hash, name and password', () => {
    const verifier = verifierOf({ concurrency: 1, queueMax: 0, rememberMs: 1_000 })
    const tickets = [
      verifier.ticket('h', 'a', 'b'),
      verifier.ticket('h2', 'a', 'b'),
      verifier.ticket('h', 'ab', ''),
      verifier.ticket('h', 'a', 'b2'),
    ]
    assert.equal(new Set(tickets).size, 4)
    const other = verifierOf({ concurrency: 1, queueMax: 0, rememberMs: 1_000 })
    assert.notEqual(other.ticket('h', 'a', 'b'), tickets[0])
  })

  test('knows how many threads the pool of the process has', () => {
    for (const [setting, threads] of [
      [undefined, 4],
      ['8', 8],
      ['0', 1],
      ['many', 1],
      ['5000', 1_024],
    ] as const) {
      assert.equal(poolThreads(setting), threads)
    }
  })
})

describe('threads that hash passwords at once', () => {
  const THREADS = 3
  const REQUESTS = 30

  /** How many were hashed in each thread, and how many at most at the same time. */
  async function hashed(settings: Omit<VerifierSettings, 'rememberMs'>) {
    const buffers = allocateStore({ threads: THREADS, keysMax: 256 })
    const counts = new SharedArrayBuffer(8)
    const workers = Array.from({ length: THREADS }, (_, threadIndex) => {
      const task: HashingTask = {
        buffers,
        threadIndex,
        settings: { ...settings, rememberMs: 0 },
        requests: REQUESTS,
        counts,
      }
      const file = new URL('./password-threads.test-support.ts', import.meta.url)
      return new Worker(file, { workerData: task })
    })
    await Promise.all(workers.map((worker) => once(worker, 'message')))
    const answers = workers.map((worker) => once(worker, 'message') as Promise<[number]>)
    for (const worker of workers) worker.postMessage('go')
    const done = (await Promise.all(answers)).map(([count]) => count)
    await Promise.all(workers.map((worker) => worker.terminate()))
    const [now, most] = new Int32Array(counts)
    assert.equal(now, 0)
    const places = new SharedMemoryStore(buffers, 0)
    const next = new PasswordVerifier({ ...settings, rememberMs: 0 }, { clock, places })
    assert.equal(next.enter(), true, 'all places are free again')
    return { done, most: most! }
  }

  test('share the places, and nobody who waits is forgotten', async () => {
    const { done, most } = await hashed({ concurrency: 2, queueMax: 1_000 })
    assert.deepEqual(done, Array(THREADS).fill(REQUESTS))
    assert.equal(most, 2)
  })

  test('share the queue', async () => {
    const { done, most } = await hashed({ concurrency: 1, queueMax: 4 })
    const sum = done.reduce((total, count) => total + count, 0)
    assert.ok(most === 1 && sum >= 5 && sum < THREADS * REQUESTS, `${done} hashed, ${most} at once`)
  })
})
