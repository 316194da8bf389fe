import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ManualClock } from '../../lib/clock.ts'
import { allocateStore, SharedMemoryStore } from '../../state/shared-memory-store.ts'
import type { Store } from '../../state/store.ts'
import { CountedFailures } from './failed-attempts.ts'

const BOUNDS = { perAddress: 3, perIdentity: 2, windowMs: 60_000 }

function failures(keysMax = 1_000) {
  const clock = new ManualClock()
  const store = new SharedMemoryStore(allocateStore({ threads: 1, keysMax }), 0, clock)
  return { clock, store, attempts: new CountedFailures(store, clock) }
}

describe('failed attempts', () => {
  test('are bounded per address and per identity, for a window', () => {
    const { clock, attempts } = failures()
    const mayTry = (address: string, identity: string | null) =>
      attempts.mayTry(BOUNDS, address, identity)
    attempts.failed(BOUNDS, '192.0.2.1', 'ann')
    attempts.failed(BOUNDS, '192.0.2.2', 'ann')
    assert.equal(mayTry('192.0.2.3', 'ann'), false, 'two failures for ann, from anywhere')
    assert.equal(mayTry('192.0.2.1', 'bob'), true)
    attempts.failed(BOUNDS, '192.0.2.1', 'bob')
    attempts.failed(BOUNDS, '192.0.2.1', null)
    assert.equal(mayTry('192.0.2.1', 'eve'), false, 'three failures of this address')
    assert.equal(mayTry('192.0.2.1', null), false)
    assert.equal(mayTry('192.0.2.9', null), true)
    clock.advance(60_000)
    assert.equal(mayTry('192.0.2.1', 'ann'), true)
  })

  test('of IPv6 count by /64, and of mapped IPv4 by the address', () => {
    const { attempts } = failures()
    for (const address of ['2001:db8:0:1::1', '2001:db8:0:1::ffff:2', '2001:db8:0:1:9:8:7:6']) {
      attempts.failed(BOUNDS, address, null)
    }
    assert.equal(attempts.mayTry(BOUNDS, '2001:DB8::1:0:0:0:4', null), false)
    assert.equal(attempts.mayTry(BOUNDS, '2001:db8:0:2::1', null), true)
    for (let count = 0; count < 3; count++) attempts.failed(BOUNDS, '::ffff:192.0.2.1', null)
    assert.equal(attempts.mayTry(BOUNDS, '192.0.2.1', null), false)
    assert.equal(attempts.mayTry(BOUNDS, '::ffff:192.0.2.2', null), true)
  })

  test('that cannot be counted let nobody unknown guess on', () => {
    const { clock, attempts } = failures(10)
    attempts.failed(BOUNDS, '198.51.100.1', 'known')
    for (let count = 0; count < 2_000; count++) {
      attempts.failed(BOUNDS, `10.0.${count >> 8}.${count & 255}`, null)
    }
    assert.equal(attempts.mayTry(BOUNDS, '192.0.2.1', 'new'), false)
    assert.equal(attempts.mayTry(BOUNDS, '198.51.100.1', 'known'), true)
    clock.advance(1_000)
    assert.equal(attempts.mayTry(BOUNDS, '192.0.2.1', 'new'), true, 'one may try')
    attempts.failed(BOUNDS, '192.0.2.1', 'new')
    assert.equal(attempts.mayTry(BOUNDS, '192.0.2.1', 'new'), false, 'and fails for all')
  })

  test('wait for a store that answers later', async () => {
    const { store, clock } = failures()
    const later: Store = {
      ...store,
      count: async (key: string) => store.count(key),
      increment: async (key: string, amount: number, ms: number) =>
        store.increment(key, amount, ms),
    } as Store
    const attempts = new CountedFailures(later, clock)
    attempts.failed(BOUNDS, '192.0.2.1', 'ann')
    attempts.failed(BOUNDS, '192.0.2.1', 'ann')
    assert.equal(await attempts.mayTry(BOUNDS, '192.0.2.5', 'ann'), false)
    assert.equal(await attempts.mayTry(BOUNDS, '192.0.2.5', 'bob'), true)
  })
})
