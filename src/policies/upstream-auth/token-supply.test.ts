import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ManualClock } from '../../lib/clock.ts'
import {
  type OutboundAnswer,
  OutboundFailure,
  type OutboundRequest,
  type OutboundRequests,
} from '../outbound-request.ts'
import { TokenSupply } from './token-supply.ts'

/** A token endpoint whose answers a test gives one by one. */
class Endpoint {
  readonly clock = new ManualClock()
  readonly failures: string[] = []
  readonly asked: OutboundRequest[] = []
  readonly supply: TokenSupply
  #answers: ((answer: OutboundAnswer | OutboundFailure) => void)[] = []

  constructor(settings: Partial<ConstructorParameters<typeof TokenSupply>[0]> = {}) {
    const requests = {
      send: (request: OutboundRequest) => {
        this.asked.push(request)
        return new Promise<OutboundAnswer>((resolve, reject) => {
          this.#answers.push((answer) =>
            answer instanceof OutboundFailure ? reject(answer) : resolve(answer),
          )
        })
      },
      dispose() {},
    }
    this.supply = new TokenSupply(
      {
        tokenUrl: 'https://id.example/token',
        clientId: 'gate:way',
        clientSecret: 'se cret',
        clientAuthentication: 'basic',
        refreshBeforeMs: 30_000,
        lifetimeMs: 300_000,
        ...settings,
      },
      requests as Partial<OutboundRequests> as OutboundRequests,
      this.clock,
      (reason) => this.failures.push(reason),
    )
  }

  answer(document: unknown, status = 200): Promise<void> {
    const body = Buffer.from(typeof document === 'string' ? document : JSON.stringify(document))
    return this.#settle({ status, headers: new Headers(), body })
  }

  fail(): Promise<void> {
    return this.#settle(new OutboundFailure('unreachable', 'gone'))
  }

  async #settle(answer: OutboundAnswer | OutboundFailure): Promise<void> {
    this.#answers.shift()!(answer)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

function token(name: string, seconds: unknown = 600) {
  return { access_token: name, token_type: 'Bearer', expires_in: seconds }
}

/** One whose first token has come. */
async function supplied(seconds: unknown = 600): Promise<Endpoint> {
  const endpoint = new Endpoint()
  assert.equal(endpoint.supply.current(), null)
  const first = endpoint.supply.wait()
  await endpoint.answer(token('one', seconds))
  assert.equal(await first, 'one')
  return endpoint
}

describe('the supply of tokens', () => {
  test('asks once for all who wait, as the settings say', async () => {
    const endpoint = new Endpoint({ scope: 'a b', audience: 'orders' })
    const waiting = [endpoint.supply.wait(), endpoint.supply.wait(), endpoint.supply.wait()]
    assert.equal(endpoint.asked.length, 1)
    await endpoint.answer(token('one'))
    assert.deepEqual(await Promise.all(waiting), ['one', 'one', 'one'])
    const { body, headers, method } = endpoint.asked[0]!
    assert.equal(method, 'POST')
    assert.equal(body, 'grant_type=client_credentials&scope=a+b&audience=orders')
    const { Authorization } = headers as Record<string, string>
    assert.equal(atob(Authorization!.slice('Basic '.length)), 'gate%3Away:se+cret')
  })

  test('may send the secret in the form', async () => {
    const endpoint = new Endpoint({ clientAuthentication: 'post' })
    void endpoint.supply.wait()
    const { body, headers } = endpoint.asked[0]!
    assert.match(body!, /&client_id=gate%3Away&client_secret=se\+cret$/)
    assert.equal((headers as Record<string, string>).Authorization, undefined)
  })

  test('replaces a token before its end, and nobody waits for that', async () => {
    const { supply, clock, asked } = await supplied()
    clock.advance(569_999)
    assert.equal(supply.current(), 'one')
    assert.equal(asked.length, 1)
    clock.advance(1)
    assert.equal(supply.current(), 'one')
    assert.equal(supply.current(), 'one')
    assert.equal(asked.length, 2)
  })

  test('gives out the new one as soon as it is there', async () => {
    const endpoint = await supplied()
    endpoint.clock.advance(580_000)
    endpoint.supply.current()
    await endpoint.answer(token('two'))
    assert.equal(endpoint.supply.current(), 'two')
  })

  test('keeps the old one through failures until it ends, and not a moment longer', async () => {
    const endpoint = await supplied()
    endpoint.clock.advance(570_000)
    endpoint.supply.current()
    await endpoint.fail()
    assert.equal(endpoint.supply.current(), 'one')
    assert.equal(endpoint.asked.length, 2, 'a failure is not followed by the next one at once')
    endpoint.clock.advance(1_000)
    assert.equal(endpoint.supply.current(), 'one')
    await endpoint.answer({ error: 'no' }, 500)
    assert.deepEqual(endpoint.failures, ['gone', 'the token endpoint answered 500'])
    endpoint.clock.advance(29_000)
    assert.equal(endpoint.supply.current(), null)
  })

  test('is quick to say that there is none while the endpoint is away, and recovers', async () => {
    const endpoint = new Endpoint()
    const first = endpoint.supply.wait()
    await endpoint.fail()
    assert.equal(await first, null)
    assert.equal(await endpoint.supply.wait(), null)
    assert.equal(endpoint.asked.length, 1)
    endpoint.clock.advance(1_000)
    const next = endpoint.supply.wait()
    await endpoint.answer(token('one'))
    assert.equal(await next, 'one')
  })

  test('replaces one that the service refuses, but not for every refusal', async () => {
    const endpoint = await supplied()
    endpoint.clock.advance(20_000)
    endpoint.supply.refused('another')
    assert.equal(endpoint.supply.current(), 'one')
    assert.equal(endpoint.asked.length, 1)
    endpoint.supply.refused('one')
    endpoint.supply.current()
    await endpoint.answer(token('two'))
    assert.equal(endpoint.supply.current(), 'two')
    endpoint.supply.refused('two')
    assert.equal(endpoint.supply.current(), 'two')
    assert.equal(endpoint.asked.length, 2)
  })

  test('replaces short-lived ones at half their life, and believes numbers in texts', async () => {
    const endpoint = await supplied('10')
    endpoint.clock.advance(4_999)
    endpoint.supply.current()
    assert.equal(endpoint.asked.length, 1)
    endpoint.clock.advance(1)
    endpoint.supply.current()
    assert.equal(endpoint.asked.length, 2)
  })

  test('knows how long a token lives that does not say it', async () => {
    const endpoint = await supplied(null)
    endpoint.clock.advance(299_999)
    assert.equal(endpoint.supply.current(), 'one')
    endpoint.clock.advance(1)
    assert.equal(endpoint.supply.current(), null)
  })

  for (const [what, answer] of [
    ['no JSON', 'nothing'],
    ['no object', []],
    ['no token', { token_type: 'bearer' }],
    ['a token that is no text', token(1 as never)],
    ['a token that could break a header', token('a\r\nb')],
    ['a token of another type', { ...token('one'), token_type: 'mac' }],
    ['no type', { access_token: 'one' }],
    ['a token without life', token('one', 0)],
    ['a life that is no number', token('one', 'long')],
    ['a token beyond all bounds', token('x'.repeat(16_385))],
  ] as const) {
    test(`takes ${what} for a failure, and tells no secret`, async () => {
      const endpoint = new Endpoint()
      const first = endpoint.supply.wait()
      await endpoint.answer(answer)
      assert.equal(await first, null)
      assert.equal(endpoint.failures.length, 1)
      assert.doesNotMatch(endpoint.failures[0]!, /one|xxx|nothing|cret/)
    })
  }
})
