// The PROXY header, read whole and cut at every byte; and that nothing else passes for one.
import assert from 'node:assert/strict'
import { isIPv6 } from 'node:net'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { propertyOptions } from '../../../test/support/property.ts'
import { proxyHeaderV2 } from '../../../test/support/proxy-header.ts'
import { PROXY_HEADER_BYTES_MAX, type ProxyHeader, parseProxyHeader } from './proxy-protocol.ts'

/** What comes out of these bytes: the same however they are cut, and whatever follows them. */
function parse(text: string | Buffer): ProxyHeader | false {
  const bytes = typeof text === 'string' ? Buffer.from(text, 'latin1') : text
  for (let length = 0; length < bytes.length; length++) {
    const early = parseProxyHeader(bytes.subarray(0, length))
    if (early === false) {
      assert.equal(parseProxyHeader(bytes), false, `refused after ${length} bytes, then not`)
      return false
    }
    assert.equal(early, null, `complete after ${length} of ${bytes.length} bytes`)
  }
  const header = parseProxyHeader(bytes)
  assert.notEqual(header, null, 'not decided at its end')
  assert.deepEqual(parseProxyHeader(Buffer.concat([bytes, Buffer.from('GET /')])), header)
  return header as ProxyHeader | false
}

describe('version 1', () => {
  for (const [line, client] of [
    ['TCP4 192.0.2.1 192.0.2.2 4711 443', { ip: '192.0.2.1', port: 4711 }],
    ['TCP4 255.255.255.255 255.255.255.255 65535 65535', { ip: '255.255.255.255', port: 65535 }],
    ['TCP4 0.0.0.0 0.0.0.0 0 0', { ip: '0.0.0.0', port: 0 }],
    ['TCP6 2001:db8::1 2001:db8::2 4711 443', { ip: '2001:db8::1', port: 4711 }],
    ['TCP6 ::1 :: 1 2', { ip: '::1', port: 1 }],
    ['TCP6 ::ffff:192.0.2.1 ::1 1 2', { ip: '192.0.2.1', port: 1 }],
    ['UNKNOWN', null],
    ['UNKNOWN ffff::1 ffff::2 65535 65535', null],
    ['UNKNOWN whatever it is', null],
  ] as const) {
    test(line, () => {
      const text = `PROXY ${line}\r\n`
      assert.deepEqual(parse(text), { client, bytes: text.length })
    })
  }

  for (const line of [
    'TCP4 192.0.2.1 192.0.2.2 4711 443\n',
    'TCP4 192.0.2.1 192.0.2.2 4711 443\r\r\n',
    'TCP4 192.0.2.1 192.0.2.2 4711 443 \r\n',
    'TCP4 192.0.2.1 192.0.2.2 4711\r\n',
    'TCP4 192.0.2.1 192.0.2.2 4711 443 1\r\n',
    'TCP4  192.0.2.1 192.0.2.2 4711 443\r\n',
    'TCP4 192.0.2.1\t192.0.2.2 4711 443\r\n',
    'TCP4 192.0.2.1 192.0.2.2 65536 443\r\n',
    'TCP4 192.0.2.1 192.0.2.2 04711 443\r\n',
    'TCP4 192.0.2.1 192.0.2.2 -1 443\r\n',
    'TCP4 192.0.2.256 192.0.2.2 4711 443\r\n',
    'TCP4 192.0.2.01 192.0.2.2 4711 443\r\n',
    'TCP4 192.0.2.1 host 4711 443\r\n',
    'TCP4 ::1 ::1 4711 443\r\n',
    'TCP6 192.0.2.1 192.0.2.2 4711 443\r\n',
    'TCP6 2001:db8::1::2 ::1 4711 443\r\n',
    'TCP6 fe80::1%eth0 ::1 4711 443\r\n',
    'UDP4 192.0.2.1 192.0.2.2 4711 443\r\n',
    'tcp4 192.0.2.1 192.0.2.2 4711 443\r\n',
    'UNKNOWNX\r\n',
    'UNKNOWN \0\r\n',
    '\r\n',
    `UNKNOWN ${'x'.repeat(107)}\r\n`,
    'x'.repeat(200),
  ]) {
    test(`not ${JSON.stringify(line.slice(0, 60))}`, () => {
      assert.equal(parse(`PROXY ${line}`), false)
    })
  }

  test('the longest line is taken, and one byte more refused as soon as it is there', () => {
    const longest = `PROXY UNKNOWN ${'x'.repeat(107 - 16)}\r\n`
    assert.equal(longest.length, 107)
    assert.deepEqual(parse(longest), { client: null, bytes: 107 })
    assert.equal(parse(longest.replace('\r', 'x\r')), false)
  })
})

