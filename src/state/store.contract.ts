// What every store must hold to, an asynchronous one included: everything is awaited.
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { Limit, Store, TakeResult } from './store.ts'

/** A store under test, and its time. */
export interface StoreUnderTest {
  readonly store: Store
  /** Lets `ms` milliseconds pass for the store. */
  advance(ms: number): Promise<void> | void
  close(): Promise<void> | void
}

const gcra = (limit: number, periodMs: number, burst = limit): Limit => ({
  algorithm: 'gcra',
  limit,
  periodMs,
  burst,
})
const window = (limit: number, periodMs: number): Limit => ({
  algorithm: 'sliding-window',
  limit,
  periodMs,
  burst: 0,
})

/** Declares the suite; `make` gives an empty store. */
export function storeContract(name: string, make: () => StoreUnderTest | Promise<StoreUnderTest>) {
  let sut: StoreUnderTest
  const take = async (
    limits: readonly Limit[],
    keys: readonly string[],
    cost = 1,
  ): Promise<TakeResult> => ({ ...(await sut.store.take(limits, keys, cost, 'deny')) })
  /** How many takes of 1 pass before one is refused. */
  const passes = async (limit: Limit, key: string, max = 1_000): Promise<number> => {
    for (let count = 0; count < max; count++)
      if (!(await take([limit], [key])).allowed) return count
    return max
  }

  describe(`store: ${name}`, () => {
    beforeEach(async () => {
      sut = await make()
    })
    afterEach(() => sut.close())

    describe('gcra', () => {
      test('passes a burst at once, then one unit per interval', async () => {
        const limit = gcra(10, 1_000, 3)
        assert.equal(await passes(limit, 'k'), 3)
        await sut.advance(100)
        assert.equal(await passes(limit, 'k'), 1)
        await sut.advance(200)
        assert.equal(await passes(limit, 'k'), 2)
        await sut.advance(60_000)
        assert.equal(await passes(limit, 'k'), 3, 'unused time is worth no more than the burst')
      })

      test('says what is left, when all is back and when to come again', async () => {
        const limit = gcra(10, 1_000, 2)
        const first = await take([limit], ['k'])
        assert.equal(first.allowed, true)
        assert.equal(first.remaining, 1)
        assert.ok(first.resetMs > 90 && first.resetMs <= 101, `${first.resetMs}`)
        const second = await take([limit], ['k'])
        assert.equal(second.remaining, 0)
        const refused = await take([limit], ['k'])
        assert.equal(refused.allowed, false)
        assert.equal(refused.limitIndex, 0)
        assert.ok(
          refused.retryAfterMs > 0 && refused.retryAfterMs <= 101,
          `${refused.retryAfterMs}`,
        )
        await sut.advance(refused.retryAfterMs)
        assert.equal((await take([limit], ['k'])).allowed, true)
      })

      test('takes more than one unit at once, and never more than the burst', async () => {
        const limit = gcra(10, 1_000, 5)
        assert.equal((await take([limit], ['k'], 4)).remaining, 1)
        assert.equal((await take([limit], ['k'], 2)).allowed, false)
        assert.equal((await take([limit], ['k'], 1)).allowed, true)
        assert.equal((await take([limit], ['other'], 6)).retryAfterMs, -1)
      })

      test('is exact at high rates', async () => {
        assert.equal(await passes(gcra(333_333, 1_000, 777), 'k'), 777)
      })
    })

    describe('sliding window', () => {
      test('passes no more than the limit in any stretch of one period', async () => {
        const limit = window(20, 7_000)
        const taken: number[] = []
        let now = 0
        for (let step = 0; step < 120; step++) {
          const count = await passes(limit, 'k')
          for (let unit = 0; unit < count; unit++) taken.push(now)
          await sut.advance(311)
          now += 311
        }
        for (const start of taken) {
          const within = taken.filter((at) => at >= start && at < start + 7_000).length
          assert.ok(within <= 20, `${within} from ${start} on`)
        }
        assert.ok(taken.length >= 80, `it passes again: ${taken.length}`)
      })

      test('says what is left and when to come again', async () => {
        const limit = window(3, 7_000)
        assert.equal((await take([limit], ['k'], 2)).remaining, 1)
        const refused = await take([limit], ['k'], 2)
        assert.equal(refused.allowed, false)
        assert.equal(refused.remaining, 1)
        assert.ok(refused.retryAfterMs >= 7_000 && refused.retryAfterMs <= 8_000)
        await sut.advance(refused.retryAfterMs)
        assert.equal((await take([limit], ['k'], 2)).allowed, true)
        assert.equal((await take([limit], ['k'], 4)).retryAfterMs, -1)
      })
    })

    describe('take', () => {
      test('a refused take costs nothing, under none of the limits', async () => {
        const wide = gcra(10, 60_000)
        const narrow = window(2, 60_000)
        const both = ['wide', 'narrow']
        assert.equal((await take([wide, narrow], both)).allowed, true)
        assert.equal((await take([wide, narrow], both)).allowed, true)
        for (let count = 0; count < 20; count++) {
          const refused = await take([wide, narrow], both)
          assert.equal(refused.allowed, false)
          assert.equal(refused.limitIndex, 1)
        }
        assert.equal(await passes(wide, 'wide'), 8)
      })

      test('tells of the limit that has the least left', async () => {
        const result = await take(
          [gcra(10, 60_000), gcra(3, 60_000), gcra(5, 60_000)],
          ['a', 'b', 'c'],
        )
        assert.equal(result.limitIndex, 1)
        assert.equal(result.remaining, 2)
      })

      test('of several that refuse it tells the one that lasts longest', async () => {
        const limits = [gcra(1, 1_000), gcra(1, 60_000), gcra(1, 10_000)]
        await take(limits, ['a', 'b', 'c'])
        const refused = await take(limits, ['a', 'b', 'c'])
        assert.equal(refused.limitIndex, 1)
        assert.ok(refused.retryAfterMs > 50_000)
      })

      test('a cost of 0 passes, takes nothing and tells what is left', async () => {
        const limit = gcra(2, 60_000)
        assert.equal((await take([limit], ['k'], 0)).remaining, 2)
        assert.equal(await passes(limit, 'k'), 2)
        const free = await take([limit], ['k'], 0)
        assert.equal(free.allowed, true)
        assert.equal(free.remaining, 0)
      })

      test('keys do not know of each other', async () => {
        const limit = window(1, 60_000)
        for (const key of [
          'a',
          'b',
          '',
          'ä',
          'ä'.normalize('NFD'),
          '日本',
          '本日',
          'a\0',
          'a '.repeat(200),
        ]) {
          assert.equal(await passes(limit, key), 1, JSON.stringify(key))
        }
      })

      test('callers at once never get more than the limit', async () => {
        const limit = gcra(50, 3_600_000)
        const outcomes = Array.from({ length: 200 }, () => {
          const outcome = sut.store.take([limit], ['k'], 1, 'deny')
          return outcome instanceof Promise ? outcome.then((it) => it.allowed) : outcome.allowed
        })
        const results = await Promise.all(outcomes)
        assert.equal(results.filter(Boolean).length, 50)
      })
    })

    describe('counts and claims', () => {
      test('a count ends its lifetime after its first addition', async () => {
        assert.equal(await sut.store.increment('k', 2, 1_000), 2)
        await sut.advance(600)
        assert.equal(await sut.store.increment('k', 3, 1_000), 5)
        assert.equal(await sut.store.count('k'), 5)
        await sut.advance(500)
        assert.equal(await sut.store.count('k'), 0)
        assert.equal(await sut.store.increment('k', 1, 1_000), 1)
        assert.equal(await sut.store.count('unknown'), 0)
      })

      test('a claim has one holder, until it ends', async () => {
        const claims = await Promise.all(
          Array.from({ length: 10 }, () => sut.store.claim('nonce', 1_000)),
        )
        assert.deepEqual(claims.filter(Boolean), [true])
        await sut.advance(1_001)
        assert.equal(await sut.store.claim('nonce', 1_000), true)
        assert.equal(await sut.store.claim('other', 1_000), true)
      })

      test('a spend that would pass the bound adds nothing', async () => {
        const spend = async (amount: number, key = 'k') => ({
          ...(await sut.store.spend(key, amount, 10, 1_000)),
        })
        assert.deepEqual(await spend(7), { allowed: true, used: 7 })
        assert.deepEqual(await spend(4), { allowed: false, used: 7 })
        assert.deepEqual(await spend(3), { allowed: true, used: 10 })
        assert.deepEqual(await spend(0), { allowed: true, used: 10 })
        assert.deepEqual(await spend(1, 'other'), { allowed: true, used: 1 })
        await sut.advance(1_001)
        assert.deepEqual(await spend(1), { allowed: true, used: 1 })
      })
    })

    describe('places', () => {
      test('are as many as there are, and come back', async () => {
        const { store } = sut
        assert.equal(await store.enter('k', 2), true)
        assert.equal(await store.enter('k', 2), true)
        assert.equal(await store.enter('k', 2), false)
        assert.equal(await store.enter('other', 1), true)
        store.leave('k')
        assert.equal(await store.enter('k', 2), true)
        assert.equal(await store.enter('k', 2), false)
        assert.equal(await store.enter('none', 0), false)
      })
    })
  })
}
