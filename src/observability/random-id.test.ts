import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomHex, uuidV7 } from './random-id.ts'

test('ids do not repeat, over many fillings of the pool', () => {
  const seen = new Set<string>()
  for (let count = 0; count < 20_000; count++) seen.add(randomHex(16))
  assert.equal(seen.size, 20_000)
  for (const id of seen) assert.match(id, /^[0-9a-f]{32}$/)
})

test('a version 7 UUID begins with its time, has the right variant, and sorts by time', () => {
  const id = uuidV7(0x017f22e279b0)
  assert.match(id, /^017f22e2-79b0-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.ok(uuidV7(1_000) < uuidV7(1_001))
  const variants = new Set(Array.from({ length: 1_000 }, () => uuidV7(1)[19]))
  assert.deepEqual([...variants].sort(), ['8', '9', 'a', 'b'])
  const ids = new Set(Array.from({ length: 10_000 }, () => uuidV7(1)))
  assert.equal(ids.size, 10_000)
})
