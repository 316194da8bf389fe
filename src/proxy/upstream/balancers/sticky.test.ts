import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Endpoint } from '../endpoint.ts'
import type { EndpointTable } from '../endpoint-table.ts'
import { contextOf, endpointsOf, requestOf } from './balancer.contract.ts'
import type { BalancedRequest } from './balancer.ts'
import { pickerFactory } from './registry.ts'
import { StickyPicker, type StickySettings } from './sticky.ts'

const SETTINGS: StickySettings = { cookie: 'stay', secret: 'a long enough secret' }

function stickyOf(
  table: EndpointTable,
  endpoints: readonly Endpoint[],
  settings: StickySettings = SETTINGS,
): StickyPicker {
  const picker = pickerFactory('round-robin', settings)(endpoints, contextOf(table))
  assert.ok(picker instanceof StickyPicker)
  return picker
}

function withCookie(value: string | null): BalancedRequest {
  return { ...requestOf(1), cookie: (name) => (name === 'stay' ? value : null) }
}

function tokenIn(setCookie: string | null): string {
  return /^stay=([^;]*);/.exec(setCookie!)![1]!
}

describe('sticky', () => {
  test('a client comes back to its endpoint, and is told the cookie only once', () => {
    const { table, endpoints } = endpointsOf([1, 1, 1])
    const picker = stickyOf(table, endpoints)
    const newcomer = withCookie(null)
    const first = picker.pick(newcomer, [])!
    const request = withCookie(tokenIn(picker.cookieFor(first, newcomer)))
    for (let visit = 0; visit < 20; visit += 1) assert.equal(picker.pick(request, []), first)
    assert.equal(picker.cookieFor(first, request), null)
  })

  test('the cookie carries its attributes and no address', () => {
    const { table, endpoints } = endpointsOf([1, 1])
    const plain = stickyOf(table, endpoints).cookieFor(endpoints[0]!, withCookie(null))!
    assert.match(plain, /^stay=[\w-]{22}; Path=\/; HttpOnly; SameSite=Lax$/)
    const secure = stickyOf(table, endpoints, { ...SETTINGS, secure: true })
    assert.match(secure.cookieFor(endpoints[0]!, withCookie(null))!, /; Secure$/)
    assert.ok(!Buffer.from(tokenIn(plain), 'base64url').toString('latin1').includes('10.0'))
  })

  test('an endpoint that cannot take it: another one, and another cookie', () => {
    const { table, endpoints } = endpointsOf([1, 1, 1])
    const picker = stickyOf(table, endpoints)
    const request = withCookie(tokenIn(picker.cookieFor(endpoints[1]!, withCookie(null))))
    assert.equal(picker.pick(request, []), endpoints[1])
    assert.notEqual(picker.pick(request, [endpoints[1]!]), endpoints[1])
    endpoints[1]!.usable = false
    const other = picker.pick(request, [])!
    assert.notEqual(other, endpoints[1])
    assert.notEqual(picker.cookieFor(other, request), null)
  })

  test('forged, foreign and broken values count for nothing', () => {
    const { table, endpoints } = endpointsOf([1, 1, 1])
    const picker = stickyOf(table, endpoints)
    const good = tokenIn(picker.cookieFor(endpoints[2]!, withCookie(null)))
    const foreign = stickyOf(table, endpoints, { ...SETTINGS, secret: 'another secret' })
    const flipped = (good[0] === 'A' ? 'B' : 'A') + good.slice(1)
    const widened = String.fromCharCode(good.charCodeAt(0) + 256) + good.slice(1)
    for (const value of [
      '',
      good.slice(1),
      `${good}A`,
      flipped,
      good.slice(0, -1) + (good.endsWith('A') ? 'Q' : 'A'),
      widened,
      tokenIn(foreign.cookieFor(endpoints[2]!, withCookie(null))),
      endpoints[2]!.address,
    ]) {
      const request = withCookie(value)
      const picked = new Set([0, 1, 2].map(() => picker.pick(request, [])))
      assert.equal(picked.size, 3, `${JSON.stringify(value)} was believed`)
      assert.notEqual(picker.cookieFor(endpoints[2]!, request), null)
    }
  })

  test('the same endpoint has the same cookie after the list changed', () => {
    const { table, endpoints } = endpointsOf([1, 1, 1, 1])
    const before = stickyOf(table, endpoints).cookieFor(endpoints[3]!, withCookie(null))
    const after = pickerFactory('p2c', SETTINGS)(endpoints.slice(2), contextOf(table))
    assert.ok(after instanceof StickyPicker)
    assert.equal(after.cookieFor(endpoints[3]!, withCookie(null)), before)
    assert.equal(after.pick(withCookie(tokenIn(before)), []), endpoints[3])
  })
})
