import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { CookieJar } from '../../../test/support/cookie-jar.ts'
import { OpenIdProvider } from '../../../test/support/openid-provider.ts'
import { testExchange } from '../../proxy/pipeline/exchange.test-support.ts'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import type { PolicyHooks } from '../../proxy/pipeline/policy.ts'
import { Reply } from '../../proxy/pipeline/reply.ts'
import { hooksOf, refusals, type TestEnvironment, testEnvironment } from '../policy.test-support.ts'
import { oidcLogin } from './oidc-login.ts'

const PUBLIC_URL = 'https://shop.example'
const SECRET = 'a secret that is long enough for this'
const SETTINGS = {
  issuer: 'https://id.example/',
  clientId: 'shop',
  clientSecret: 'secret',
  publicUrl: PUBLIC_URL,
  secret: SECRET,
}

describe('settings', () => {
  for (const [what, settings, refusal] of [
    ['a short secret', { secret: 'short' }, /^secret: .*32 characters/],
    ['no secret', { secret: [] }, /^secret: /],
    ['sessions over http', { publicUrl: 'http://shop.example' }, /^publicUrl: .*https/],
    ['a path in the address', { publicUrl: 'https://shop.example/app' }, /^publicUrl: expected/],
    ['a provider in clear text', { issuer: 'http://id.example' }, /^issuer: .*clear text/],
    ['one path for two things', { logoutPath: '/callback' }, /^logoutPath: /],
    ['paths elsewhere', { afterLogout: '//evil.example' }, /^afterLogout: /],
    ['parameters of its own', { parameters: { state: 'x' } }, /^parameters\.state: /],
  ] as const) {
    test(`refuse ${what}`, () =>
      assert.match(refusals(oidcLogin, { ...SETTINGS, ...settings })[0] ?? '', refusal))
  }

  test('say where the session is, for those who look for credentials', () => {
    const placesOf = (publicUrl: string) =>
      oidcLogin.credentialPlaces!(oidcLogin.settings.parse({ ...SETTINGS, publicUrl }))
    assert.deepEqual(placesOf('https://shop.example/'), ['cookie:__Host-gatehouse.0'])
    assert.deepEqual(placesOf('http://localhost:8080'), ['cookie:gatehouse.0'])
  })
})

/** A browser in front of the policy, under a clock that stands still. */
class World {
  readonly provider: OpenIdProvider
  readonly environment: TestEnvironment = testEnvironment()
  readonly jar = new CookieJar()
  hooks: PolicyHooks

  private constructor(provider: OpenIdProvider) {
    this.provider = provider
    this.hooks = this.make({})
  }

  static async start(t: TestContext, settings: Readonly<Record<string, unknown>> = {}) {
    const provider = await OpenIdProvider.start()
    provider.redirectUris.push(`${PUBLIC_URL}/callback`)
    const world = new World(provider)
    world.hooks = world.make(settings)
    t.after(async () => {
      world.environment.dispose()
      await provider.close()
    })
    return world
  }

  make(settings: Readonly<Record<string, unknown>>): PolicyHooks {
    const { url: issuer, clientId, clientSecret } = this.provider
    const all = { ...SETTINGS, issuer, clientId, clientSecret, ...settings }
    return hooksOf(oidcLogin, all as never, this.environment)
  }

  /** The reply, or the exchange that goes on. */
  async get(target: string, accept = 'text/html'): Promise<Reply | Exchange> {
    const cookie = this.jar.line.trimEnd()
    const fields = [`Accept: ${accept}`, ...(cookie === '' ? [] : [cookie])]
    const exchange = testExchange({ target, fields })
    const reply = await this.hooks.onRequest!(exchange)
    this.hooks.onResponse!(exchange)
    this.#take((reply?.fieldLines ?? '') + (exchange.responseEdits?.lines() ?? ''))
    return reply ?? exchange
  }

  #take(lines: string): void {
    const cookies = lines.split('\r\n').filter((line) => line.startsWith('Set-Cookie: '))
    this.jar.take(cookies.map((line) => line.slice('Set-Cookie: '.length)))
  }

  /** Who calls, or the code of the refusal. */
  async who(): Promise<string | null> {
    const result = await this.get('/', 'application/json')
    return result instanceof Reply ? result.code : (result.consumer?.id ?? null)
  }

  /** The callback's target, after the user has agreed. */
  async agree(): Promise<string> {
    const reply = await this.get('/')
    assert.ok(reply instanceof Reply)
    const at = /^Location: (.*)\r$/m.exec(reply.fieldLines)![1]!
    const answer = await fetch(at, { redirect: 'manual' })
    await answer.arrayBuffer()
    return answer.headers.get('location')!.slice(PUBLIC_URL.length)
  }

  async signIn(): Promise<void> {
    const reply = await this.get(await this.agree())
    assert.ok(reply instanceof Reply)
    assert.equal(reply.status, 302)
  }
}

