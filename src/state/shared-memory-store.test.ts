import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, type TestContext, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { ManualClock } from '../lib/clock.ts'
import { KeyedHash } from './keyed-hash.ts'
import type { StoreTask } from './shared-memory-store.test-support.ts'
import { allocateStore, SharedMemoryStore, type StoreBuffers } from './shared-memory-store.ts'
import { storeContract } from './store.contract.ts'
import type { Limit } from './store.ts'

storeContract('shared memory', () => {
  const clock = new ManualClock()
  // Far from 0, where bits of time are lost first: 12 years after the machine was started.
  clock.advance(12 * 365 * 86_400_000 + 0.123)
  const buffers = allocateStore({ threads: 1, keysMax: 1_000 })
  return {
    store: new SharedMemoryStore(buffers, 0, clock),
    advance: (ms) => clock.advance(ms),
    close() {},
  }
})

/** So slow that no unit comes back while a test runs. */
const PERIOD_MS = 1e12
const slow = (limit: number): Limit => ({
  algorithm: 'gcra',
  limit,
  periodMs: PERIOD_MS,
  burst: limit,
})

describe('the table of keys', () => {
  const manual = (keysMax: number) => {
    const clock = new ManualClock()
    const buffers = allocateStore({ threads: 1, keysMax })
    return { clock, store: new SharedMemoryStore(buffers, 0, clock) }
  }

  test('holds as many keys as it was made for', () => {
    const { store } = manual(20_000)
    const limit = [slow(2)]
    for (let key = 0; key < 20_000; key++) store.take(limit, [`k${key}`], 1, 'deny')
    assert.ok(store.noRoom <= 4, `${store.noRoom} of 20,000 found no room`)
  })

  test('when full, new keys are refused or pass as asked, and known ones go on', () => {
    const { store, clock } = manual(100)
    const limit = [slow(2)]
    const known = 'known'
    store.take(limit, [known], 1, 'deny')
    for (let key = 0; key < 5_000; key++) store.take(limit, [`k${key}`], 1, 'deny')
    assert.ok(store.noRoom > 4_000)
    const before = store.noRoom
    const refused = store.take(limit, ['new'], 1, 'deny')
    assert.equal(refused.allowed, false)
    assert.ok(refused.retryAfterMs > 0)
    assert.equal(store.take(limit, ['new'], 1, 'allow').allowed, true)
    assert.equal(store.noRoom, before + 2)
    assert.equal(store.increment('new count', 1, 1_000), Number.POSITIVE_INFINITY)
    assert.equal(store.claim('new claim', 1_000), false)
    assert.equal(store.take(limit, [known], 1, 'deny').allowed, true)
    assert.equal(store.take(limit, [known], 1, 'deny').allowed, false)
    clock.advance(PERIOD_MS)
    assert.equal(store.take(limit, ['new'], 1, 'deny').allowed, true, 'ended keys make room')
  })

  test('a take of several limits with room for only some takes nothing', () => {
    const { store } = manual(100)
    const one = [slow(5)]
    for (let key = 0; key < 5_000; key++) store.take(one, [`k${key}`], 1, 'deny')
    const known = Array.from({ length: 5_000 }, (_, key) => `k${key}`).find(
      (key) => store.take(one, [key], 0, 'deny').remaining === 4,
    )!
    assert.equal(store.take([...one, ...one], [known, 'new'], 1, 'deny').allowed, false)
    assert.equal(store.take(one, [known], 0, 'deny').remaining, 4)
    assert.equal(store.take([...one, ...one], [known, 'new'], 1, 'allow').allowed, true)
    assert.equal(store.take(one, [known], 0, 'deny').remaining, 3)
  })

  test('places of a key that nobody is in make room', () => {
    const { store } = manual(4)
    for (let key = 0; key < 50_000; key++) {
      assert.equal(store.enter(`k${key}`, 1), true)
      store.leave(`k${key}`)
    }
    assert.equal(store.noRoom, 0)
  })
})

