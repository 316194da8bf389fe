import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ManualClock } from '../../lib/clock.ts'
import { ClaimReader } from '../claims.ts'
import {
  type OutboundAnswer,
  OutboundFailure,
  type OutboundRequest,
  type OutboundRequests,
} from '../outbound-request.ts'
import { refusals } from '../policy.test-support.ts'
import { AnswerCache, type Finding } from './answer-cache.ts'
import { introspection } from './introspection.ts'
import { Introspector, type IntrospectorSettings } from './introspector.ts'

const SERVER = { url: 'https://id.example/introspect', clientId: 'gateway', clientSecret: 'secret' }

describe('settings', () => {
  for (const [what, settings, refusal] of [
    ['no audience', SERVER, /^audience: say whom/],
    ['a contradiction', { ...SERVER, audience: 'a', unchecked: ['aud'] }, /^unchecked: /],
    ['clear text', { ...SERVER, url: 'http://id.example/', audience: 'a' }, /^url: .*clear text/],
    [
      'a long memory',
      { ...SERVER, audience: 'a', cacheFor: '1d' },
      /^cacheFor: must be 1h or less/,
    ],
  ] as const) {
    test(`refuse ${what}`, () => assert.match(refusals(introspection, settings)[0] ?? '', refusal))
  }
})

/** A server whose answer a test can change. */
class Server {
  readonly clock = new ManualClock()
  readonly warnings: string[] = []
  readonly asked: OutboundRequest[] = []
  answer: unknown = { active: true, sub: 'ann' }
  status = 200
  readonly introspector: Introspector

  constructor(settings: Partial<IntrospectorSettings> = {}) {
    const requests = {
      send: async (request: OutboundRequest): Promise<OutboundAnswer> => {
        this.asked.push(request)
        if (this.answer instanceof Error) throw this.answer
        const text = typeof this.answer === 'string' ? this.answer : JSON.stringify(this.answer)
        return { status: this.status, headers: new Headers(), body: Buffer.from(text) }
      },
      dispose() {},
    }
    const nothing = (): void => {}
    const warn = (fields: Readonly<Record<string, unknown>>): void => {
      this.warnings.push(String(fields.reason))
    }
    this.introspector = new Introspector(
      {
        ...SERVER,
        clientAuthentication: 'basic',
        issuer: null,
        audiences: null,
        toleranceMs: 5_000,
        activeForMs: 60_000,
        inactiveForMs: 10_000,
        bytesMax: 1_000_000,
        ...settings,
      },
      {
        requests: requests as Partial<OutboundRequests> as OutboundRequests,
        reader: new ClaimReader({ id: 'sub', groups: 'groups' }, {}),
        clock: this.clock,
        log: { info: nothing, error: nothing, line: nothing, warn },
      },
    )
  }

  /** Now, in seconds. */
  get now(): number {
    return this.clock.wallTime() / 1_000
  }

  /** The id of whoever has the token, or why it is refused; null when nobody could tell. */
  async lookUp(token = 'token'): Promise<string | null> {
    const found = this.introspector.known(token) ?? (await this.introspector.ask(token, token))
    return found === null ? null : (found.identity?.consumer.id ?? found.refusal)
  }
}

