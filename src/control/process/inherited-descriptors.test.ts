import assert from 'node:assert/strict'
import { closeSync, fstatSync, openSync } from 'node:fs'
import { test } from 'node:test'
import { DescriptorStock, planDescriptors } from './inherited-descriptors.ts'

const descriptor = (fd: number) => ({ fd: () => fd, close: () => {} })

test('every socket of every listener arrives several times, at the places it was told', () => {
  const plan = planDescriptors([
    { key: 'a', port: 80, descriptors: [descriptor(10), descriptor(11)] },
    { key: 'b', port: 81, descriptors: [descriptor(12)] },
  ])
  assert.equal(plan.stdio.length, 96)
  for (const [index, fds] of [
    [0, [10, 11]],
    [1, [12]],
  ] as const) {
    for (const [thread, fd] of fds.entries()) {
      for (const place of plan.sockets[index]!.copies[thread]!)
        assert.equal(plan.stdio[place - 4], fd)
    }
  }
  const places = plan.sockets.flatMap((socket) => socket.copies.flat())
  assert.equal(new Set(places).size, 96)
})

test('many sockets get fewer copies, never less than one spare', () => {
  const many = Array.from({ length: 64 }, (_, index) => descriptor(index))
  const copies = (listeners: number) =>
    planDescriptors(
      Array.from({ length: listeners }, (_, key) => ({
        key: `${key}`,
        port: 1,
        descriptors: many,
      })),
    ).sockets[0]!.copies[0]!.length
  assert.equal(copies(1), 16)
  assert.equal(copies(4), 4)
  assert.equal(copies(40), 2)
})

test('a stock hands out each copy once and closes what is left', () => {
  const open = () => openSync('/dev/null', 'r')
  const [first, second, third] = [open(), open(), open()]
  const stock = new DescriptorStock([{ key: 'a', port: 8080, copies: [[first, second], [third]] }])
  assert.equal(stock.has('b'), false)
  assert.equal(stock.port('a', 0), 8080)
  assert.equal(stock.port('b', 9), 9)
  assert.equal(stock.take('a', 0), first)
  assert.equal(stock.left(['a'], 0), 1)
  assert.equal(stock.take('a', 1), third)
  assert.equal(stock.take('a', 1), null)
  assert.equal(stock.take('a', 5), null)
  stock.close()
  assert.throws(() => fstatSync(second), { code: 'EBADF' })
  assert.equal(stock.take('a', 0), null)
  for (const fd of [first, third]) closeSync(fd)
})
