// oidc-login end to end: a browser with its cookies, a strict provider, a service that must see neither
// tokens nor cookies of the gateway.
import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { describe, type TestContext, test } from 'node:test'
import { CookieJar } from '../support/cookie-jar.ts'
import { type Settings, TestGateway } from '../support/gateway.ts'
import { OpenIdProvider } from '../support/openid-provider.ts'
import type { RawClient } from '../support/raw-client.ts'
import { type Echo, RecordingUpstream } from '../support/recording-upstream.ts'
import type { WireResponse } from '../support/strict-http.ts'

const PUBLIC_URL = 'https://shop.example'
const NAME = '__Host-gatehouse.'
const PAGE = 'Accept: text/html,*/*;q=0.8\r\nSec-Fetch-Mode: navigate\r\n'
const SCRIPT = 'Accept: application/json\r\nSec-Fetch-Mode: cors\r\n'

/** A browser, as far as it matters here: it keeps cookies, and goes where it is sent. */
class Browser {
  readonly jar: CookieJar
  readonly #client: RawClient

  constructor(client: RawClient, jar = new CookieJar()) {
    this.#client = client
    this.jar = jar
  }

  async get(target: string, fields = PAGE, method = 'GET'): Promise<WireResponse> {
    const head = `${method} ${target} HTTP/1.1\r\nHost: shop.example\r\n${this.jar.line}${fields}\r\n`
    const answer = await this.#client.exchange(head, method)
    this.jar.take(answer.all('set-cookie'))
    return answer
  }

  /** Begins to sign in at a page. @returns where the provider is asked to sign in. */
  async begin(target: string): Promise<URL> {
    const answer = await this.get(target)
    assert.equal(answer.status, 302, answer.text)
    return new URL(answer.header('location')!)
  }

  /** Signs in. @returns the answer of the callback. */
  async signIn(target = '/'): Promise<WireResponse> {
    return this.get(await consent(await this.begin(target)))
  }
}

/** The user agrees. @returns the target of the callback. */
async function consent(at: URL): Promise<string> {
  const answer = await fetch(at, { redirect: 'manual' })
  await answer.arrayBuffer()
  assert.equal(answer.status, 302)
  const back = answer.headers.get('location')!
  assert.ok(back.startsWith(`${PUBLIC_URL}/callback?`))
  return back.slice(PUBLIC_URL.length)
}

interface World {
  readonly provider: OpenIdProvider
  readonly service: RecordingUpstream
  readonly gateway: TestGateway
  readonly browser: Browser
}

async function world(t: TestContext, more: Settings = {}): Promise<World> {
  const provider = await OpenIdProvider.start()
  const service = await RecordingUpstream.startHttp()
  provider.redirectUris.push(`${PUBLIC_URL}/callback`)
  const policy = {
    issuer: provider.url,
    clientId: provider.clientId,
    clientSecret: provider.clientSecret,
    publicUrl: PUBLIC_URL,
    secret: 'a secret that is long enough for this',
    forward: { 'x-user': 'sub', 'x-mail': 'email' },
    ...more,
  }
  const use = [{ 'oidc-login': policy }]
  const gateway = await TestGateway.to({ url: service.url }, { use })
  t.after(async () => {
    await gateway.close()
    await service.close()
    await provider.close()
  })
  return { provider, service, gateway, browser: new Browser(await gateway.connect()) }
}

function seen(answer: WireResponse, name: string): string | null {
  assert.equal(answer.status, 200, answer.text)
  const { fields } = answer.json as Echo
  const at = fields.findIndex((field, index) => index % 2 === 0 && field.toLowerCase() === name)
  return at === -1 ? null : fields[at + 1]!
}

function assertFailed(answer: WireResponse, code = 'login_failed'): void {
  assert.equal(answer.problem.code, code)
  assert.equal(answer.status, code === 'login_failed' ? 400 : 503)
}

