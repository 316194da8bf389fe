// oidc-login as a real browser lives it: redirects, cookies, windows and other people's pages.
// needs: chromium
import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { after, before, type TestContext, test } from 'node:test'
import type { Browser, BrowserContext, Cookie, Page } from 'playwright-core'
import { Authority } from '../support/certificates.ts'
import { eventually, PATIENCE_MS } from '../support/changes.ts'
import { TestGateway } from '../support/gateway.ts'
import { OpenIdProvider } from '../support/openid-provider.ts'
import { startBrowser } from '../support/real-browser.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { TestFolder } from '../support/tls.ts'

const EVIL = 'http://evil.example'
const SITES = [
  { scheme: 'https', origin: 'https://shop.example', prefix: '__Host-gatehouse.' },
  { scheme: 'http', origin: 'http://localhost:8080', prefix: 'gatehouse.' },
] as const

/** One shop with its own provider, reached by `origin`. */
interface Site {
  readonly origin: string
  readonly prefix: string
  readonly provider: OpenIdProvider
  readonly service: RecordingUpstream
  readonly gateway: TestGateway
}

const closers: (() => Promise<void>)[] = []
const sites = new Map<string, Site>()
let browser: Browser

before(async () => {
  const folder = new TestFolder({ after: (hook) => closers.push(async () => hook()) })
  const authority = new Authority()
  const own = authority.issue({ commonName: 'shop.example', names: ['shop.example'] })
  const certificate = folder.certificate('shop', own)
  for (const { scheme, origin, prefix } of SITES) {
    const listen =
      scheme === 'http'
        ? 'http://127.0.0.1:0'
        : { url: 'https://127.0.0.1:0', tls: { certificates: [certificate] } }
    sites.set(scheme, await startSite(listen, origin, prefix))
  }
  const evil = await RecordingUpstream.startHttp(evilPage)
  closers.push(() => evil.close())
  browser = await startBrowser({
    'shop.example': sites.get('https')!.gateway.port,
    'localhost:8080': sites.get('http')!.gateway.port,
    'evil.example': evil.port,
  })
  closers.push(() => browser.close())
})

after(async () => {
  for (const close of closers.reverse()) await close()
})

async function startSite(listen: unknown, origin: string, prefix: string): Promise<Site> {
  const provider = await OpenIdProvider.start()
  const service = await RecordingUpstream.startHttp(shopPage)
  provider.redirectUris.push(`${origin}/callback`)
  const login = {
    issuer: provider.url,
    clientId: provider.clientId,
    clientSecret: provider.clientSecret,
    publicUrl: origin,
    secret: 'a secret that is long enough for this',
    forward: { 'x-user': 'sub' },
    afterLogout: '/goodbye',
  }
  const gateway = await TestGateway.start({
    listen,
    services: { shop: { url: service.url } },
    routes: [
      { path: '/goodbye', respond: { status: 200, body: 'Goodbye' } },
      { path: '/*', use: ['csrf', { 'oidc-login': login }], to: 'shop' },
    ],
  })
  closers.push(async () => {
    await gateway.close()
    await service.close()
    await provider.close()
  })
  return { origin, prefix, provider, service, gateway }
}

/** A page that says who is signed in, and what came with the request. */
function shopPage(request: IncomingMessage, response: ServerResponse): void {
  const { 'x-user': user, cookie = '' } = request.headers
  response.writeHead(200, { 'Content-Type': 'text/html' })
  response.end(
    `<title>${user} ${request.method} ${request.url}</title><pre>${cookie}</pre>` +
      `<form method=post action=/buy><button>Buy</button></form><a href=/logout>Sign out</a>`,
  )
}

/** What the path names is sent to the shop by this page, as soon as it is clicked. */
function evilPage(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url!, EVIL)
  const target = url.searchParams.get('target') ?? ''
  response.writeHead(200, { 'Content-Type': 'text/html' })
  response.end(
    `<form method=post action="${target}"><button>Win</button></form><a href="${target}">Look</a>`,
  )
}

