// Bytes that arrive in pieces, as one.

/** `data` behind what came before it; the same memory where nothing did. */
export function joined(before: Buffer, data: Buffer): Buffer {
  return before.length === 0 ? data : Buffer.concat([before, data])
}
