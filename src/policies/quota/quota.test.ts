import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { KnownConsumer } from '../../proxy/pipeline/consumer.ts'
import {
  answer,
  type ExchangeParts,
  testExchange,
} from '../../proxy/pipeline/exchange.test-support.ts'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import { NO_CONSUMERS } from '../../proxy/pipeline/inert-environment.ts'
import type { PolicyHooks } from '../../proxy/pipeline/policy.ts'
import { Reply } from '../../proxy/pipeline/reply.ts'
import type { Store } from '../../state/store.ts'
import { hooksOf, refusals, testEnvironment } from '../policy.test-support.ts'
import { quota } from './quota.ts'

function send(hooks: PolicyHooks, parts: ExchangeParts = {}): Exchange {
  const exchange = testExchange(parts)
  const verdict = hooks.onRequest!(exchange)
  if (verdict instanceof Reply) {
    exchange.localReply = verdict
    exchange.status = verdict.status
    exchange.errorCode = verdict.code
  } else answer(exchange, 200)
  hooks.onResponse!(exchange)
  return exchange
}

function passing(hooks: PolicyHooks, count: number, parts: ExchangeParts = {}): number {
  let passed = 0
  for (let time = 0; time < count; time++) if (send(hooks, parts).status === 200) passed++
  return passed
}

const consumer = (id: string) => ({ consumer: { id, groups: [], claims: null } })

describe('quota', () => {
  test('lasts for a period of the calendar, and begins anew with the next', () => {
    const environment = testEnvironment()
    // The test clock begins at 22:13:20 on November 14th, 2023.
    const hooks = hooksOf(quota, { limit: 3, per: 'day' }, environment)
    assert.equal(passing(hooks, 5, consumer('ann')), 3)
    assert.equal(passing(hooks, 5, consumer('bob')), 3)
    const refused = send(hooks, consumer('ann'))
    assert.equal(refused.status, 429)
    assert.equal(refused.errorCode, 'quota_exceeded')
    assert.equal(refused.responseHeader('retry-after'), '6400')
    assert.equal(refused.responseHeader('ratelimit-policy'), '"stage";q=3;w=86400')
    assert.equal(refused.responseHeader('ratelimit'), '"stage";r=0;t=6400')
    assert.deepEqual(JSON.parse(refused.localReply!.body.toString())['violated-policies'], [
      'stage',
    ])
    environment.clock.advance(6_399_999)
    assert.equal(passing(hooks, 1, consumer('ann')), 0)
    environment.clock.advance(1)
    assert.equal(passing(hooks, 5, consumer('ann')), 3)
  })

  test('tells what is left, at no higher rate than that of the period', () => {
    const hooks = hooksOf(quota, { limit: 100, per: 'hour' })
    const exchange = send(hooks, consumer('ann'))
    assert.equal(exchange.responseHeader('ratelimit-policy'), '"stage";q=100;w=3600')
    assert.equal(exchange.responseHeader('ratelimit'), '"stage";r=99;t=3564')
    assert.equal(exchange.responseHeader('retry-after'), null)
  })

  test('goes on with what was used when its limit is changed', () => {
    const environment = testEnvironment()
    assert.equal(passing(hooksOf(quota, { limit: 3, per: 'month' }, environment), 5), 3)
    assert.equal(passing(hooksOf(quota, { limit: 5, per: 'month' }, environment), 5), 2)
    assert.equal(passing(hooksOf(quota, { limit: 2, per: 'month' }, environment), 5), 0)
    assert.equal(passing(hooksOf(quota, { limit: 5, per: 'day' }, environment), 9), 5)
  })

  test('charges costs, and nothing for what is refused', () => {
    const hooks = hooksOf(quota, {
      limit: 10,
      per: 'month',
      cost: "request.method == 'GET' ? 1 : 4",
    })
    assert.equal(passing(hooks, 5, { method: 'POST' }), 2)
    assert.equal(passing(hooks, 5), 2)
  })

  test('holds consumers to limits of their own, and strangers to one by address', () => {
    const big: KnownConsumer = {
      id: 'big',
      groups: [],
      claims: null,
      metadata: {},
      limits: { stage: { limit: 4, burst: null } },
    }
    const consumers = { ...NO_CONSUMERS, byId: (id: string) => (id === 'big' ? big : null) }
    const hooks = hooksOf(quota, { limit: 2, per: 'month' }, testEnvironment({ consumers }))
    assert.equal(passing(hooks, 9, consumer('big')), 4)
    assert.equal(passing(hooks, 9, consumer('small')), 2)
    assert.equal(passing(hooks, 9, { clientIp: '192.0.2.1' }), 2)
    assert.equal(passing(hooks, 9, { clientIp: '192.0.2.2' }), 2)
  })

  test('waits for a store that answers later', async () => {
    const environment = testEnvironment()
    const store = {
      spend: async (...parts: Parameters<Store['spend']>) => ({
        ...(await environment.store.spend(...parts)),
      }),
    } as unknown as Store
    const hooks = hooksOf(quota, { limit: 1, per: 'day' }, { ...environment, store })
    assert.equal(await hooks.onRequest!(testExchange()), undefined)
    assert.ok((await hooks.onRequest!(testExchange())) instanceof Reply)
  })

  test('takes periods and time zones that there are', () => {
    assert.equal(refusals(quota, { limit: 1, per: 'week' }).length, 1)
    assert.match(refusals(quota, { limit: 1, per: 'day', timezone: 'Mars' })[0]!, /IANA/)
    assert.deepEqual(refusals(quota, { limit: 1, per: 'day', timezone: 'Asia/Tokyo' }), [])
  })
})