describe('version 2', () => {
  const from = Buffer.from([192, 0, 2, 1])
  const v4 = Buffer.concat([from, from, Buffer.from([0x12, 0x67, 0x01, 0xbb])])
  function v6(source: string): Buffer {
    const ports = Buffer.from([0x12, 0x67, 0x01, 0xbb])
    return Buffer.concat([Buffer.from(source, 'hex'), Buffer.alloc(16), ports])
  }

  test('TCP over IPv4', () => {
    const header = proxyHeaderV2(0x21, 0x11, v4)
    assert.deepEqual(parse(header), { client: { ip: '192.0.2.1', port: 0x1267 }, bytes: 28 })
  })

  for (const [hex, ip] of [
    ['20010db8000000000000000000000001', '2001:db8::1'],
    ['00000000000000000000000000000000', '::'],
    ['00000000000000000000000000000001', '::1'],
    ['20010db8000000010000000000000001', '2001:db8:0:1::1'],
    ['20010db8000100000001000000010001', '2001:db8:1:0:1:0:1:1'],
    ['20010000000000000000000000000000', '2001::'],
    ['00000000000000000000ffffc0000201', '192.0.2.1'],
  ] as const) {
    test(`TCP over IPv6 from ${ip}`, () => {
      const header = proxyHeaderV2(0x21, 0x21, v6(hex))
      assert.deepEqual(parse(header), { client: { ip, port: 0x1267 }, bytes: 52 })
    })
  }

  test('extensions are skipped, up to a bound', () => {
    const room = PROXY_HEADER_BYTES_MAX - 16 - v4.length
    const most = proxyHeaderV2(0x21, 0x11, Buffer.concat([v4, Buffer.alloc(room, 0x04)]))
    assert.equal((parse(most) as ProxyHeader).bytes, PROXY_HEADER_BYTES_MAX)
    assert.equal(parse(proxyHeaderV2(0x21, 0x11, Buffer.alloc(v4.length + room + 1))), false)
    assert.equal(parseProxyHeader(proxyHeaderV2(0x21, 0x11, Buffer.alloc(65_535))), false)
  })

  for (const [name, command, family, body] of [
    ['LOCAL', 0x20, 0x00, Buffer.alloc(0)],
    ['LOCAL with addresses, which mean nothing', 0x20, 0x11, v4],
    ['LOCAL with bytes of any kind', 0x20, 0x31, Buffer.alloc(5)],
    ['an unspecified family', 0x21, 0x00, Buffer.alloc(7)],
  ] as const) {
    test(`${name} names no client`, () => {
      const header = proxyHeaderV2(command, family, body)
      assert.deepEqual(parse(header), { client: null, bytes: header.length })
    })
  }

  for (const [name, command, family, body] of [
    ['version 1 in binary', 0x11, 0x11, v4],
    ['version 3', 0x31, 0x11, v4],
    ['an unknown command', 0x22, 0x11, v4],
    ['UDP', 0x21, 0x12, v4],
    ['UDP over IPv6', 0x21, 0x22, Buffer.alloc(36)],
    ['a UNIX socket', 0x21, 0x31, Buffer.alloc(216)],
    ['an unknown family', 0x21, 0x41, Buffer.alloc(36)],
    ['no room for IPv4', 0x21, 0x11, v4.subarray(1)],
    ['no room for IPv6', 0x21, 0x21, Buffer.alloc(35)],
    ['no addresses', 0x21, 0x11, Buffer.alloc(0)],
  ] as const) {
    test(`not ${name}`, () => assert.equal(parse(proxyHeaderV2(command, family, body)), false))
  }

  test('not a signature that is off by one bit', () => {
    const header = proxyHeaderV2(0x21, 0x11, v4)
    for (let bit = 0; bit < 12 * 8; bit++) {
      const broken = Buffer.from(header)
      broken[bit >> 3]! ^= 1 << (bit & 7)
      assert.equal(parse(broken), false)
    }
  })
})

test('any bytes: decided within the bound, and the same however they are cut', () => {
  const signature = proxyHeaderV2(0x21, 0x11, Buffer.alloc(0)).subarray(0, 12)
  const start = fc.constantFrom(Buffer.alloc(0), signature, Buffer.from('PROXY '), Buffer.from('P'))
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 80 }), (begin, rest) => {
      const bytes = Buffer.concat([begin, rest, Buffer.alloc(PROXY_HEADER_BYTES_MAX)])
      const whole = parseProxyHeader(bytes)
      assert.notEqual(whole, null)
      const length = whole ? whole.bytes : 300
      for (let cut = 0; cut < length; cut++) {
        const early = parseProxyHeader(bytes.subarray(0, cut))
        if (early === false) assert.equal(whole, false)
        else assert.equal(early, null)
      }
      if (whole) assert.deepEqual(parseProxyHeader(bytes.subarray(0, length)), whole)
    }),
    propertyOptions(300),
  )
})

test('every IPv6 address comes out as itself', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.nat(0xffff),
      (address, zeros) => {
        // Groups are blanked by a mask, so that runs of zeros come up.
        const bytes = Buffer.from(address)
        for (let i = 0; i < 16; i++) if (zeros & (1 << (i & ~1))) bytes[i] = 0
        const header = proxyHeaderV2(0x21, 0x21, Buffer.concat([bytes, Buffer.alloc(20)]))
        const { client } = parse(header) as ProxyHeader
        const url = new URL(
          `http://[${client!.ip.includes(':') ? client!.ip : `::ffff:${client!.ip}`}]/`,
        )
        const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16))
        assert.equal(url.hostname, new URL(`http://[${groups.join(':')}]/`).hostname)
        if (client!.ip.includes(':')) {
          assert.ok(isIPv6(client!.ip))
          assert.equal(`[${client!.ip}]`, url.hostname)
        }
      },
    ),
    propertyOptions(300),
  )
})
