// Makes headers of the PROXY protocol for tests, right ones and wrong ones.

/** Version 2: command with version, family with transport, then whatever follows them. */
export function proxyHeaderV2(command: number, family: number, body: Buffer): Buffer {
  const prefix = Buffer.from('\r\n\r\n\0\r\nQUIT\n\0\0\0\0', 'latin1')
  prefix[12] = command
  prefix[13] = family
  prefix.writeUInt16BE(body.length, 14)
  return Buffer.concat([prefix, body])
}

/** Version 2 with a client over IPv4, and extensions. */
export function proxyFrom(ip: string, port: number, extensions: Buffer = Buffer.alloc(0)): Buffer {
  const body = Buffer.alloc(12)
  Buffer.from(ip.split('.').map(Number)).copy(body)
  body.writeUInt16BE(port, 8)
  return proxyHeaderV2(0x21, 0x11, Buffer.concat([body, extensions]))
}

/** Version 1. */
export function proxyLine(ip: string, port: number): string {
  const family = ip.includes(':') ? 'TCP6' : 'TCP4'
  return `PROXY ${family} ${ip} ${ip} ${port} 443\r\n`
}
