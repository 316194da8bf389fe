import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { z } from 'zod'
import type { ErrorCode } from '../../errors.ts'
import { testExchange } from '../../proxy/pipeline/exchange.test-support.ts'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import { definePolicy, type PolicyDefinition } from '../../proxy/pipeline/policy.ts'
import { Reply } from '../../proxy/pipeline/reply.ts'
import { CredentialFailures } from '../credential-failure.ts'
import { hooksOf, refusals, testEnvironment } from '../policy.test-support.ts'
import { policyProblems } from '../policy-contract.ts'
import { policies } from '../registry.ts'
import { anyOf } from './any-of.ts'

const BOUNDS = { perAddress: 10, perIdentity: 10, windowMs: 60_000 }

/**
 * Accepts tokens that begin with its own name, out of the header it reads; refuses others. `later`:
 * only after a turn of the loop. Every moment is noted in `seen`.
 */
function bearer(name: string, header: string, later: boolean, seen: string[]): PolicyDefinition {
  return definePolicy({
    name,
    summary: 'Takes tokens of its own.',
    settings: z.strictObject({}),
    provides: ['consumer'],
    credentialPlaces: () => [`header:${header}`],
    body: { request: 'observe' },
    examples: [{}],
    create(_settings, environment) {
      const failures = new CredentialFailures(BOUNDS, environment)
      const refusal = (code: ErrorCode) =>
        environment.problem(code, { headers: { 'WWW-Authenticate': `Scheme-${name}` } })
      const required = refusal('authentication_required')
      const decide = (exchange: Exchange): Reply | undefined => {
        const token = exchange.requestHeader(header)
        if (token === null) return required
        if (token === `${name} offer`) return environment.reply(302, { Location: '/login' })
        if (token === `${name} busy`) return environment.problem('credentials_busy')
        if (token === `${name} throw`) throw new Error('broken')
        if (!token.startsWith(`${name} `)) {
          failures.note(exchange, null)
          return refusal('credential_invalid')
        }
        exchange.consumer = { id: name, groups: [], claims: null }
        exchange.authentication = { stage: environment.stage.id, scheme: 'Bearer' }
        return
      }
      return {
        onRequest(exchange) {
          seen.push(`${name} request`)
          return later ? Promise.resolve().then(() => decide(exchange)) : decide(exchange)
        },
        onForward: () => void seen.push(`${name} forward`),
        onResponse: () => void seen.push(`${name} response`),
        onRequestBody(_exchange, chunk) {
          seen.push(`${name} body`)
          return chunk
        },
        onFinish: () => void seen.push(`${name} finish`),
        dispose: () => void seen.push(`${name} dispose`),
      }
    },
  })
}