describe('signing in', () => {
  test('leads to the provider, back, and to the page that was asked for', async (t) => {
    const { browser, service, provider } = await world(t)
    const at = await browser.begin('/orders?page=2')
    assert.equal(at.origin + at.pathname, `${provider.url}/authorize`)
    assert.equal(at.searchParams.get('redirect_uri'), `${PUBLIC_URL}/callback`)
    assert.equal(at.searchParams.get('code_challenge_method'), 'S256')
    assert.equal(at.searchParams.get('scope'), 'openid')
    assert.equal(at.searchParams.get('state')?.length, 43)
    assert.equal(at.searchParams.get('nonce')?.length, 43)
    assert.equal(service.text, '', 'nobody gets to the service before')

    const back = await browser.get(await consent(at))
    assert.equal(back.status, 302)
    assert.equal(back.header('location'), `${PUBLIC_URL}/orders?page=2`)
    assert.equal(back.header('cache-control'), 'no-store')
    assert.deepEqual([...browser.jar.cookies.keys()], [`${NAME}0`], 'the sign-in is forgotten')

    const page = await browser.get('/orders?page=2')
    assert.equal(seen(page, 'x-user'), 'ann')
    assert.equal(seen(page, 'x-mail'), 'ann@shop.example')
    assert.equal(seen(page, 'cookie'), null)
    assert.equal(seen(page, 'authorization'), null)
    assert.deepEqual(page.all('set-cookie'), [])
    assert.equal(seen(await browser.get('/api', SCRIPT), 'x-user'), 'ann')
  })

  test('keeps its cookies from scripts, other hosts and other sites', async (t) => {
    const { browser } = await world(t)
    await browser.begin('/')
    const login = [...browser.jar.cookies.values()]
    await browser.signIn()
    for (const { attributes } of [...login, ...browser.jar.cookies.values()]) {
      assert.ok(attributes.has('httponly'))
      assert.ok(attributes.has('secure'))
      assert.equal(attributes.get('samesite'), 'Lax')
      assert.equal(attributes.get('path'), '/')
      assert.equal(attributes.has('domain'), false)
    }
    assert.equal(login[0]!.attributes.get('max-age'), '600')
    assert.equal(browser.jar.cookies.get(`${NAME}0`)!.attributes.get('max-age'), '28800')
  })

  test('works over http on this machine only, without what needs https', async (t) => {
    const { browser, provider } = await world(t, { publicUrl: 'http://localhost:8080' })
    provider.redirectUris.push('http://localhost:8080/callback')
    const at = await browser.begin('/')
    const [name, { attributes }] = [...browser.jar.cookies][0]!
    assert.match(name, /^gatehouse\.login-/)
    assert.equal(attributes.has('secure'), false)
    const answer = await fetch(at, { redirect: 'manual' })
    const back = new URL(answer.headers.get('location')!)
    assert.equal((await browser.get(back.pathname + back.search)).status, 302)
    assert.equal(seen(await browser.get('/'), 'x-user'), 'ann')
  })

  test('goes on in several windows at once, but not in any number', async (t) => {
    const { browser } = await world(t)
    const first = await browser.begin('/one')
    const second = await browser.begin('/two')
    assert.equal(browser.jar.cookies.size, 2)
    assert.equal((await browser.get(await consent(first))).header('location'), `${PUBLIC_URL}/one`)
    assert.equal((await browser.get(await consent(second))).header('location'), `${PUBLIC_URL}/two`)
    browser.jar.cookies.clear()
    for (let index = 0; index < 20; index++) await browser.begin('/')
    assert.ok(browser.jar.cookies.size <= 5, `${browser.jar.cookies.size} cookies`)
  })

  test('never leads to another site', async (t) => {
    const { browser } = await world(t)
    for (const target of ['/?next=https://evil.example', '/@evil.example', '/x//evil.example']) {
      const answer = await browser.get(target)
      if (answer.status === 400) continue
      const back = await browser.get(await consent(new URL(answer.header('location')!)))
      assert.equal(new URL(back.header('location')!).origin, PUBLIC_URL)
      browser.jar.cookies.clear()
    }
  })

  test('is for pages; others are told that it is needed', async (t) => {
    const { browser, service, provider } = await world(t)
    for (const [fields, method] of [
      [SCRIPT, 'GET'],
      ['Accept: */*\r\n', 'GET'],
      ['', 'GET'],
      ['Accept: text/html\r\nSec-Fetch-Mode: cors\r\n', 'GET'],
      [`${PAGE}Content-Length: 0\r\n`, 'POST'],
      [PAGE, 'DELETE'],
    ] as const) {
      const answer = await browser.get('/', fields, method)
      assert.equal(answer.status, 401)
      assert.equal(answer.problem.code, 'login_required')
      assert.ok(answer.header('www-authenticate'))
      assert.equal(answer.header('location'), null)
    }
    assert.equal((await browser.get('/', 'Accept: text/html\r\n')).status, 302)
    assert.equal(service.text, '')
    assert.equal(provider.timesAsked('/token'), 0)
  })

  test('may be left to the user', async (t) => {
    const { browser } = await world(t, { optional: true })
    const answer = await browser.get('/', `Cookie: ${NAME}0=1.abc; a=b\r\n`)
    assert.equal(seen(answer, 'x-user'), null)
    assert.equal(seen(answer, 'cookie'), 'a=b')
  })
})