describe('what an answer means', () => {
  for (const [what, claims, settings, expected] of [
    ['nothing but the name', {}, {}, 'ann'],
    ['inactive', { active: false }, {}, 'inactive'],
    ['no subject', { sub: undefined }, {}, 'no_subject'],
    ['expired within tolerance', { exp: -5 + 0.001 }, {}, 'ann'],
    ['expired beyond it', { exp: -5 }, {}, 'expired'],
    ['not yet valid within tolerance', { nbf: 5 }, {}, 'ann'],
    ['not yet valid beyond it', { nbf: 5.001 }, {}, 'not_yet_valid'],
    ['an expiry that is no time', { exp: '1' }, {}, 'malformed_claim'],
    ['a beginning that is no time', { nbf: null }, {}, 'malformed_claim'],
    ['the right issuer', { iss: 'a' }, { issuer: 'a' }, 'ann'],
    ['another issuer', { iss: 'a/' }, { issuer: 'a' }, 'wrong_issuer'],
    ['no issuer', {}, { issuer: 'a' }, 'wrong_issuer'],
    ['the right audience', { aud: 'b' }, { audiences: ['a', 'b'] }, 'ann'],
    ['one of several audiences', { aud: ['c', 'b'] }, { audiences: ['a', 'b'] }, 'ann'],
    ['another audience', { aud: ['c'] }, { audiences: ['a', 'b'] }, 'wrong_audience'],
    ['no audience', {}, { audiences: ['a'] }, 'wrong_audience'],
    ['an audience that only contains it', { aud: 'ab' }, { audiences: ['a'] }, 'wrong_audience'],
    ['bound to a key', { cnf: { jkt: 'x' } }, {}, 'bound_elsewhere'],
  ] as const) {
    test(what, async () => {
      const server = new Server(settings)
      const given: Record<string, unknown> = { active: true, sub: 'ann', ...claims }
      for (const name of ['exp', 'nbf']) {
        if (typeof given[name] === 'number') given[name] = given[name] + server.now
      }
      server.answer = given
      assert.equal(await server.lookUp(), expected)
    })
  }

  for (const [what, status, answer] of [
    ['an error', 500, { active: true, sub: 'ann' }],
    ['a refusal of the gateway', 401, { error: 'invalid_client' }],
    ['a redirect', 302, { active: true, sub: 'ann' }],
    ['an empty success', 204, ''],
    ['no JSON', 200, '<html>'],
    ['a list', 200, [{ active: true }]],
    ['no word on it', 200, { sub: 'ann' }],
    ['a text for yes', 200, { active: 'true', sub: 'ann' }],
    ['a number for yes', 200, { active: 1, sub: 'ann' }],
    ['nothing', 200, new OutboundFailure('timeout', 'too late')],
  ] as const) {
    test(`${what} means nothing, and is not remembered`, async () => {
      const server = new Server()
      server.status = status
      server.answer = answer
      assert.equal(await server.lookUp(), null)
      assert.equal(server.warnings.length, 1)
      server.status = 200
      server.answer = { active: true, sub: 'ann' }
      assert.equal(await server.lookUp(), 'ann')
    })
  }
})

describe('remembering', () => {
  test('many who ask at once cause one question', async () => {
    const server = new Server()
    const answers = await Promise.all([server.lookUp(), server.lookUp(), server.lookUp()])
    assert.deepEqual(answers, ['ann', 'ann', 'ann'])
    assert.equal(server.asked.length, 1)
    assert.equal(server.asked[0]!.body, 'token=token&token_type_hint=access_token')
  })

  test('an answer is believed as long as the settings say', async () => {
    const server = new Server()
    await server.lookUp()
    server.answer = { active: false }
    server.clock.advance(59_999)
    assert.equal(await server.lookUp(), 'ann')
    server.clock.advance(1)
    assert.equal(await server.lookUp(), 'inactive')
  })

  test('but no longer than the token lives', async () => {
    const server = new Server()
    server.answer = { active: true, sub: 'ann', exp: server.now + 20 }
    await server.lookUp()
    server.clock.advance(24_999)
    assert.equal(await server.lookUp(), 'ann')
    assert.equal(server.asked.length, 1)
    server.clock.advance(1)
    assert.equal(await server.lookUp(), 'expired')
  })

  test('a refusal is believed more briefly', async () => {
    const server = new Server()
    server.answer = { active: false }
    await server.lookUp()
    server.answer = { active: true, sub: 'ann' }
    server.clock.advance(9_999)
    assert.equal(await server.lookUp(), 'inactive')
    server.clock.advance(1)
    assert.equal(await server.lookUp(), 'ann')
  })

  test('nothing, where the settings say so', async () => {
    const server = new Server({ bytesMax: 0 })
    for (const _ of [1, 2, 3]) await server.lookUp()
    assert.equal(server.asked.length, 3)
  })

  test('made-up tokens displace no good one', async () => {
    const server = new Server()
    await server.lookUp('good')
    server.answer = { active: false }
    for (let index = 0; index < 20_000; index++) await server.lookUp(`made up ${index}`)
    assert.equal(await server.lookUp('good'), 'ann')
  })

  test('stays within its bytes; the oldest goes first', () => {
    const cache = new AnswerCache(100)
    const finding: Finding = { identity: null, refusal: 'inactive', endsAtMs: 10, bytes: 40 }
    for (const name of ['a', 'b', 'b', 'c']) cache.set(name, finding, 0)
    const held = (): string => ['a', 'b', 'c', 'd'].filter((name) => cache.get(name, 9)).join('')
    assert.equal(held(), 'bc')
    cache.set('d', { ...finding, bytes: 101 }, 0)
    assert.equal(held(), 'bc')
    assert.equal(cache.get('b', 10), null)
    cache.set('a', { ...finding, bytes: 60 }, 0)
    assert.equal(held(), 'ac')
  })
})