/** A visitor with a profile of its own, gone after the test. */
async function visitor(t: TestContext): Promise<BrowserContext> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true })
  context.setDefaultTimeout(PATIENCE_MS)
  t.after(() => context.close())
  return context
}

async function newPage(t: TestContext): Promise<Page> {
  return (await visitor(t)).newPage()
}

/** Cookies of the site that the gateway made, as the browser keeps them. */
async function ownCookies({ origin, prefix }: Site, context: BrowserContext): Promise<Cookie[]> {
  return (await context.cookies(origin)).filter(({ name }) => name.startsWith(prefix))
}

type Story = (t: TestContext, site: Site) => Promise<void>

function overHttps(what: string, story: Story): void {
  test(what, (t) => story(t, sites.get('https')!))
}

/** Over https, and over http on this machine, where cookies cannot have all that protects them. */
function inBoth(what: string, story: Story): void {
  for (const { scheme } of SITES) {
    test(`${what}, over ${scheme}`, (t) => story(t, sites.get(scheme)!))
  }
}

inBoth('signs in, comes back to the page it asked for, and stays signed in', async (t, site) => {
  const page = await newPage(t)
  const asked = site.provider.timesAsked('/authorize')
  await page.goto(`${site.origin}/orders?page=2&q=%C3%A9`)
  assert.equal(page.url(), `${site.origin}/orders?page=2&q=%C3%A9`)
  assert.equal(await page.title(), 'ann GET /orders?page=2&q=%C3%A9')
  await page.goto(`${site.origin}/basket`)
  assert.equal(await page.title(), 'ann GET /basket')
  assert.equal(await page.evaluate(`fetch('/api').then((answer) => answer.status)`), 200)
  assert.equal(site.provider.timesAsked('/authorize'), asked + 1)
})

inBoth('keeps a session that no script can read, for this host alone', async (t, site) => {
  const page = await newPage(t)
  await page.goto(`${site.origin}/`)
  const cookies = await ownCookies(site, page.context())
  assert.deepEqual(
    cookies.map(({ name }) => name),
    [`${site.prefix}0`],
    'the cookie of the sign-in is gone',
  )
  const { httpOnly, secure, sameSite, path, domain, expires } = cookies[0]!
  assert.deepEqual(
    { httpOnly, secure, sameSite, path, domain },
    {
      httpOnly: true,
      secure: site.origin.startsWith('https'),
      sameSite: 'Lax',
      path: '/',
      domain: new URL(site.origin).hostname,
    },
  )
  const lifeMs = expires * 1_000 - Date.now()
  assert.ok(lifeMs > 7.9 * 3_600_000 && lifeMs <= 8 * 3_600_000, `${lifeMs} ms`)
  assert.equal(await page.evaluate('document.cookie'), '')
  assert.equal(await page.textContent('pre'), '', 'nor does the service see it')
})

overHttps('has its own cookies passed on to the service', async (t, site) => {
  const page = await newPage(t)
  await page.goto(`${site.origin}/`)
  await page.evaluate(`document.cookie = 'basket=7'`)
  await page.reload()
  assert.equal(await page.textContent('pre'), 'basket=7')
})

overHttps('is signed in in a second tab, and may begin in two at once', async (t, site) => {
  const context = await visitor(t)
  const tabs = [await context.newPage(), await context.newPage(), await context.newPage()]
  const [one, two, three] = tabs as [Page, Page, Page]
  await Promise.all([one.goto(`${site.origin}/one`), two.goto(`${site.origin}/two`)])
  assert.equal(await one.title(), 'ann GET /one')
  assert.equal(await two.title(), 'ann GET /two')
  const asked = site.provider.timesAsked('/authorize')
  await three.goto(`${site.origin}/three`)
  assert.equal(await three.title(), 'ann GET /three')
  assert.equal(site.provider.timesAsked('/authorize'), asked)
})

