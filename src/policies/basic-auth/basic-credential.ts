// Reads the credential of `Authorization: Basic` (RFC 7617).

/** A user name and a password as a client sent them. */
export interface BasicCredential {
  readonly username: string
  readonly password: string
}

/** Longer ones are refused unread. */
const VALUE_LENGTH_MAX = 2_048
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/
const CONTROL = /[\x00-\x1f\x7f]/
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The credential; 'other' for another scheme, 'malformed' for what cannot be read. */
export function parseBasic(value: string): BasicCredential | 'other' | 'malformed' {
  if (value.slice(0, 5).toLowerCase() !== 'basic') return 'other'
  if (value.length === 5) return 'malformed'
  if (value.charCodeAt(5) !== 0x20) return 'other'
  const encoded = value.slice(6).trim()
  if (encoded.length > VALUE_LENGTH_MAX || !BASE64.test(encoded)) return 'malformed'
  let text: string
  try {
    text = utf8.decode(Buffer.from(encoded, 'base64'))
  } catch {
    return 'malformed'
  }
  const colon = text.indexOf(':')
  if (colon < 0 || CONTROL.test(text)) return 'malformed'
  return { username: text.slice(0, colon), password: text.slice(colon + 1) }
}
