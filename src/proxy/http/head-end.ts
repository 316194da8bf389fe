// Finds the end of a request head, or the reason why there will be none.
import type { ErrorCode } from '../../errors.ts'
import { hasBareLineBreak } from './chunked-decoder.ts'

const HEAD_END = Buffer.from('\r\n\r\n')

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