describe('the service', () => {
  test('gets cookies of its own, and no client can name itself', async (t) => {
    const { browser } = await world(t)
    await browser.signIn()
    browser.jar.take(['theirs=1', 'other=2'])
    const answer = await browser.get('/', `${PAGE}X-User: root\r\nx_user: root\r\n`)
    assert.equal(seen(answer, 'cookie'), 'theirs=1; other=2')
    assert.equal(seen(answer, 'x-user'), 'ann')
    assert.equal(seen(answer, 'x_user'), null)
  })

  test('gets the access token where it should, and the client never does', async (t) => {
    const { browser } = await world(t, { forwardAccessToken: true })
    const back = await browser.signIn()
    const answer = await browser.get('/', `${PAGE}Authorization: Bearer theirs\r\n`)
    assert.equal(seen(answer, 'authorization'), 'Bearer access-1')
    assert.doesNotMatch(back.head, /access-1|eyJ/)
    for (const { value } of browser.jar.cookies.values()) {
      const bytes = Buffer.from(value.replace(/^\d\./, ''), 'base64url').toString('latin1')
      assert.doesNotMatch(bytes, /access-1|ann|eyJ/)
    }
  })

  test('large tokens are spread over several cookies, and too large ones refused', async (t) => {
    const { browser, provider, gateway } = await world(t)
    provider.user = { sub: 'ann', groups: ['x'.repeat(5_000)] }
    await browser.signIn()
    const pieces = [...browser.jar.cookies.keys()]
    assert.deepEqual(pieces, [`${NAME}0`, `${NAME}1`, `${NAME}2`])
    for (const { value } of browser.jar.cookies.values()) assert.ok(value.length < 3_900)
    const page = await browser.get('/')
    assert.equal(seen(page, 'x-user'), 'ann')
    assert.equal(seen(page, 'cookie'), null)
    for (const piece of pieces) {
      const jar = browser.jar.copy()
      jar.cookies.delete(piece)
      const other = new Browser(await gateway.connect(), jar)
      assert.equal((await other.get('/', SCRIPT)).status, 401, 'a missing piece is no session')
      provider.user = { sub: 'ann' }
      await other.signIn()
      assert.deepEqual([...other.jar.cookies.keys()], [`${NAME}0`], 'the old pieces are gone')
    }
    provider.user = { sub: 'ann', groups: ['x'.repeat(20_000)] }
    const greedy = new Browser(await gateway.connect())
    assertFailed(await greedy.signIn())
    assert.equal(greedy.jar.cookies.size, 0)
  })
})

