// The room of mirroring: what is taken is bounded and given back, and comparisons take turns.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { KeptBody, MirrorRoom } from './mirror-room.ts'

describe('a kept body', () => {
  test('is what came, and never more memory than it may take', () => {
    const room = new MirrorRoom(100_000)
    const body = new KeptBody(room, 10_000)
    const lent = Buffer.alloc(100)
    for (let i = 0; i < 100; i++) {
      lent.fill(i)
      assert.equal(body.add(lent), null)
      assert.ok(100_000 - room.bytesLeft <= 10_000)
    }
    lent.fill(255)
    assert.equal(body.bytes.length, 10_000)
    for (let i = 0; i < 10_000; i++) assert.equal(body.bytes[i], Math.floor(i / 100))
    assert.equal(body.add(lent), 'too_large')
    assert.equal(body.bytes.length, 10_000)
    body.release()
    body.release()
    assert.equal(room.bytesLeft, 100_000)
  })

  test('finds no place in a room that others have filled', () => {
    const room = new MirrorRoom(3000)
    const [first, second] = [new KeptBody(room, 10_000), new KeptBody(room, 10_000)]
    assert.equal(first.add(Buffer.alloc(2000)), null)
    assert.equal(second.add(Buffer.alloc(2000)), 'memory')
    first.release()
    assert.equal(second.add(Buffer.alloc(2000)), null)
    second.release()
    assert.equal(room.bytesLeft, 3000)
  })
})

test('one comparison follows the other, also those that come meanwhile', async () => {
  const room = new MirrorRoom()
  const order: string[] = []
  await new Promise<void>((resolve) => {
    const job =
      (name: string, next = (): void => {}) =>
      async () => {
        order.push(`${name} begins`)
        await new Promise((done) => setImmediate(done))
        order.push(`${name} ends`)
        next()
      }
    room.compare(job('a', () => room.compare(job('c', resolve))))
    room.compare(job('b'))
  })
  assert.deepEqual(order, ['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends'])
})
