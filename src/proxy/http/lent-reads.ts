// Reads of accepted sockets into memory that is lent for the time of one read, as `onread` offers it
// for sockets that we open. Node has no public way to ask for it on sockets that a server accepted;
// what `onread` sets can be set by hand, and is only where this was tested. Anywhere else nothing
// happens, and the socket's `data` events bring the same bytes at the price of a buffer for each.
import net, { type Socket } from 'node:net'

/** Versions of Node whose sockets are known to work like this. */
const TESTED_MAJORS = [24, 26]

/** What `onread` sets on a socket; not public. */
interface LendingSocket {
  [key: symbol]: unknown
  readonly _handle?: { useUserBuffer?(buffer: Buffer): void } | null
}

/** Takes what a socket reads. */
export interface Reader {
  /** Memory that stays untouched. */
  onOwned(data: Buffer): void
  /** `data` holds what was read in its first `size` bytes, until the call returns. */
  onLent(data: Buffer, size: number): void
  /** One of the others threw: the socket is lost. */
  onDefect(error: unknown): void
}

const keys = lendingKeys()

/** The symbols under which a socket keeps its buffer and its callback; null where they are not known. */
function lendingKeys(): { readonly buffer: symbol; readonly callback: symbol } | null {
  if (!TESTED_MAJORS.includes(Number.parseInt(process.versions.node, 10))) return null
  const symbols = Object.getOwnPropertySymbols(new net.Socket())
  const buffer = symbols.find(({ description }) => description === 'kBuffer')
  const callback = symbols.find(({ description }) => description === 'kBufferCb')
  return buffer === undefined || callback === undefined ? null : { buffer, callback }
}

/** Hands over what `socket` reads: in `buffer`, where that can be had, else in memory of its own. */
export function readSocket(socket: Socket, buffer: Buffer, reader: Reader): void {
  const guard = (data: Buffer, size: number, isLent: boolean): void => {
    try {
      if (isLent) reader.onLent(data, size)
      else reader.onOwned(data)
    } catch (error) {
      reader.onDefect(error)
      socket.destroy()
    }
  }
  // What was read before this, behind a PROXY header for one, comes as an event in any case.
  socket.on('data', (data: Buffer) => guard(data, data.length, false))
  const inner = socket as unknown as LendingSocket
  const handle = inner._handle
  if (keys === null || typeof handle?.useUserBuffer !== 'function') return
  inner[keys.buffer] = buffer
  inner[keys.callback] = (size: number, data: Buffer): boolean => {
    guard(data, size, true)
    return true
  }
  handle.useUserBuffer(buffer)
}