describe('what is not believed', () => {
  test('a cookie that somebody changed, made up, or sent twice', async (t) => {
    const { browser, service } = await world(t)
    await browser.signIn()
    const { value } = browser.jar.cookies.get(`${NAME}0`)!
    const middle = Math.floor(value.length / 2)
    const other = value[middle] === 'A' ? 'B' : 'A'
    browser.jar.cookies.clear()
    for (const cookie of [
      `${NAME}0=${value.slice(0, middle)}${other}${value.slice(middle + 1)}`,
      `${NAME}0=${value.slice(0, -1)}`,
      `${NAME}0=2${value.slice(1)}`,
      `${NAME}0=9${value.slice(1)}`,
      `${NAME}0=`,
      `${NAME}0=1.`,
      `${NAME}1=${value}`,
      `gatehouse.0=${value}`,
      `${NAME}0=${value}; ${NAME}0=${value}`,
      `${NAME}0=1.${Buffer.from('{"sub":"root"}').toString('base64url')}`,
    ]) {
      const answer = await browser.get('/', `${SCRIPT}Cookie: ${cookie}\r\n`)
      assert.equal(answer.status, 401, cookie)
    }
    assert.equal(service.text, '')
  })

  test('a session of another client, address or provider, though sealed with the same secret', async (t) => {
    const { browser } = await world(t)
    await browser.signIn()
    for (const more of [{ clientId: 'other' }, { publicUrl: 'https://bank.example' }, {}]) {
      const other = await world(t, more)
      const stranger = new Browser(await other.gateway.connect(), browser.jar.copy())
      assert.equal((await stranger.get('/', SCRIPT)).status, 401)
    }
  })

  test('a callback that this browser did not ask for', async (t) => {
    const { browser, gateway, provider } = await world(t)
    const attacker = new Browser(await gateway.connect())
    const callback = await consent(await attacker.begin('/'))
    assertFailed(await browser.get(callback))
    await browser.begin('/')
    assertFailed(await browser.get(callback))
    assert.equal(provider.timesAsked('/token'), 0)
    assert.equal((await attacker.get(callback)).status, 302)
    assertFailed(await attacker.get(callback))
    assert.equal(provider.timesAsked('/token'), 1, 'a sign-in is used once')
  })

  test('a callback with a state, code or issuer of somebody else, or none', async (t) => {
    const { gateway } = await world(t)
    const edits: ((query: URLSearchParams) => void)[] = [
      (query) => query.set('state', 'x'),
      (query) => query.delete('state'),
      (query) => query.append('state', query.get('state')!),
      (query) => query.set('code', 'made-up'),
      (query) => query.delete('code'),
      (query) => query.append('code', 'another'),
      (query) => query.set('iss', 'https://evil.example'),
      (query) => query.delete('iss'),
      (query) => {
        query.delete('code')
        query.set('error', 'access_denied')
      },
    ]
    for (const [index, edit] of edits.entries()) {
      const browser = new Browser(await gateway.connect())
      const back = new URL(PUBLIC_URL + (await consent(await browser.begin('/'))))
      edit(back.searchParams)
      const answer = await browser.get(back.pathname + back.search)
      assertFailed(answer)
      assert.equal(answer.header('location'), null)
      const isOwn = index >= 3
      assert.equal(browser.jar.cookies.size, isOwn ? 0 : 1, 'no session')
    }
  })

  test('an ID token for another sign-in, client or issuer, too old, or signed by others', async (t) => {
    const { gateway, provider } = await world(t)
    const edits: Readonly<Record<string, unknown>>[] = [
      { nonce: 'another' },
      { nonce: undefined },
      { aud: 'bank' },
      { iss: 'https://evil.example' },
      { exp: 1_000 },
      { sub: undefined },
    ]
    for (const edit of edits) {
      provider.editIdToken = (claims) => JSON.parse(JSON.stringify({ ...claims, ...edit }))
      const browser = new Browser(await gateway.connect())
      assertFailed(await browser.signIn())
      assert.equal(browser.jar.cookies.size, 0)
    }
    provider.editIdToken = (claims) => claims
    provider.signsWithForeignKey = true
    assertFailed(await new Browser(await gateway.connect()).signIn())
    provider.signsWithForeignKey = false
    assert.equal((await new Browser(await gateway.connect()).signIn()).status, 302)
  })
})

