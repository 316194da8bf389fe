// Finds the end of a request head, or the reason why there will be none.
import type { ErrorCode } from '../../errors.ts'
import { hasBareLineBreak } from './chunked-decoder.ts'

const HEAD_END = Buffer.from('\r\n\r\n')

/** Where a head begins: one empty line before it is tolerated (RFC 9112 2.2). */
export function headStart(data: Buffer): number {
  return data[0] === 0x0d && data[1] === 0x0a ? 2 : 0
}

/** Where the head in the first `size` bytes ends; -1 when it is not whole, or too large. */
export function wholeHeadEnd(data: Buffer, size: number, headBytesMax: number): number {
  const start = headStart(data)
  const end = data.indexOf(HEAD_END, start) + 4
  return end >= start + 4 && end <= size && end - start <= headBytesMax ? end : -1
}

/**
 * @param start where the head begins.
 * @param searched how much of `data` was looked through before.
 * @returns where the head ends, its empty line included; -1 when more must come; or what is wrong
 * with it already.
 */
export function findHeadEnd(
  data: Buffer,
  start: number,
  searched: number,
  headBytesMax: number,
): number | ErrorCode {
  const end = data.indexOf(HEAD_END, Math.max(start, searched - 3))
  if (end !== -1 && end + 4 - start <= headBytesMax) return end + 4
  const hasLine = data.indexOf('\r\n', start) !== -1
  if (data.length - start > headBytesMax) return hasLine ? 'head_too_large' : 'target_too_long'
  if (hasBareLineBreak(data.toString('latin1', start))) {
    return hasLine ? 'bad_header' : 'bad_request_line'
  }
  return -1
}
