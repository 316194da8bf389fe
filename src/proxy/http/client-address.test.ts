// Who the client is behind proxies, and that nobody else has a say in it.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { propertyOptions } from '../../../test/support/property.ts'
import { TrustedProxies, type TrustedProxySettings } from './client-address.ts'
import { TEST_LIMITS } from './limits.test-support.ts'
import type { RequestHead } from './message-head.ts'
import { parseRequestHead } from './parse-head.ts'

const PEER = '10.0.0.1'
const TRUSTED = ['10.0.0.0/8', '2001:db8:1::/48']

function headWith(...lines: string[]): RequestHead {
  const raw = `${['GET / HTTP/1.1', 'Host: a', ...lines].join('\r\n')}\r\n\r\n`
  const head = parseRequestHead(raw, TEST_LIMITS)
  assert.ok(typeof head !== 'string', `${head}`)
  return head
}

function clientOf(
  trustedProxies: TrustedProxySettings['trustedProxies'],
  trustedHeader: TrustedProxySettings['trustedHeader'],
  ...lines: string[]
): string {
  return new TrustedProxies({ trustedProxies, trustedHeader }).clientOf(headWith(...lines), PEER)
}

describe('X-Forwarded-For behind known networks', () => {
  for (const [list, client] of [
    ['203.0.113.7', '203.0.113.7'],
    ['6.6.6.6, 203.0.113.7', '203.0.113.7'],
    ['6.6.6.6,203.0.113.7 ,\t10.9.9.9', '203.0.113.7'],
    ['203.0.113.7:4711', '203.0.113.7'],
    ['2001:db8:2::7', '2001:db8:2::7'],
    ['[2001:db8:2::7]', '2001:db8:2::7'],
    ['[2001:db8:2::7]:4711', '2001:db8:2::7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['203.0.113.7, 2001:db8:1::5', '203.0.113.7'],
    ['10.0.0.9, 10.0.0.8', '10.0.0.9'],
    // What is no address ends the walk: the client is the last one known to be true.
    ['6.6.6.6, unknown, 10.0.0.8', '10.0.0.8'],
    ['6.6.6.6, unknown', PEER],
    ['6.6.6.6, ', PEER],
    ['6.6.6.6, 203.0.113.999', PEER],
    ['6.6.6.6, 0203.0.113.7', PEER],
    ['6.6.6.6, fe80::1%eth0', PEER],
    ['6.6.6.6, 203.0.113.7:', PEER],
    ['6.6.6.6, "203.0.113.7"', PEER],
    ['6.6.6.6, [203.0.113.7]', PEER],
    ['', PEER],
  ] as const) {
    test(JSON.stringify(list), () => {
      assert.equal(clientOf(TRUSTED, 'x-forwarded-for', `X-Forwarded-For: ${list}`), client)
    })
  }

  test('several lines are one list', () => {
    const lines = ['X-Forwarded-For: 6.6.6.6', 'x-forwarded-for: 203.0.113.7, 10.0.0.3']
    assert.equal(clientOf(TRUSTED, 'x-forwarded-for', ...lines), '203.0.113.7')
  })

  test('Forwarded has no say in it', () => {
    assert.equal(clientOf(TRUSTED, 'x-forwarded-for', 'Forwarded: for=6.6.6.6'), PEER)
  })
})

describe('X-Forwarded-For behind a number of proxies', () => {
  for (const [count, list, client] of [
    [1, '6.6.6.6, 203.0.113.7', '203.0.113.7'],
    [2, '6.6.6.6, 203.0.113.7, 198.51.100.1', '203.0.113.7'],
    [3, '6.6.6.6, 203.0.113.7, 198.51.100.1, 198.51.100.2', '203.0.113.7'],
    // Fewer than that: the farthest that is known.
    [3, '203.0.113.7', '203.0.113.7'],
    [2, '203.0.113.7, unknown', PEER],
    [2, 'unknown, 198.51.100.1', '198.51.100.1'],
  ] as const) {
    test(`${count} of ${list}`, () => {
      assert.equal(clientOf(count, 'x-forwarded-for', `X-Forwarded-For: ${list}`), client)
    })
  }
})

describe('Forwarded', () => {
  for (const [list, client] of [
    ['for=203.0.113.7', '203.0.113.7'],
    ['For=203.0.113.7;Proto=https;by=10.0.0.1', '203.0.113.7'],
    ['proto=https; for="203.0.113.7:4711"', '203.0.113.7'],
    ['for="[2001:db8:2::7]"', '2001:db8:2::7'],
    ['for="[2001:db8:2::7]:4711"', '2001:db8:2::7'],
    ['for="\\[2001:db8:2::7]"', '2001:db8:2::7'],
    ['for=6.6.6.6, for=203.0.113.7, for=10.0.0.2', '203.0.113.7'],
    ['for=203.0.113.7;host="a,for=6.6.6.6", for="10.0.0.2"', '203.0.113.7'],
    ['for=203.0.113.7;host="a\\", for=6.6.6.6;x=\\"b"', '203.0.113.7'],
    // What a client left open does not swallow what the proxy wrote after it.
    ['for=6.6.6.6;host=", for=203.0.113.7', '203.0.113.7'],
    ['for="6.6.6.6\\, for="203.0.113.7"', '203.0.113.7'],
    ['"""", for="203.0.113.7";host="x"', '203.0.113.7'],
    // Hidden, unknown or malformed: the last one known.
    ['for=6.6.6.6, for=_hidden, for=10.0.0.2', '10.0.0.2'],
    ['for=6.6.6.6, for=unknown', PEER],
    ['for=6.6.6.6, for="_gazonk:80"', PEER],
    ['for=6.6.6.6, proto=https', PEER],
    ['for=6.6.6.6, for=203.0.113.7;for=203.0.113.8', PEER],
    ['for=6.6.6.6, for=203.0.113.7:80', PEER],
    ['for=6.6.6.6, for=[2001:db8:2::7]', PEER],
    ['for=6.6.6.6, for="2001:db8:2::7"', PEER],
    ['for=6.6.6.6, for = 203.0.113.7', PEER],
    ['for=6.6.6.6, for=203.0.113.7;', PEER],
    ['for=6.6.6.6, for="203.0.113.7', PEER],
    ['for=6.6.6.6,', PEER],
  ] as const) {
    test(JSON.stringify(list), () => {
      assert.equal(clientOf(TRUSTED, 'forwarded', `Forwarded: ${list}`), client)
    })
  }

  test('several lines are one list, counted like any other', () => {
    const lines = ['Forwarded: for=6.6.6.6', 'Forwarded: for=203.0.113.7, for="[2001:db8::9]"']
    assert.equal(clientOf(2, 'forwarded', ...lines), '203.0.113.7')
  })

  test('X-Forwarded-For has no say in it', () => {
    assert.equal(clientOf(TRUSTED, 'forwarded', 'X-Forwarded-For: 6.6.6.6'), PEER)
  })
})

test('the header that is not read is as if it had not been sent', () => {
  const lines = ['X-Forwarded-For: 1.1.1.1', 'X_Forwarded_Proto: x', 'Forwarded: for=2.2.2.2']
  const trustedProxies = TRUSTED
  const first = headWith(...lines)
  new TrustedProxies({ trustedProxies, trustedHeader: 'x-forwarded-for' }).removeUnread(first)
  assert.equal(first.field('forwarded'), null)
  assert.equal(first.field('x-forwarded-for'), '1.1.1.1')
  const second = headWith(...lines)
  new TrustedProxies({ trustedProxies, trustedHeader: 'forwarded' }).removeUnread(second)
  assert.equal(second.field('forwarded'), 'for=2.2.2.2')
  assert.equal(second.field('x-forwarded-for'), null)
  assert.equal(second.field('x_forwarded_proto'), null)
})

test('whatever a client sends, the address that the proxy saw is the answer', () => {
  const junk = fc
    .array(
      fc.constantFrom('"', '\\', ',', ';', '=', 'for', '6.6.6.6', ' ', '[::1]', '_x', '10.0.0.2'),
    )
    .map((parts) => parts.join(''))
  fc.assert(
    fc.property(junk, (sent) => {
      const list = `${sent}, 203.0.113.7`
      assert.equal(clientOf(TRUSTED, 'x-forwarded-for', `X-Forwarded-For: ${list}`), '203.0.113.7')
      assert.equal(clientOf(1, 'x-forwarded-for', `X-Forwarded-For: ${list}`), '203.0.113.7')
      for (const own of ['for=203.0.113.7', 'host="a\\"b";for="203.0.113.7:80"']) {
        const line = `Forwarded: ${sent}, ${own}`
        assert.equal(clientOf(TRUSTED, 'forwarded', line), '203.0.113.7')
        assert.equal(clientOf(2, 'forwarded', `${line}, for=_x;for=_y`), PEER)
      }
    }),
    propertyOptions(300),
  )
})
