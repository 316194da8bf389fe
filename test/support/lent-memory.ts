// Overwrites the memory that a socket lends to its reader as soon as the reader has returned. What is
// still needed then must have been copied or written out; if not, tests that compare bytes see these.
import net from 'node:net'
// It looks at what a socket is made of, and has to do so before that changes here.
import '../../src/proxy/http/lent-reads.ts'

const MARK = 0x21

type Callback = (this: net.Socket, size: number, buffer: Uint8Array) => boolean

/** How many reads were overwritten so far: of sockets that were opened, and of accepted ones. */
export const lent = { opened: 0, accepted: 0 }

function overwriting(callback: Callback): Callback {
  return function (size, buffer) {
    try {
      return callback.call(this, size, buffer)
    } finally {
      buffer.fill(MARK, 0, size)
      if ((this as { server?: unknown }).server === null) lent.opened++
      else lent.accepted++
    }
  }
}

const symbols = Object.getOwnPropertySymbols(new net.Socket())
const key = symbols.find(({ description }) => description === 'kBufferCb')
if (key === undefined) throw new Error('sockets no longer keep their `onread` under kBufferCb')
const callbacks = new WeakMap<net.Socket, Callback>()
Object.defineProperty(net.Socket.prototype, key, {
  get(this: net.Socket) {
    return callbacks.get(this) ?? null
  },
  set(this: net.Socket, callback: Callback | null) {
    if (callback === null) callbacks.delete(this)
    else callbacks.set(this, overwriting(callback))
  },
})
