// Random identifiers, cheaply: random bytes are fetched in batches and never used twice.
import { randomFillSync } from 'node:crypto'

const POOL_BYTES = 4_096
const pool = Buffer.allocUnsafeSlow(POOL_BYTES)
let used = POOL_BYTES

/** `byteCount` random bytes as hexadecimal digits; at most 1,024 bytes. */
export function randomHex(byteCount: number): string {
  if (used + byteCount > POOL_BYTES) {
    randomFillSync(pool)
    used = 0
  }
  const start = used
  used += byteCount
  return pool.toString('hex', start, used)
}

const VARIANTS = '89ab'
let prefixMs = -1
let prefix = ''

/** The part of a UUID that is the time: 48 bits of milliseconds, and the version. */
function timePrefix(wallMs: number): string {
  const ms = Math.floor(wallMs)
  if (ms !== prefixMs) {
    const digits = ms.toString(16).padStart(12, '0')
    prefix = `${digits.slice(0, 8)}-${digits.slice(8, 12)}-7`
    prefixMs = ms
  }
  return prefix
}

/** A UUID of version 7 (RFC 9562 5.7): milliseconds since 1970, then 74 random bits. */
export function uuidV7(wallMs: number): string {
  const digits = randomHex(10)
  // The last of the 20 digits stands nowhere else, so its bits are free to choose the variant.
  const variant = VARIANTS[pool[used - 1]! & 3]!
  return `${timePrefix(wallMs)}${digits.slice(0, 3)}-${variant}${digits.slice(3, 6)}-${digits.slice(6, 18)}`
}
