import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseList } from 'structured-headers'
import type { ConsumerDirectory, KnownConsumer } from '../../proxy/pipeline/consumer.ts'
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
import { rateLimit } from './rate-limit.ts'

type Input = Parameters<typeof hooksOf<typeof rateLimit.settings>>[1]

/** Sends a request through the policy. @returns it with its answer: 200, or the refusal. */
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

/** How many of `count` requests pass. */
function passing(hooks: PolicyHooks, count: number, parts: ExchangeParts = {}): number {
  let passed = 0
  for (let time = 0; time < count; time++) if (send(hooks, parts).status === 200) passed++
  return passed
}

const made = (settings: Input, environment = testEnvironment()) => ({
  hooks: hooksOf(rateLimit, settings, environment),
  environment,
  clock: environment.clock,
})

describe('rate-limit', () => {
  test('passes the limit, refuses more, and passes again in time', () => {
    const { hooks, clock } = made({ limit: 5, per: '10s' })
    assert.equal(passing(hooks, 8), 5)
    const refused = send(hooks)
    assert.equal(refused.status, 429)
    assert.equal(refused.errorCode, 'rate_limited')
    assert.equal(refused.responseHeader('retry-after'), '2')
    clock.advance(2_000)
    assert.equal(passing(hooks, 3), 1)
  })

  test('says what it does in RateLimit-Policy and RateLimit', () => {
    const { hooks } = made({ limit: 100, per: '1m', burst: 10 })
    const first = send(hooks)
    assert.equal(first.responseHeader('ratelimit-policy'), '"stage";q=100;w=60')
    assert.equal(first.responseHeader('ratelimit'), '"stage";r=9;t=6')
    assert.equal(first.responseHeader('retry-after'), null)
    const refused = Array.from({ length: 10 }, () => send(hooks)).at(-1)!
    assert.equal(refused.status, 429)
    assert.equal(refused.responseHeader('ratelimit'), '"stage";r=0;t=1')
    assert.equal(refused.responseHeader('retry-after'), '1')
    const body = JSON.parse(refused.localReply!.body.toString())
    assert.equal(body.code, 'rate_limited')
    assert.deepEqual(body['violated-policies'], ['stage'])
    for (const name of ['ratelimit', 'ratelimit-policy']) {
      const [item, parameters] = parseList(first.responseHeader(name)!)[0]!
      assert.equal(item, 'stage', 'a structured field whose items are strings')
      assert.equal(parameters.size, 2)
    }
  })

  test('keeps what the service says of its own limits, and is silent when asked to be', () => {
    const { hooks } = made({ limit: 5, per: '10s' })
    const exchange = testExchange()
    hooks.onRequest!(exchange)
    answer(exchange, 200, ['RateLimit: "own";r=1'])
    hooks.onResponse!(exchange)
    assert.deepEqual(exchange.responseEdits?.removed, [])
    const silent = made({ limit: 1, per: '10s', headers: false }).hooks
    assert.equal(send(silent).responseHeader('ratelimit'), null)
    const refused = send(silent)
    assert.equal(refused.responseHeader('ratelimit'), null)
    assert.equal(refused.responseHeader('retry-after'), '10')
  })

  test('several limits hold together: what one refuses costs under none', () => {
    const { hooks, clock } = made({
      limits: [
        { name: 'second', limit: 2, per: '1s' },
        { limit: 5, per: '1h', algorithm: 'sliding-window' },
      ],
    })
    assert.equal(passing(hooks, 20), 2)
    const refused = send(hooks)
    assert.equal(
      refused.responseHeader('ratelimit-policy'),
      '"second";q=2;w=1, "stage-2";q=5;w=3600',
    )
    assert.match(refused.responseHeader('ratelimit')!, /^"second";r=0;t=1$/)
    clock.advance(1_000)
    assert.equal(passing(hooks, 20), 2)
    clock.advance(1_000)
    assert.equal(passing(hooks, 20), 1, 'the hour had five, and refusals took none of them')
    assert.match(send(hooks).responseHeader('ratelimit')!, /^"stage-2";r=0;t=4\d\d\d$/)
  })

  test('limits of one policy may count by different things', () => {
    const { hooks } = made({
      limits: [
        { limit: 2, per: '1h' },
        { limit: 3, per: '1h', by: 'route' },
      ],
    })
    assert.equal(passing(hooks, 5, { clientIp: '192.0.2.1' }), 2)
    assert.equal(passing(hooks, 5, { clientIp: '192.0.2.2' }), 1)
  })
})