describe('signing out', () => {
  test('ends the session here and at the provider', async (t) => {
    const { browser, provider } = await world(t, { afterLogout: '/goodbye' })
    await browser.signIn()
    const answer = await browser.get('/logout')
    assert.equal(answer.status, 302)
    assert.equal(browser.jar.cookies.size, 0)
    const at = new URL(answer.header('location')!)
    assert.equal(at.origin + at.pathname, `${provider.url}/end_session`)
    assert.equal(at.searchParams.get('post_logout_redirect_uri'), `${PUBLIC_URL}/goodbye`)
    assert.equal(at.searchParams.get('client_id'), 'shop')
    assert.equal(at.searchParams.get('id_token_hint')?.split('.').length, 3)
    assert.equal((await browser.get('/', SCRIPT)).status, 401)
  })

  test('ends it here where the provider has no such place, or cannot be asked', async (t) => {
    for (const isAway of [false, true]) {
      const { browser, provider } = await world(t)
      provider.hasEndSession = false
      if (isAway) {
        const gone = (_: unknown, response: { destroy(): void }): void => response.destroy()
        provider.instead.set('/.well-known/openid-configuration', gone)
      } else await browser.signIn()
      const answer = await browser.get('/logout', `${PAGE}Cookie: ${NAME}0=1.x\r\n`)
      assert.equal(answer.header('location'), `${PUBLIC_URL}/`)
      assert.ok(answer.all('set-cookie').some((line) => line.startsWith(`${NAME}0=; Max-Age=0`)))
    }
  })

  test('is not for other sites to bring about', async (t) => {
    const { browser } = await world(t)
    await browser.signIn()
    const answer = await browser.get('/logout', `${PAGE}Sec-Fetch-Site: cross-site\r\n`)
    assert.equal(answer.problem.code, 'csrf_refused')
    assert.equal(browser.jar.cookies.size, 1)
  })
})