describe('the hash of keys', () => {
  test('is Chaskey', () => {
    const hash = new KeyedHash(
      Int32Array.of(0x833d3433, 0x009f389f, 0x2398e64f, 0x417acf39, 1, 2, 3, 4),
    )
    const words = (text: string) => {
      hash.read(text)
      return [hash.a, hash.b, hash.c, hash.d].map((word) => (word >>> 0).toString(16))
    }
    // The first two of the authors' test vectors: no bytes, and one byte of 0.
    assert.deepEqual(words(''), ['792e8fe5', '75ce87aa', '2d1450b5', '1191970b'])
    assert.deepEqual(words('\0'), ['13a9307b', '50e62c89', '4577bd88', 'c0bbdc18'])
  })

  test('tells texts apart whatever their characters and lengths', () => {
    const hash = new KeyedHash(crypto.getRandomValues(new Int32Array(8)))
    const seen = new Map<string, string>()
    for (const unit of ['a', '\0', '\x01', 'ÿ', 'Ā', '\u0001\u0000', '💡', '\ud83d']) {
      for (let length = 0; length < 70; length++) {
        const text = unit.repeat(length)
        hash.read(text)
        const key = `${hash.a},${hash.b},${hash.c},${hash.d}`
        assert.equal(seen.get(key) ?? text, text)
        seen.set(key, text)
      }
    }
  })
})

class StoreThread {
  readonly worker: Worker

  private constructor(buffers: StoreBuffers, threadIndex: number) {
    this.worker = new Worker(new URL('./shared-memory-store.test-support.ts', import.meta.url), {
      workerData: { buffers, threadIndex },
    })
  }

  static async start(t: TestContext, buffers: StoreBuffers, index: number): Promise<StoreThread> {
    const thread = new StoreThread(buffers, index)
    t.after(() => thread.worker.terminate())
    await once(thread.worker, 'message')
    return thread
  }

  async tell(task: StoreTask): Promise<number> {
    this.worker.postMessage(task)
    return (await once(this.worker, 'message'))[0] as number
  }
}

describe('four threads', () => {
  const start = async (t: TestContext) => {
    const buffers = allocateStore({ threads: 5, keysMax: 1_000 })
    const threads = await Promise.all(
      [0, 1, 2, 3].map((index) => StoreThread.start(t, buffers, index)),
    )
    const all = async (task: StoreTask) => {
      const allowed = await Promise.all(threads.map((thread) => thread.tell(task)))
      return allowed.reduce((sum, count) => sum + count, 0)
    }
    return { buffers, threads, all, own: new SharedMemoryStore(buffers, 4) }
  }

  test('never pass more than the limit together, each alone or several at once', async (t) => {
    const { all, own } = await start(t)
    const times = 20_000
    const window: Limit = { ...slow(1_000), algorithm: 'sliding-window' }
    assert.equal(await all({ do: 'take', limits: [slow(12_345)], keys: ['a'], times }), 12_345)
    assert.equal(await all({ do: 'take', limits: [window], keys: ['w'], times }), 1_000)
    const limits = [slow(5_000), window, slow(3_000)]
    assert.equal(await all({ do: 'take', limits, keys: ['x', 'y', 'z'], times }), 1_000)
    assert.equal(own.take([slow(5_000)], ['x'], 0, 'deny').remaining, 4_000)
    assert.equal(own.take([slow(3_000)], ['z'], 0, 'deny').remaining, 2_000)
    assert.equal(await all({ do: 'spend', key: 'month', max: 7_777, times }), 7_777)
  })

  test('give up their places when they die, and only theirs', async (t) => {
    const { all, threads, own } = await start(t)
    assert.equal(await all({ do: 'enter', key: 'k', max: 1_000, times: 200 }), 800)
    await threads[1]!.worker.terminate()
    own.releaseThread(1)
    let free = 0
    while (own.enter('k', 1_000)) free++
    assert.equal(free, 400)
  })

  test('go on when one is killed while it holds a lock', async (t) => {
    const { buffers, threads, own } = await start(t)
    const limits = [slow(1_000)]
    assert.equal(await threads[0]!.tell({ do: 'die-with-lock', key: 'k' }), 1)
    const inDoubt = own.take(limits, ['k'], 1, 'deny')
    assert.equal(inDoubt.allowed, false, 'in doubt the limit holds')
    assert.equal(own.take(limits, ['k'], 1, 'allow').allowed, true)
    assert.equal(await threads[1]!.tell({ do: 'take', limits, keys: ['k'], times: 3 }), 0)
    await threads[0]!.worker.terminate()
    new SharedMemoryStore(buffers, 4).releaseThread(0)
    assert.equal(await threads[1]!.tell({ do: 'take', limits, keys: ['k'], times: 2_000 }), 1_000)
  })
})