describe('rate-limit by', () => {
  const once = (by: Input['by'], environment = testEnvironment()) =>
    made({ limit: 1, per: '1h', by }, environment).hooks

  test('ip: addresses of IPv4, networks of IPv6', () => {
    const hooks = once('ip')
    for (const clientIp of ['192.0.2.1', '192.0.2.2', '2001:db8::1', '2001:db8:0:1::1']) {
      assert.equal(passing(hooks, 2, { clientIp }), 1, clientIp)
    }
    for (const clientIp of ['::ffff:192.0.2.1', '2001:DB8:0:0:ffff::9', '2001:db8:0:1:2:3:4:5']) {
      assert.equal(passing(hooks, 2, { clientIp }), 0, clientIp)
    }
    const narrow = made({ limit: 1, per: '1h', ipv6Prefix: 128 }).hooks
    assert.equal(passing(narrow, 2, { clientIp: '2001:db8::1' }), 1)
    assert.equal(passing(narrow, 2, { clientIp: '2001:db8::2' }), 1)
  })

  test('consumer, claim, header or expression, each value by itself', () => {
    const consumer = (id: string) => ({ id, groups: [], claims: { tenant: `of-${id}`, n: 7 } })
    for (const by of [
      'consumer',
      'claim:tenant',
      { expression: 'consumer.claims.tenant' },
    ] as const) {
      const hooks = once(by)
      assert.equal(passing(hooks, 2, { consumer: consumer('ann') }), 1)
      assert.equal(passing(hooks, 2, { consumer: consumer('bob') }), 1)
      assert.equal(passing(hooks, 2, { consumer: consumer('ann'), clientIp: '192.0.2.9' }), 0)
    }
    const hooks = once('header:X-Tenant')
    assert.equal(passing(hooks, 2, { fields: ['x-tenant: a'] }), 1)
    assert.equal(passing(hooks, 2, { fields: ['X-TENANT: b'] }), 1)
  })

  test('a key that a request lacks: its address, apart from those that have one', () => {
    for (const by of ['header:x-tenant', 'consumer', 'claim:none'] as const) {
      const hooks = once(by)
      assert.equal(passing(hooks, 3, { clientIp: '192.0.2.1' }), 1, String(by))
      assert.equal(passing(hooks, 3, { clientIp: '192.0.2.2' }), 1)
    }
    const hooks = once('header:x-tenant')
    assert.equal(passing(hooks, 1, { fields: ['x-tenant: 192.0.2.1'] }), 1)
    assert.equal(passing(hooks, 1, { clientIp: '192.0.2.1' }), 1)
    assert.equal(passing(hooks, 1, { fields: ['x-tenant:'], clientIp: '192.0.2.1' }), 0)
  })

  test('one policy on several routes is one limit, unless it counts by route', () => {
    const environment = testEnvironment()
    const other = { ...environment, route: { id: 'users' } }
    assert.equal(passing(once('ip', environment), 2), 1)
    assert.equal(passing(once('ip', other), 2), 0)
    assert.equal(passing(once('route', environment), 2), 1)
    assert.equal(passing(once('route', other), 2), 1)
    const named = { ...environment, stage: { id: 'another' } }
    assert.equal(passing(once('ip', named), 2), 1, 'another policy with the same settings')
  })

  test('the count goes on over a reload, until the limit itself changes', () => {
    const environment = testEnvironment()
    const settings = { limit: 3, per: '1h' }
    assert.equal(passing(made(settings, environment).hooks, 2), 2)
    assert.equal(passing(made({ ...settings, headers: false }, environment).hooks, 5), 1)
    assert.equal(passing(made({ ...settings, limit: 4 }, environment).hooks, 5), 4)
  })
})

