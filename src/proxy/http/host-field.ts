// Checks Host and the authority of a target: names, addresses and ports, and nothing else.

/** A host with an optional port, without userinfo (RFC 9110 7.2, RFC 3986 3.2.2; narrowed to what names use). */
export function isHost(host: string): boolean {
  let end = host.length
  if (end === 0 || end > 255 + 6) return false
  if (host.charCodeAt(0) === 0x5b) {
    const close = host.indexOf(']')
    if (close < 3) return false
    for (let i = 1; i < close; i++) if (!isIpv6Code(host.charCodeAt(i))) return false
    return close + 1 === end || isPort(host, close + 1)
  }
  const colon = host.indexOf(':')
  if (colon !== -1) {
    if (!isPort(host, colon)) return false
    end = colon
  }
  if (end === 0) return false
  for (let i = 0; i < end; i++) {
    const code = host.charCodeAt(i)
    const isNameCode =
      (code >= 0x61 && code <= 0x7a) ||
      (code >= 0x41 && code <= 0x5a) ||
      (code >= 0x30 && code <= 0x39) ||
      code === 0x2d ||
      code === 0x2e ||
      code === 0x5f ||
      code === 0x7e
    if (!isNameCode) return false
  }
  return true
}

function isIpv6Code(code: number): boolean {
  const lower = code | 0x20
  return (code >= 0x30 && code <= 0x3a) || (lower >= 0x61 && lower <= 0x66) || code === 0x2e
}

/** Whether `host` continues at `colon` with ':' and a port number, and ends there. */
function isPort(host: string, colon: number): boolean {
  if (host.charCodeAt(colon) !== 0x3a) return false
  const digits = host.length - colon - 1
  if (digits < 1 || digits > 5) return false
  let port = 0
  for (let i = colon + 1; i < host.length; i++) {
    const digit = host.charCodeAt(i) - 0x30
    if (digit < 0 || digit > 9) return false
    port = port * 10 + digit
  }
  return port <= 65535
}