inBoth(
  'gets a new cookie when the tokens are refreshed, without leaving the page',
  async (t, site) => {
    const page = await newPage(t)
    site.provider.lifetimeS = 3
    try {
      await page.goto(`${site.origin}/`)
    } finally {
      site.provider.lifetimeS = 600
    }
    const before = await ownCookies(site, page.context())
    const [tokens, logins] = ['/token', '/authorize'].map((path) => site.provider.timesAsked(path))
    await eventually(
      async () => {
        const status = await page.evaluate(`fetch('/api').then((answer) => answer.status)`)
        assert.equal(status, 200)
        return site.provider.timesAsked('/token') > tokens!
      },
      () => 'a refresh',
    )
    const now = await ownCookies(site, page.context())
    assert.notEqual(now[0]!.value, before[0]!.value)
    await page.reload()
    assert.equal(await page.title(), 'ann GET /')
    assert.equal(site.provider.timesAsked('/authorize'), logins)
  },
)

overHttps('signs out here and at the provider, and then has to sign in again', async (t, site) => {
  const page = await newPage(t)
  await page.goto(`${site.origin}/`)
  const left = site.provider.signedOut.length
  await page.click('a')
  await page.waitForURL(`${site.origin}/goodbye`)
  assert.equal(await page.textContent('body'), 'Goodbye')
  assert.equal(site.provider.signedOut.length, left + 1)
  assert.deepEqual(await ownCookies(site, page.context()), [])
  assert.equal(await page.evaluate(`fetch('/api').then((answer) => answer.status)`), 401)
  const asked = site.provider.timesAsked('/authorize')
  await page.goto(`${site.origin}/`)
  assert.equal(await page.title(), 'ann GET /')
  assert.equal(site.provider.timesAsked('/authorize'), asked + 1)
})

inBoth('sends forms of the shop, and none that another site makes', async (t, site) => {
  const page = await newPage(t)
  await page.goto(`${site.origin}/`)
  await page.click('button')
  await page.waitForURL(`${site.origin}/buy`)
  assert.equal(await page.title(), 'ann POST /buy')
  await page.goto(`${EVIL}/?target=${site.origin}/buy`)
  const [answer] = await Promise.all([
    page.waitForResponse(`${site.origin}/buy`),
    page.click('button'),
  ])
  assert.equal(answer.status(), 403)
  assert.equal((await answer.json()).code, 'csrf_refused')
  assert.equal(site.service.text.split('POST /buy').length, 2, 'the shop has heard of one')
})

overHttps(
  'is still signed in when a link of another site leads to the shop, or to signing out',
  async (t, site) => {
    const page = await newPage(t)
    await page.goto(`${site.origin}/`)
    const asked = site.provider.timesAsked('/authorize')
    await page.goto(`${EVIL}/?target=${site.origin}/logout`)
    const [answer] = await Promise.all([
      page.waitForResponse(`${site.origin}/logout`),
      page.click('a'),
    ])
    assert.equal(answer.status(), 403)
    await page.goto(`${EVIL}/?target=${site.origin}/offer`)
    await page.click('a')
    await page.waitForURL(`${site.origin}/offer`)
    assert.equal(await page.title(), 'ann GET /offer')
    assert.equal(site.provider.timesAsked('/authorize'), asked)
  },
)

overHttps('cannot be made to finish a sign-in that somebody else began', async (t, site) => {
  const attacker = await newPage(t)
  site.provider.instead.set('/authorize', (_, response) => response.end('Who are you?'))
  try {
    await attacker.goto(`${site.origin}/`)
  } finally {
    site.provider.instead.delete('/authorize')
  }
  const consent = await fetch(attacker.url(), { redirect: 'manual' })
  const callback = consent.headers.get('location')!
  assert.ok(callback.startsWith(`${site.origin}/callback?`))
  const page = await newPage(t)
  await page.goto(`${EVIL}/?target=${encodeURIComponent(callback)}`)
  const [answer] = await Promise.all([page.waitForResponse(callback), page.click('a')])
  assert.equal(answer.status(), 400)
  assert.equal((await answer.json()).code, 'login_failed')
  assert.deepEqual(await ownCookies(site, page.context()), [])
})