describe('time', () => {
  test('ends a session, however often it was refreshed', async (t) => {
    const world = await World.start(t, { lifetime: '1h' })
    await world.signIn()
    const { clock } = world.environment
    for (let minute = 0; minute < 59; minute += 9) {
      assert.equal(await world.who(), 'ann')
      clock.advance(9 * 60_000)
    }
    assert.equal(await world.who(), 'login_required')
    assert.equal(world.provider.timesAsked('/token'), 4)
    await world.signIn()
    assert.equal(await world.who(), 'ann')
  })

  test('ends a sign-in that takes too long', async (t) => {
    const world = await World.start(t)
    const callback = await world.agree()
    world.environment.clock.advance(600_000)
    const reply = await world.get(callback)
    assert.ok(reply instanceof Reply)
    assert.equal(reply.code, 'login_failed')
    assert.equal(world.provider.timesAsked('/token'), 0)
  })

  test('refreshes before tokens end, and not before that', async (t) => {
    const world = await World.start(t)
    await world.signIn()
    const { clock } = world.environment
    clock.advance(569_999)
    assert.equal(await world.who(), 'ann')
    assert.equal(world.provider.timesAsked('/token'), 1)
    clock.advance(1)
    assert.equal(await world.who(), 'ann')
    assert.equal(world.provider.timesAsked('/token'), 2)
    assert.equal(await world.who(), 'ann')
    assert.equal(world.provider.timesAsked('/token'), 2)
  })

  test('ends a session without tokens to refresh with when its tokens end', async (t) => {
    const world = await World.start(t)
    world.provider.givesRefreshTokens = false
    await world.signIn()
    world.environment.clock.advance(599_999)
    assert.equal(await world.who(), 'ann')
    world.environment.clock.advance(1)
    assert.equal(await world.who(), 'login_required')
  })

  test('does not matter to tokens whose life nobody knows', async (t) => {
    const world = await World.start(t, { lifetime: '1h' })
    world.provider.lifetimeS = null
    await world.signIn()
    world.environment.clock.advance(3_599_999)
    assert.equal(await world.who(), 'ann')
    world.environment.clock.advance(1)
    assert.equal(await world.who(), 'login_required')
    assert.equal(world.provider.timesAsked('/token'), 1)
  })
})

test('a new secret keeps the sessions of the old one as long as that is listed', async (t) => {
  const world = await World.start(t)
  await world.signIn()
  const fresh = 'another secret, as long as the first one'
  world.hooks = world.make({ secret: [fresh, SECRET] })
  assert.equal(await world.who(), 'ann')
  world.hooks = world.make({ secret: fresh })
  assert.equal(await world.who(), 'login_required')
})

test('a session without a name for the consumer is none', async (t) => {
  const world = await World.start(t)
  await world.signIn()
  world.hooks = world.make({ consumer: { id: 'employee' } })
  assert.equal(await world.who(), 'login_required')
  const reply = await world.get(await world.agree())
  assert.ok(reply instanceof Reply)
  assert.equal(reply.code, 'login_failed')
})

test('secrets and tokens are in no line of the log and no answer', async (t) => {
  const world = await World.start(t)
  const seen: string[] = []
  const note = (fields: unknown, message: string) => seen.push(JSON.stringify(fields) + message)
  Object.assign(world.environment, { log: { info: note, warn: note, error: note, line: note } })
  world.hooks = world.make({ timeout: '1s' })
  const callback = await world.agree()
  world.provider.instead.set('/token', (_, response) => {
    response.writeHead(400, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ error: 'invalid_grant', error_description: callback }))
  })
  const reply = await world.get(callback)
  assert.ok(reply instanceof Reply)
  seen.push(reply.fieldLines + reply.body.toString())
  const code = new URL(PUBLIC_URL + callback).searchParams.get('code')!
  const all = seen.join('\n')
  assert.match(all, /invalid_grant/)
  for (const secret of [code, SECRET, world.provider.clientSecret]) {
    assert.ok(!all.includes(secret), secret)
  }
})
