// Hosts that a person writes are understood or refused with a reason.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseHostPattern } from './host-pattern.ts'

describe('a host pattern', () => {
  const good: [text: string, wildcard: boolean, name: string][] = [
    ['Shop.Example', false, 'shop.example'],
    ['shop.example.', false, 'shop.example'],
    ['*.shop.example', true, 'shop.example'],
    ['*.test', true, 'test'],
    ['192.0.2.1', false, '192.0.2.1'],
    ['[2001:DB8::1]', false, '[2001:db8::1]'],
    ['bücher.example', false, 'xn--bcher-kva.example'],
    ['my_service', false, 'my_service'],
  ]
  for (const [text, wildcard, name] of good) {
    test(`"${text}" is read`, () => assert.deepEqual(parseHostPattern(text), { wildcard, name }))
  }

  const wrong: [text: string, reason: RegExp][] = [
    ['', /not a host/],
    ['*', /leave the host out/],
    ['a.*.example', /leave the host out/],
    ['api*.example', /leave the host out/],
    ['shop.example:8080', /any port/],
    ['[::1]:80', /any port/],
    ['[::1/64]', /no IPv6 address/],
    ['[shop]', /no IPv6 address/],
    ['https://shop.example', /not a host/],
    ['a..b', /not a host/],
    ['a b', /not a host/],
    ['*.', /not a host/],
    ['.', /not a host/],
  ]
  for (const [text, reason] of wrong) {
    test(`"${text}" is refused`, () => {
      assert.throws(() => parseHostPattern(text), { name: 'SyntaxError', message: reason })
    })
  }
})
