// The PROXY protocol, versions 1 and 2: a load balancer says in front of the first byte who connected
// to it. Strict and bounded; what is not exactly such a header is refused, never guessed at.
import { isIP } from 'node:net'
import { plainAddress } from './client-address.ts'

/** Who opened a connection. */
export interface ClientAddress {
  readonly ip: string
  readonly port: number
}

/** A header that was read. */
export interface ProxyHeader {
  /** Null: the balancer speaks for itself (LOCAL), or does not know (UNKNOWN, UNSPEC). */
  readonly client: ClientAddress | null
  /** Its length in bytes; the client's own follow. */
  readonly bytes: number
}

/** The longest line of version 1, CRLF included. */
const LINE_BYTES_MAX = 107
/** The longest header of version 2, with the extensions that are skipped. */
export const PROXY_HEADER_BYTES_MAX = 4096
const LINE_START = Buffer.from('PROXY ', 'latin1')
const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
/** Signature, version with command, family, length. */
const PREFIX_BYTES = 16
const LOCAL = 0x20
const PROXY = 0x21
const UNSPEC = 0x00
const TCP_OVER_IPV4 = 0x11
const TCP_OVER_IPV6 = 0x21
const LINE =
  /^PROXY (?:TCP4 ([0-9.]{7,15}) ([0-9.]{7,15})|TCP6 ([0-9a-fA-F:.]{2,39}) ([0-9a-fA-F:.]{2,39})) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})$/
const UNKNOWN_LINE = /^PROXY UNKNOWN(?: [\x20-\x7e]*)?$/

/**
 * Reads the header that must stand at the beginning of `bytes`.
 * @returns the header; null while more bytes are needed; false when there is none, or a malformed one.
 */
export function parseProxyHeader(bytes: Buffer): ProxyHeader | null | false {
  if (bytes.length === 0) return null
  if (bytes[0] === LINE_START[0]) return parseLine(bytes)
  return bytes[0] === SIGNATURE[0] ? parseBinary(bytes) : false
}

function beginsLike(bytes: Buffer, expected: Buffer): boolean {
  const length = Math.min(bytes.length, expected.length)
  return bytes.compare(expected, 0, length, 0, length) === 0
}

/** Version 1: `PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n`. */
function parseLine(bytes: Buffer): ProxyHeader | null | false {
  if (!beginsLike(bytes, LINE_START)) return false
  const text = bytes.toString('latin1', 0, Math.min(bytes.length, LINE_BYTES_MAX))
  const end = text.indexOf('\r\n')
  if (end === -1) return text.length < LINE_BYTES_MAX && !/[\n]|\r./.test(text) ? null : false
  const line = text.slice(0, end)
  if (UNKNOWN_LINE.test(line)) return { client: null, bytes: end + 2 }
  const parts = LINE.exec(line)
  if (parts === null) return false
  const version = parts[1] === undefined ? 6 : 4
  const source = parts[1] ?? parts[3]!
  const destination = parts[2] ?? parts[4]!
  if (isIP(source) !== version || isIP(destination) !== version) return false
  const port = Number(parts[5])
  if (port > 65_535 || Number(parts[6]) > 65_535) return false
  return { client: { ip: plainAddress(source), port }, bytes: end + 2 }
}

/** Version 2: the signature, then addresses in binary and extensions, which are skipped. */
function parseBinary(bytes: Buffer): ProxyHeader | null | false {
  if (!beginsLike(bytes, SIGNATURE)) return false
  if (bytes.length >= 13 && bytes[12] !== PROXY && bytes[12] !== LOCAL) return false
  if (bytes.length < PREFIX_BYTES) return null
  const length = PREFIX_BYTES + bytes.readUInt16BE(14)
  if (length > PROXY_HEADER_BYTES_MAX) return false
  const family = bytes[13]!
  if (bytes[12] === LOCAL || family === UNSPEC) {
    return bytes.length < length ? null : { client: null, bytes: length }
  }
  if (family !== TCP_OVER_IPV4 && family !== TCP_OVER_IPV6) return false
  const addressBytes = family === TCP_OVER_IPV4 ? 4 : 16
  if (length < PREFIX_BYTES + 2 * addressBytes + 4) return false
  if (bytes.length < length) return null
  const port = bytes.readUInt16BE(PREFIX_BYTES + 2 * addressBytes)
  const address = bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + addressBytes)
  return { client: { ip: addressText(address), port }, bytes: length }
}

/** An address of 4 or 16 bytes as text; of the latter in the shortest form (RFC 5952). */
function addressText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.')
  const groups: string[] = []
  for (let i = 0; i < 16; i += 2) groups.push(bytes.readUInt16BE(i).toString(16))
  if (groups.slice(0, 5).every((group) => group === '0') && groups[5] === 'ffff') {
    return bytes.subarray(12).join('.')
  }
  return shortestForm(groups)
}

/** The longest run of two or more zero groups, the first of equals, becomes `::`. */
function shortestForm(groups: readonly string[]): string {
  let start = -1
  let length = 1
  for (let i = 0; i < 8; i++) {
    let end = i
    while (end < 8 && groups[end] === '0') end++
    if (end - i > length) {
      start = i
      length = end - i
    }
  }
  if (start === -1) return groups.join(':')
  return `${groups.slice(0, start).join(':')}::${groups.slice(start + length).join(':')}`
}