describe('tokens that run out', () => {
  /** Asks until the provider has refreshed so often. */
  async function untilRefreshed(browser: Browser, provider: OpenIdProvider, times: number) {
    for (;;) {
      const answer = await browser.get('/', SCRIPT)
      if (provider.timesAsked('/token') > times) return answer
      assert.equal(answer.status, 200)
    }
  }

  test('are refreshed, and the session goes on with the new ones', async (t) => {
    const { browser, provider } = await world(t, { forwardAccessToken: true })
    provider.lifetimeS = 0.2
    await browser.signIn()
    assert.equal(seen(await browser.get('/', SCRIPT), 'authorization'), 'Bearer access-1')
    provider.lifetimeS = 600
    provider.user = { sub: 'ann', email: 'new@shop.example' }
    const answer = await untilRefreshed(browser, provider, 1)
    assert.equal(seen(answer, 'authorization'), 'Bearer access-2')
    assert.equal(seen(answer, 'x-mail'), 'new@shop.example')
    assert.equal(answer.header('cache-control'), 'no-store')
    const next = await browser.get('/', SCRIPT)
    assert.equal(seen(next, 'authorization'), 'Bearer access-2')
    assert.deepEqual(next.all('set-cookie'), [])
  })

  test('are refreshed once, however many ask, and for latecomers with the old cookie too', async (t) => {
    const { browser, provider, gateway } = await world(t)
    provider.lifetimeS = 0.02
    await browser.signIn()
    provider.lifetimeS = 600
    const old = browser.jar.copy()
    const browsers = await Promise.all(
      Array.from({ length: 10 }, async () => new Browser(await gateway.connect(), old.copy())),
    )
    await untilRefreshed(browser, provider, 1)
    const answers = await Promise.all(browsers.map((each) => each.get('/', SCRIPT)))
    for (const answer of answers) assert.equal(seen(answer, 'x-user'), 'ann')
    assert.equal(provider.timesAsked('/token'), 2)
  })

  test('end the session when they cannot be refreshed, or come back as those of another', async (t) => {
    const endings: ((provider: OpenIdProvider) => void)[] = [
      (provider) => provider.revokeAll(),
      (provider) => {
        provider.user = { sub: 'bob' }
      },
    ]
    for (const end of endings) {
      const { browser, provider } = await world(t)
      provider.lifetimeS = 0.02
      await browser.signIn()
      end(provider)
      const answer = await untilRefreshed(browser, provider, 1)
      assert.equal(answer.problem.code, 'login_required')
      assert.equal((await browser.get('/')).status, 302)
      assert.equal(provider.timesAsked('/token'), 2, 'and no second attempt')
    }
  })

  test('end the session where the provider gives nothing to refresh them with', async (t) => {
    const { browser, provider } = await world(t)
    provider.lifetimeS = 0.02
    provider.givesRefreshTokens = false
    await browser.signIn()
    while ((await browser.get('/', SCRIPT)).status === 200);
    assert.equal(provider.timesAsked('/token'), 1)
  })

  test('keep what they can while the provider is away, and then say so', async (t) => {
    const { browser, provider } = await world(t)
    provider.lifetimeS = 0.05
    await browser.signIn()
    provider.instead.set('/token', (_, response) => response.writeHead(502).end())
    let answer = await browser.get('/', SCRIPT)
    while (answer.status === 200) answer = await browser.get('/', SCRIPT)
    assertFailed(answer, 'login_unavailable')
    assert.equal(browser.jar.cookies.size, 1, 'the session is not over')
    provider.instead.clear()
    provider.lifetimeS = 600
    for (;;) {
      answer = await browser.get('/', SCRIPT)
      if (answer.status === 200) break
      assertFailed(answer, 'login_unavailable')
    }
    assert.equal(seen(answer, 'x-user'), 'ann')
  })
})

describe('a provider that is out of order', () => {
  for (const [what, path] of [
    ['metadata', '/.well-known/openid-configuration'],
    ['tokens', '/token'],
    ['keys', '/jwks'],
  ] as const) {
    for (const [how, listener] of [
      ['fails', (_: unknown, response: ServerResponse) => response.writeHead(500).end('{}')],
      ['hangs up', (_: unknown, response: ServerResponse) => response.destroy()],
      ['is silent', () => {}],
    ] as const) {
      test(`lets nobody in while it ${how} at ${what}`, async (t) => {
        const { browser, provider, service } = await world(t, { timeout: '300ms' })
        provider.instead.set(path, listener)
        const first = await browser.get('/')
        if (what === 'metadata') assertFailed(first, 'login_unavailable')
        else {
          const back = await browser.get(await consent(new URL(first.header('location')!)))
          assertFailed(back, 'login_unavailable')
        }
        assert.equal(service.text, '')
        assert.ok([...browser.jar.cookies.keys()].every((name) => !name.endsWith('.0')))
      })
    }
  }

  test('with metadata of somebody else is not believed', async (t) => {
    const { browser, provider } = await world(t)
    provider.instead.set('/.well-known/openid-configuration', (_, response) => {
      const issuer = 'https://evil.example'
      const document = { issuer, authorization_endpoint: `${issuer}/authorize` }
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document))
    })
    assertFailed(await browser.get('/'), 'login_unavailable')
  })
})
