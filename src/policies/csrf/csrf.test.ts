import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { testExchange } from '../../proxy/pipeline/exchange.test-support.ts'
import { Reply } from '../../proxy/pipeline/reply.ts'
import { hooksOf, refusals } from '../policy.test-support.ts'
import { csrf } from './csrf.ts'

type Settings = Parameters<typeof hooksOf<typeof csrf.settings>>[1]

interface Case {
  readonly method?: string
  readonly host?: string
  readonly scheme?: 'http' | 'https'
  readonly settings?: Settings
}

function passes(fields: readonly string[], options: Case = {}): boolean {
  const { method = 'POST', host = 'shop.example', scheme = 'https', settings = {} } = options
  const exchange = testExchange({ method, host, scheme, fields })
  const verdict = hooksOf(csrf, settings).onRequest!(exchange)
  if (verdict === undefined) return true
  assert.ok(verdict instanceof Reply)
  assert.equal(verdict.status, 403)
  assert.equal(verdict.code, 'csrf_refused')
  return false
}

const OTHER = 'Origin: https://evil.example'

describe('csrf passes', () => {
  for (const [fields, options] of [
    [[], { method: 'GET' }],
    [['Sec-Fetch-Site: cross-site', OTHER], { method: 'GET' }],
    [[OTHER], { method: 'HEAD' }],
    [[OTHER, 'Access-Control-Request-Method: POST'], { method: 'OPTIONS' }],
    [['Sec-Fetch-Site: same-origin'], {}],
    [['Sec-Fetch-Site: none'], {}],
    [['Sec-Fetch-Site: same-origin', 'Origin: null'], {}],
    [
      ['Sec-Fetch-Site: same-site', 'Origin: https://a.shop.example'],
      { settings: { origins: ['https://*.shop.example'] } },
    ],
    [['Origin: https://shop.example'], {}],
    [['Origin: https://shop.example'], { host: 'SHOP.example:443' }],
    [['Origin: https://shop.example:8443'], { host: 'shop.example:8443' }],
    [['Origin: https://shop.example'], { scheme: 'http' }],
    [['Origin: http://shop.example'], { scheme: 'http', host: 'shop.example:80' }],
    [['Origin: https://pay.example'], { settings: { origins: ['https://pay.example'] } }],
    [['Referer: https://shop.example/cart?x=https://evil.example/'], {}],
    [['Referer: https://pay.example/'], { settings: { origins: ['https://pay.example'] } }],
    [[], { settings: { unmarked: 'allow' } }],
    [
      ['Connection: upgrade', 'Upgrade: websocket', 'Origin: https://shop.example'],
      { method: 'GET' },
    ],
  ] as const) {
    test(`${JSON.stringify(fields)} ${JSON.stringify(options)}`, () => {
      assert.equal(passes(fields, options as unknown as Case), true)
    })
  }
})

describe('csrf refuses', () => {
  for (const [fields, options] of [
    [['Sec-Fetch-Site: cross-site', OTHER], {}],
    [['Sec-Fetch-Site: same-site', 'Origin: https://a.shop.example'], {}],
    [['Sec-Fetch-Site: cross-site'], { settings: { origins: ['https://shop.example'] } }],
    [['Sec-Fetch-Site: same-origin', 'Sec-Fetch-Site: none'], {}],
    [['Sec-Fetch-Site: Same-Origin'], {}],
    [['Sec-Fetch-Site:'], {}],
    // The browser's own word goes before what a Referer says.
    [['Sec-Fetch-Site: cross-site', 'Referer: https://shop.example/'], {}],
    [[OTHER], { method: 'PUT' }],
    [[OTHER], { method: 'DELETE' }],
    [[OTHER], { method: 'PATCH' }],
    [[OTHER], { method: 'QUERY' }],
    [['Origin: null'], {}],
    [['Origin: null'], { settings: { unmarked: 'allow' } }],
    [['Origin:'], {}],
    [['Origin: http://shop.example'], {}],
    [['Origin: ftp://shop.example'], { scheme: 'http' }],
    [['Origin: https://shop.example:8443'], {}],
    [['Origin: https://shop.example', OTHER], {}],
    [['Origin: https://shop.example.evil.example'], {}],
    [['Origin: https://'], {}],
    [['Referer: https://evil.example/https://shop.example/'], {}],
    [['Referer: https://shop.example@evil.example/'], {}],
    [['Referer: https://evil.example?https://shop.example/'], {}],
    [['Referer: shop.example'], {}],
    [['Referer: http://shop.example/'], {}],
    [[], {}],
    [['Connection: upgrade', 'Upgrade: websocket', OTHER], { method: 'GET' }],
    [
      ['Connection: upgrade', 'Upgrade: websocket', 'Sec-Fetch-Site: cross-site'],
      { method: 'GET' },
    ],
  ] as const) {
    test(`${JSON.stringify(fields)} ${JSON.stringify(options)}`, () => {
      assert.equal(passes(fields, options as unknown as Case), false)
    })
  }
})

test('csrf takes origins as browsers write them', () => {
  assert.match(refusals(csrf, { origins: ['https://shop.example/'] })[0]!, /^origins\.0/)
  assert.match(refusals(csrf, { origins: ['null'] })[0]!, /^origins\.0/)
  assert.match(refusals(csrf, { origins: ['*'] })[0]!, /^origins\.0/)
})
