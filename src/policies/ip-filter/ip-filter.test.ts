import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { testExchange } from '../../proxy/pipeline/exchange.test-support.ts'
import { Reply } from '../../proxy/pipeline/reply.ts'
import { hooksOf, refusals, testEnvironment } from '../policy.test-support.ts'
import { AddressSet } from './address-set.ts'
import { ipFilter } from './ip-filter.ts'

type Settings = Parameters<typeof hooksOf<typeof ipFilter.settings>>[1]

function passes(settings: Settings, clientIp: string): boolean {
  const verdict = hooksOf(ipFilter, settings).onRequest!(testExchange({ clientIp }))
  if (verdict === undefined) return true
  assert.ok(verdict instanceof Reply)
  assert.equal(verdict.status, 403)
  assert.equal(verdict.code, 'address_refused')
  return false
}

describe('ip-filter', () => {
  for (const [what, settings, clientIp, expected] of [
    ['allows an address', { allow: ['192.0.2.1'] }, '192.0.2.1', true],
    ['allows no other', { allow: ['192.0.2.1'] }, '192.0.2.2', false],
    ['allows a network', { allow: ['192.0.2.0/24'] }, '192.0.2.255', true],
    ['allows all but the denied', { deny: ['192.0.2.1'] }, '192.0.2.2', true],
    ['denies an address', { deny: ['192.0.2.1'] }, '192.0.2.1', false],
    [
      'denies a network in an allowed address',
      { allow: ['192.0.2.1'], deny: ['192.0.2.0/24'] },
      '192.0.2.1',
      false,
    ],
    [
      'denies an address in an allowed network',
      { allow: ['192.0.2.0/24'], deny: ['192.0.2.1'] },
      '192.0.2.1',
      false,
    ],
    ['takes a mapped address for what it is', { deny: ['192.0.2.1'] }, '::ffff:192.0.2.1', false],
    [
      'takes a mapped network for what it is',
      { deny: ['::ffff:192.0.2.0/120'] },
      '192.0.2.9',
      false,
    ],
    ['knows IPv6', { allow: ['2001:db8::/32'] }, '2001:db8:1::9', true],
    ['keeps IPv6 apart', { allow: ['0.0.0.0/0'] }, '2001:db8::1', false],
    ['denies everyone if told so', { deny: ['0.0.0.0/0'] }, '192.0.2.1', false],
    ['lets nothing pass that is no address', { deny: ['192.0.2.1'] }, '', false],
    ['allows nothing that is no address', { allow: ['0.0.0.0/0', '::/0'] }, 'unknown', false],
  ] as const) {
    test(what, () => assert.equal(passes(settings as unknown as Settings, clientIp), expected))
  }

  test('reads lists from files, shares them, and starts with none that is bad', () => {
    const folder = mkdtempSync(join(tmpdir(), 'ip-filter-'))
    const file = join(folder, 'denied')
    const environment = testEnvironment()
    try {
      writeFileSync(file, '# nobody from here\n192.0.2.1 # one\r\n\n 2001:db8::/32\n')
      const hooks = hooksOf(ipFilter, { deny: { file } }, environment)
      for (const [clientIp, expected] of [
        ['192.0.2.1', false],
        ['2001:db8::5', false],
        ['192.0.2.2', true],
      ] as const) {
        assert.equal(hooks.onRequest!(testExchange({ clientIp })) === undefined, expected)
      }
      writeFileSync(file, '192.0.2.1\n192.0.2\n')
      assert.throws(
        () => hooksOf(ipFilter, { allow: { file } }),
        /denied cannot be used: line 2 is not an address or network: 192\.0\.2$/,
      )
    } finally {
      environment.dispose()
      rmSync(folder, { recursive: true })
    }
  })

  test('an empty file allows nobody', () => {
    assert.equal(AddressSet.parse('# soon\n').holds('192.0.2.1'), false)
  })

  test('refuses settings that decide nothing or cannot be meant', () => {
    assert.match(refusals(ipFilter, {})[0]!, /say who may pass/)
    assert.match(refusals(ipFilter, { allow: ['192.0.2.0/33'] })[0]!, /^allow/)
    assert.match(refusals(ipFilter, { allow: [] })[0]!, /^allow/)
    assert.match(refusals(ipFilter, { deny: { file: '' } })[0]!, /^deny/)
  })
})
