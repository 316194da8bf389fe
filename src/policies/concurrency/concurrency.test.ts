import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type ExchangeParts, testExchange } from '../../proxy/pipeline/exchange.test-support.ts'
import { Reply } from '../../proxy/pipeline/reply.ts'
import type { Store } from '../../state/store.ts'
import { hooksOf, refusals, testEnvironment } from '../policy.test-support.ts'
import { concurrency } from './concurrency.ts'

function made(settings: Parameters<typeof hooksOf<typeof concurrency.settings>>[1]) {
  const hooks = hooksOf(concurrency, settings)
  const enter = (parts: ExchangeParts = {}) => {
    const exchange = testExchange(parts)
    return { exchange, verdict: hooks.onRequest!(exchange) }
  }
  return { hooks, enter }
}

describe('concurrency', () => {
  test('lets as many in as there are places, and the next when one is free', () => {
    const { hooks, enter } = made({ max: 2 })
    const first = enter()
    assert.equal(first.verdict, undefined)
    assert.equal(enter().verdict, undefined)
    const refused = enter()
    assert.ok(refused.verdict instanceof Reply)
    assert.equal(refused.verdict.status, 429)
    assert.equal(refused.verdict.code, 'concurrency_exceeded')
    assert.match(refused.verdict.fieldLines, /\r\nRetry-After: 1\r\n/)
    hooks.onFinish!(refused.exchange)
    assert.ok(enter().verdict instanceof Reply, 'who was refused gives no place back')
    hooks.onFinish!(first.exchange)
    hooks.onFinish!(first.exchange)
    assert.equal(enter().verdict, undefined)
    assert.ok(enter().verdict instanceof Reply, 'a place is given back once')
  })

  test('counts each key by itself', () => {
    const { enter } = made({ max: 1, by: 'header:x-tenant' })
    assert.equal(enter({ fields: ['x-tenant: a'] }).verdict, undefined)
    assert.equal(enter({ fields: ['x-tenant: b'] }).verdict, undefined)
    assert.ok(enter({ fields: ['x-tenant: a'] }).verdict instanceof Reply)
    assert.equal(enter({ clientIp: '192.0.2.1' }).verdict, undefined)
    assert.ok(enter({ clientIp: '192.0.2.1' }).verdict instanceof Reply)
  })

  test('gives back a place that came after the exchange had ended', async () => {
    let held = 0
    const store = {
      enter: async () => {
        held++
        return true
      },
      leave: () => held--,
    } as unknown as Store
    const hooks = hooksOf(concurrency, { max: 1 }, { ...testEnvironment(), store })
    const gone = testExchange()
    const waiting = hooks.onRequest!(gone)
    hooks.onFinish!(gone)
    assert.equal(await waiting, undefined)
    assert.equal(held, 0)
    const stays = testExchange()
    await hooks.onRequest!(stays)
    assert.equal(held, 1)
    hooks.onFinish!(stays)
    assert.equal(held, 0)
  })

  test('needs a bound', () => {
    assert.equal(refusals(concurrency, {}).length, 1)
    assert.equal(refusals(concurrency, { max: 0 }).length, 1)
  })
})
