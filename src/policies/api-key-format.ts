// The form of the API keys that Gatehouse makes: PREFIX_ with 43 characters of base62 (256 random bits)
// and 6 of a CRC-32 over all before them, so that a mistyped key, or one in a public file, is known
// by its looks.
import { hash, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const RANDOM_BYTES = 32
/** The least number of digits that hold 256 bits, and 32. */
const RANDOM_DIGITS = 43
const CHECKSUM_DIGITS = 6

/** What a prefix may look like. */
export const KEY_PREFIX = /^[a-z][a-z0-9]{1,15}$/

/** Makes a key. */
export function createApiKey(prefix: string): string {
  const number = BigInt(`0x${randomBytes(RANDOM_BYTES).toString('hex')}`)
  const start = `${prefix}_${base62(number, RANDOM_DIGITS)}`
  return start + checksum(start)
}

/** Whether the key is whole, as far as its checksum tells; one with another prefix is none of ours. */
export function hasChecksum(key: string, prefix: string): boolean {
  const length = prefix.length + 1 + RANDOM_DIGITS
  if (key.length !== length + CHECKSUM_DIGITS) return false
  return checksum(key.slice(0, length)) === key.slice(length)
}

/** The key at rest: its SHA-256 in base64url. */
export function apiKeyHash(key: string): string {
  return hash('sha256', key, 'base64url')
}

function checksum(start: string): string {
  return base62(BigInt(crc32(start)), CHECKSUM_DIGITS)
}

function base62(value: bigint, digits: number): string {
  let text = ''
  for (let rest = value; text.length < digits; rest /= 62n) {
    text = DIGITS.charAt(Number(rest % 62n)) + text
  }
  return text
}
