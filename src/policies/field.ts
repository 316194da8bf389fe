// Header names in the settings of policies, and which of them no policy may touch.
import { z } from 'zod'

/** A header name (RFC 9110 5.1), kept as it is written. */
export function fieldName() {
  return z.string().regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}$/, 'this is not a valid header name')
}

const CONNECTION_FIELDS = [
  'connection',
  'content-length',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]

const REQUEST_FIELDS = [
  'expect',
  'forwarded',
  'host',
  'via',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
]

const PROTECTED = {
  request: new Set([...CONNECTION_FIELDS, ...REQUEST_FIELDS]),
  response: new Set(CONNECTION_FIELDS),
}

/** Whether the gateway itself writes this field, because framing, routing or trust hang on it. */
export function isProtectedField(name: string, side: 'request' | 'response'): boolean {
  return PROTECTED[side].has(name.toLowerCase())
}

const SECRET_PARTS = [
  'apikey',
  'auth',
  'cookie',
  'credential',
  'jwt',
  'password',
  'passwd',
  'pwd',
  'secret',
  'session',
  'signature',
  'token',
]
const SECRET_NAMES = new Set(['code', 'key', 'otp', 'pass', 'pin', 'sid', 'sig'])

/** Whether a header or query parameter of this name probably carries something that logs must not hold. */
export function looksSecret(name: string): boolean {
  const plain = name.toLowerCase().replaceAll('-', '').replaceAll('_', '')
  if (SECRET_NAMES.has(plain)) return true
  for (let index = 0; index < SECRET_PARTS.length; index++) {
    if (plain.includes(SECRET_PARTS[index]!)) return true
  }
  return false
}
