// Random identifiers, cheaply: random bytes are fetched in batches and never used twice.
import { randomFillSync } from 'node:crypto'

const POOL_BYTES = 4_096
const DIGITS = POOL_BYTES * 2
const pool = Buffer.allocUnsafeSlow(POOL_BYTES)
let digits = ''
let used = DIGITS

/** `byteCount` random bytes as hexadecimal digits; at most 1,024 bytes. */
export function randomHex(byteCount: number): string {
  const start = take(byteCount * 2)
  return digits.slice(start, used)
}

/** Sets `count` digits aside that nobody else gets; returns where they begin. */
function take(count: number): number {
  if (used + count > DIGITS) {
    digits = randomFillSync(pool).toString('hex')
    used = 0
  }
  const start = used
  used += count
  return start
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
  const at = take(20)
  // Two bits of a digit that stands nowhere else choose the variant.
  const variant = VARIANTS[Number.parseInt(digits.slice(at + 18, at + 19), 16) & 3]!
  return (
    `${timePrefix(wallMs)}${digits.slice(at, at + 3)}-${variant}${digits.slice(at + 3, at + 6)}` +
    `-${digits.slice(at + 6, at + 18)}`
  )
}
