import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { answer, testExchange } from '../../proxy/pipeline/exchange.test-support.ts'
import { hooksOf, refusals } from '../policy.test-support.ts'
import { securityHeaders } from './security-headers.ts'

type Settings = Parameters<typeof hooksOf<typeof securityHeaders.settings>>[1]

const NAMES = [
  'strict-transport-security',
  'x-content-type-options',
  'x-frame-options',
  'content-security-policy',
  'referrer-policy',
  'cross-origin-opener-policy',
  'cross-origin-resource-policy',
  'permissions-policy',
  'x-xss-protection',
]

/** The headers of an answer after the policy, those that are there. */
function sent(
  settings: Settings,
  answered: readonly string[] = [],
  scheme: 'http' | 'https' = 'https',
): Record<string, string> {
  const exchange = testExchange({ scheme })
  const hooks = hooksOf(securityHeaders, settings)
  answer(exchange, 200, answered)
  hooks.onResponse!(exchange)
  const found: Record<string, string> = {}
  for (const name of NAMES) {
    const value = exchange.responseHeader(name)
    if (value !== null) found[name] = value
  }
  return found
}

describe('security-headers', () => {
  test('protects by default, and breaks nothing that is common', () => {
    assert.deepEqual(sent({}), {
      'strict-transport-security': 'max-age=31536000',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'SAMEORIGIN',
      'referrer-policy': 'strict-origin-when-cross-origin',
      'cross-origin-opener-policy': 'same-origin-allow-popups',
      'cross-origin-resource-policy': 'same-site',
    })
  })

  test('says nothing of https over http', () => {
    assert.equal('strict-transport-security' in sent({}, [], 'http'), false)
  })

  test('sends each as it is told', () => {
    const settings = {
      hsts: { maxAge: '730d', includeSubdomains: true, preload: true },
      frames: 'none',
      contentSecurityPolicy: "default-src 'none'",
      referrerPolicy: 'no-referrer',
      openerPolicy: 'same-origin',
      resourcePolicy: 'cross-origin',
      permissionsPolicy: 'camera=()',
    } as const
    assert.deepEqual(sent(settings), {
      'strict-transport-security': 'max-age=63072000; includeSubDomains; preload',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'content-security-policy': "default-src 'none'",
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'cross-origin',
      'permissions-policy': 'camera=()',
    })
  })

  test('leaves out each that is off', () => {
    const settings = {
      hsts: false,
      contentTypeOptions: false,
      frames: false,
      referrerPolicy: false,
      openerPolicy: false,
      resourcePolicy: false,
    } as const
    assert.deepEqual(sent(settings), {})
  })

  for (const [prefer, frames, transport] of [
    ['service', 'DENY', 'max-age=1'],
    ['gateway', 'SAMEORIGIN', 'max-age=31536000'],
  ] as const) {
    test(`where the service sends its own, that of the ${prefer} stands`, () => {
      const found = sent({ prefer }, [
        'X-Frame-Options: DENY',
        'Strict-Transport-Security: max-age=1',
        'Content-Security-Policy: default-src *',
      ])
      assert.equal(found['x-frame-options'], frames)
      assert.equal(found['strict-transport-security'], transport)
      assert.equal(found['content-security-policy'], 'default-src *', 'nobody asked to replace it')
    })
  }

  test('refuses what could not be sent or would not be taken', () => {
    const cases = [
      [{ referrerPolicy: 'a\r\nb' }, /^referrerPolicy/],
      [{ contentSecurityPolicy: '' }, /^contentSecurityPolicy/],
      [{ hsts: true }, /^hsts/],
      [{ hsts: { preload: true } }, /^hsts\.preload|^hsts/],
      [{ hsts: { preload: true, includeSubdomains: true, maxAge: '30d' } }, /^hsts/],
      [{ frames: 'all' }, /^frames/],
      [{ xssProtection: '1' }, /xssProtection/],
    ] as const
    for (const [settings, problem] of cases) {
      assert.match(refusals(securityHeaders, settings).join('\n'), problem)
    }
  })
})