describe("rate-limit with consumers' own limits", () => {
  const known: KnownConsumer = {
    id: 'big',
    groups: [],
    claims: null,
    metadata: {},
    limits: { stage: { limit: 4, burst: null }, other: { limit: 9, burst: null } },
  }
  const consumers: ConsumerDirectory = {
    ...NO_CONSUMERS,
    byId: (id) => (id === 'big' ? known : null),
  }

  test('they stand in the place of that by consumer', () => {
    const hooks = hooksOf(
      rateLimit,
      { limit: 2, per: '1h', by: 'consumer' },
      testEnvironment({ consumers }),
    )
    const big = { consumer: { id: 'big', groups: [], claims: null } }
    assert.equal(passing(hooks, 9, { consumer: { ...big.consumer, id: 'small' } }), 2)
    assert.equal(passing(hooks, 9, big), 4)
    assert.equal(send(hooks, big).responseHeader('ratelimit-policy'), '"stage";q=4;w=3600')
    const byIp = hooksOf(rateLimit, { limit: 2, per: '1h' }, testEnvironment({ consumers }))
    assert.equal(passing(byIp, 9, big), 2)
  })
})

describe('rate-limit with costs', () => {
  test('by number or expression, rounded up, 1 where there is none', () => {
    const hooks = made({
      limit: 10,
      per: '1h',
      cost: "request.headers['x-cost'] == '' ? 3 : int(request.headers['x-cost'])",
    }).hooks
    const left = (fields: string[]) => send(hooks, { fields }).responseHeader('ratelimit')
    assert.match(left([])!, /r=7;/)
    assert.match(left(['x-cost: 2'])!, /r=5;/)
    assert.match(left(['x-cost: many'])!, /r=4;/)
    assert.match(left(['x-cost: -5'])!, /r=3;/)
    assert.match(left(['x-cost: 0'])!, /r=3;/)
    const free = made({ limit: 1, per: '1h', cost: 0 }).hooks
    assert.equal(passing(free, 5), 5)
  })

  test('a request that can never pass is not told to come again', () => {
    const hooks = made({ limit: 10, per: '1h', cost: 11 }).hooks
    const refused = send(hooks)
    assert.equal(refused.status, 429)
    assert.equal(refused.responseHeader('retry-after'), null)
    assert.match(refused.localReply!.body.toString(), /costs more than the 10/)
  })
})

describe('rate-limit with a store', () => {
  test('that is full does as it is told', () => {
    for (const [whenFull, passed] of [
      ['deny', 0],
      ['allow', 20],
    ] as const) {
      const { hooks } = made({ limit: 1, per: '1h', whenFull })
      for (let key = 0; key < 4_000; key++)
        send(hooks, { clientIp: `10.0.${key >> 8}.${key & 255}` })
      let late = 0
      for (let key = 0; key < 20; key++) late += passing(hooks, 1, { clientIp: `10.9.9.${key}` })
      assert.equal(late, passed)
    }
  })

  test('that answers later', async () => {
    const environment = testEnvironment()
    const store = {
      take: async (...parts: Parameters<Store['take']>) => ({
        ...(await environment.store.take(...parts)),
      }),
    } as unknown as Store
    const hooks = hooksOf(rateLimit, { limit: 1, per: '1h' }, { ...environment, store })
    assert.equal(await hooks.onRequest!(testExchange()), undefined)
    assert.ok((await hooks.onRequest!(testExchange())) instanceof Reply)
  })
})

test('rate-limit takes no settings that say nothing or two things', () => {
  const refused = (settings: unknown, problem: RegExp) =>
    assert.match(refusals(rateLimit, settings).join('\n'), problem)
  refused({}, /expected `limit` and `per`/)
  refused({ limit: 5 }, /expected `limit` and `per`/)
  refused({ limit: 5, per: '1s', limits: [{ limit: 1, per: '1s' }] }, /either `limits` or/)
  refused({ limit: 5, per: '1s', burst: 2, algorithm: 'sliding-window' }, /burst: a sliding window/)
  refused({ limit: 5, per: '10ms' }, /per: must be 1s or more/)
  refused({ limit: 5, per: '1s', by: 'cookie:x' }, /expected ip, consumer/)
  refused({ limit: 5, per: '1s', by: { expression: 'request.nope' } }, /expression/)
  refused({ limit: 5, per: '1s', cost: "'a'" }, /a number is needed here/)
})
