// Picking runs once per request: it may not leave garbage behind, nor hold on to anything.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { getHeapStatistics } from 'node:v8'
import { contextOf, endpointsOf, requestOf } from './balancer.contract.ts'
import { BALANCERS, type BalanceSettings, pickerFactory } from './registry.ts'

const PICKS = 50_000
// A few numbers that are no small integers may be boxed; an object or an array would be more.
const BYTES_PER_PICK_MAX = 100

const ALL: readonly BalanceSettings[] = [
  ...(Object.keys(BALANCERS) as (keyof typeof BALANCERS)[]),
  { hash: { by: 'header', name: 'x-user' } },
]

for (const balance of ALL) {
  for (const sticky of [null, { cookie: 'stay', secret: 'secret' }]) {
    const name = typeof balance === 'string' ? balance : 'hash'
    test(`${name}${sticky === null ? '' : ', sticky,'} allocates next to nothing per pick`, () => {
      const { table, endpoints } = endpointsOf(new Array(10).fill(1))
      const picker = pickerFactory(balance, sticky)(endpoints, contextOf(table))
      const request = requestOf(1)
      const bytes: number[] = []
      for (let round = 0; round < 6; round += 1) {
        const before = getHeapStatistics().total_allocated_bytes
        for (let pick = 0; pick < PICKS; pick += 1) {
          const endpoint = picker.pick(request, [])!
          endpoint.begin()
          endpoint.end(3.5, false)
        }
        bytes.push((getHeapStatistics().total_allocated_bytes - before) / PICKS)
      }
      assert.ok(Math.min(...bytes) < BYTES_PER_PICK_MAX, `bytes per pick: ${bytes}`)
    })
  }
}
