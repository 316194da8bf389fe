// Overwrites the memory that a socket lends to its reader as soon as the reader has returned. What is
// still needed then must have been copied or written out; if not, tests that compare bytes see these.
import net from 'node:net'
import tls from 'node:tls'

const MARK = 0x21

interface Lending {
  onread?: { buffer: Uint8Array; callback: (size: number, buffer: Uint8Array) => boolean }
}

/** How many reads were overwritten so far. */
export const lent = { overwritten: 0 }

function overwriting(options: Lending): Lending {
  const { onread } = options
  if (onread === undefined) return options
  const callback = (size: number, buffer: Uint8Array): boolean => {
    try {
      return onread.callback(size, buffer)
    } finally {
      buffer.fill(MARK, 0, size)
      lent.overwritten++
    }
  }
  return { ...options, onread: { buffer: onread.buffer, callback } }
}

for (const module of [net, tls] as { connect: (...args: never[]) => unknown }[]) {
  const connect = module.connect as (...args: unknown[]) => unknown
  module.connect = (...args: unknown[]) => {
    const [options, ...rest] = args
    return typeof options === 'object' && options !== null
      ? connect.call(module, overwriting(options as Lending), ...rest)
      : connect.apply(module, args)
  }
}