for (const later of [false, true]) {
  describe(`any-of over policies that decide ${later ? 'later' : 'at once'}`, () => {
    /** `a` and `b` read one header, `c` another one. */
    function setUp() {
      const seen: string[] = []
      const failed: string[] = []
      const definition = anyOf([
        bearer('a', 'authorization', later, seen),
        bearer('b', 'authorization', later, seen),
        bearer('c', 'x-c', later, seen),
      ])
      const environment = testEnvironment({
        stage: { id: 'door' },
        failedAttempts: { mayTry: () => true, failed: (_bounds, ip) => void failed.push(ip) },
      })
      const settings = { of: [{ a: {} }, { b: {} }, { c: {} }] } as never
      const hooks = hooksOf(definition, settings, environment)
      return { hooks, seen, failed, definition }
    }

    async function ask(fields: readonly string[]) {
      const parts = setUp()
      const exchange = testExchange({ fields })
      const reply = await parts.hooks.onRequest!(exchange)
      return { ...parts, exchange, reply: reply instanceof Reply ? reply : null }
    }

    test('takes the first that succeeds, and remembers which', async () => {
      const { exchange, reply, seen, hooks } = await ask(['Authorization: a 1'])
      assert.equal(reply, null)
      assert.equal(exchange.consumer?.id, 'a')
      assert.deepEqual(exchange.authentication, { stage: 'door/a', scheme: 'Bearer' })
      hooks.onForward!(exchange)
      hooks.onRequestBody!(exchange, null)
      hooks.onResponse!(exchange)
      hooks.onFinish!(exchange)
      assert.deepEqual(seen, ['a request', 'a forward', 'a body', 'a response', 'a finish'])
    })

    test('lets one take what another refused, if both read the same place', async () => {
      const { exchange, reply, seen, failed, hooks } = await ask(['Authorization: b 1'])
      assert.equal(reply, null)
      assert.equal(exchange.consumer?.id, 'b')
      assert.deepEqual(failed, [], 'the refusal of the first was no failed attempt')
      assert.equal(exchange.pendingFailures, null)
      hooks.onResponse!(exchange)
      hooks.onFinish!(exchange)
      assert.deepEqual(seen.slice(2), ['b response', 'b finish', 'a finish'])
    })

    test('lets none make good what another refused elsewhere', async () => {
      const { exchange, reply, seen, failed } = await ask(['Authorization: forged', 'X-C: c 1'])
      assert.equal(reply?.code, 'credential_invalid')
      assert.equal(exchange.consumer, null)
      assert.equal(exchange.authentication, null)
      assert.ok(!seen.includes('c request'))
      assert.equal(failed.length, 2, 'now both refusals count')
    })

    test('takes out the credentials that the accepting one does not read', async () => {
      const { exchange } = await ask(['X-C: c 1', 'X-Other: 1'])
      assert.equal(exchange.consumer?.id, 'c')
      const both = await ask(['Authorization: a 1', 'X-C: forged'])
      assert.equal(both.exchange.consumer?.id, 'a')
      assert.equal(both.exchange.requestHeader('x-c'), null)
    })

    test('answers with the challenges of all', async () => {
      const { reply } = await ask([])
      assert.equal(reply?.code, 'authentication_required')
      const challenges = reply!.fieldLines.match(/(?<=WWW-Authenticate: ).*/g)
      assert.deepEqual(challenges, ['Scheme-a', 'Scheme-b', 'Scheme-c'])
      const refused = await ask(['X-C: forged'])
      assert.equal(refused.reply?.code, 'credential_invalid')
      assert.equal(refused.reply!.fieldLines.match(/WWW-Authenticate/g)!.length, 3)
    })

    test('passes on an offer to sign in, unless another accepts', async () => {
      const { reply } = await ask(['X-C: c offer'])
      assert.equal(reply?.status, 302)
    })

    test('never takes one that cannot decide for a yes', async () => {
      const { reply } = await ask(['X-C: c busy'])
      assert.deepEqual([reply?.status, reply?.code], [503, 'credentials_busy'])
    })

    test('fails when one fails, and ends for those that were asked', async () => {
      const { hooks, seen } = setUp()
      const exchange = testExchange({ fields: ['Authorization: a throw'] })
      await assert.rejects(async () => hooks.onRequest!(exchange), /broken/)
      hooks.onFinish!(exchange)
      assert.deepEqual(seen, ['a request', 'a finish'])
      hooks.dispose!()
      assert.deepEqual(seen.slice(2), ['a dispose', 'b dispose', 'c dispose'])
    })

    test('holds to the contract', () => {
      assert.deepEqual(policyProblems(setUp().definition as unknown as PolicyDefinition), [])
    })
  })
}

test('any-of gives back what the others took when one of them refuses its settings', () => {
  const seen: string[] = []
  const broken = definePolicy({
    ...bearer('broken', 'x-broken', false, seen),
    create: () => {
      throw new Error('no key')
    },
  })
  const definition = anyOf([bearer('a', 'authorization', false, seen), broken])
  assert.throws(() => hooksOf(definition, { of: [{ a: {} }, { broken: {} }] } as never), /no key/)
  assert.deepEqual(seen, ['a dispose'])
})

describe('any-of', () => {
  const definition = policies.find(({ name }) => name === 'any-of')!

  test('has every policy that provides the consumer as an alternative', () => {
    for (const { name, provides } of policies) {
      if (name === 'any-of' || provides?.includes('consumer') !== true) continue
      const messages = refusals(definition, { of: [{ [name]: 1 }, { 'api-key': {} }] })
      assert.ok(!messages.some((message) => message.includes('nrecognized')), name)
    }
  })

  test('refuses what is no alternative', () => {
    for (const of of [
      [],
      [{ 'api-key': {} }],
      [{ 'api-key': {} }, { cors: { origins: '*' } }],
      [{ 'api-key': {}, 'basic-auth': {} }, { 'api-key': {} }],
      [{}, { 'api-key': {} }],
      [{ 'api-key': { headr: 'x' } }, { 'basic-auth': {} }],
    ]) {
      assert.notDeepEqual(refusals(definition, { of }), [])
    }
  })

  test('knows the identity headers and places of its alternatives', () => {
    const settings = definition.settings.parse({
      of: [
        { 'api-key': { query: 'k', forward: { id: 'x-who' } } },
        { 'basic-auth': { forward: { id: 'x-person' } } },
      ],
    })
    assert.deepEqual(definition.identityHeaders!(settings), ['x-who', 'x-person'])
    assert.deepEqual(definition.credentialPlaces!(settings), ['query:k', 'header:authorization'])
  })
})
