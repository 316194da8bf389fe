// Tokens of consumers that the configuration names: whose they are, and whose they never become.
import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { after, before, describe, type TestContext, test } from 'node:test'
import { SignJWT } from 'jose'
import { createGateway } from '../../src/gateway/gateway.ts'
import { keyLine } from '../support/credentials.ts'
import type { Settings } from '../support/gateway.ts'
import { RawClient } from '../support/raw-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'

const ISSUER = 'https://id.example/'
const OTHER = 'https://other.example/'
const SECRET = '0123456789abcdef0123456789abcdef'
const KEY = 'the-key-of-the-warehouse'

const WAREHOUSE = {
  groups: ['partners'],
  keys: [keyLine(KEY)],
  tokens: [
    { issuer: ISSUER, subject: 'u-17' },
    { issuer: ISSUER, client: 'warehouse-app' },
  ],
  limits: { fair: { limit: 3, burst: 3 } },
}

/** An introspection endpoint and an authorization service, which believe what a token says. */
let authority: RecordingUpstream
before(async () => {
  authority = await RecordingUpstream.startHttp((request, response) => {
    if (request.url === '/verify') verify(request, response)
    else introspect(request, response)
  })
})
after(() => authority.close())

function verify(request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { 'X-User': request.headers.authorization ?? '' }).end()
}

function introspect(request: IncomingMessage, response: ServerResponse): void {
  let body = ''
  request.on('data', (data) => {
    body += data
  })
  request.on('end', () => {
    const token = new URLSearchParams(body).get('token') ?? ''
    const claims = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString())
    response.end(JSON.stringify({ active: true, ...claims }))
  })
}

function token(claims: Settings, issuer: string = ISSUER): Promise<string> {
  const exp = Math.floor(Date.now() / 1_000) + 300
  return new SignJWT({ iss: issuer, aud: 'shop', exp, ...claims })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(Buffer.from(SECRET))
}

const jwt = (more: Settings = {}): Settings => ({
  jwt: { issuer: [ISSUER, OTHER], audience: 'shop', secret: SECRET, ...more },
})
const introspection = (more: Settings = {}): Settings => ({
  introspection: {
    url: `${authority.url}/introspect`,
    clientId: 'gateway',
    clientSecret: 'secret',
    audience: 'shop',
    issuer: ISSUER,
    ...more,
  },
})

/** A gateway that tells who calls. */
async function world(t: TestContext, first: Settings, consumers: Settings) {
  const settings = (known: Settings): never =>
    ({
      listen: 'http://127.0.0.1:0',
      admin: false,
      log: { level: 'error' },
      consumers: known,
      use: [
        first,
        { 'rate-limit': { limit: 1, per: '1h', burst: 1, by: 'consumer' }, id: 'fair' },
        { headers: { response: { set: { 'x-who': '${consumer.id}' } } } },
      ],
      routes: [
        {
          path: '/partners',
          use: [{ require: { groups: ['partners'] } }],
          respond: { body: 'ok' },
        },
        {
          path: '/staff',
          use: [{ require: { groups: ['staff'] } }],
          respond: { body: 'ok' },
        },
        { path: '/*', respond: { body: 'ok' } },
      ],
    }) as never
  const gateway = await createGateway(settings(consumers))
  await gateway.start()
  const client = await RawClient.connect(gateway.addresses[0]!.port)
  t.after(async () => {
    await client.destroy()
    await gateway.close()
  })
  /** Who the gateway says it was; or the status, the code and the reason. */
  const call = async (fields: string, path = '/'): Promise<string> => {
    const answer = await client.exchange(
      `GET ${path} HTTP/1.1\r\nHost: shop.example\r\n${fields}\r\n\r\n`,
    )
    if (answer.status === 200) return answer.header('x-who') ?? 'nobody'
    const { code, reason = '' } = answer.json as Record<string, string>
    return `${answer.status} ${code} ${reason}`.trim()
  }
  const bearer = async (claims: Settings, path?: string, issuer?: string): Promise<string> =>
    call(`Authorization: Bearer ${await token(claims, issuer)}`, path)
  const reload = (known: Settings): Promise<void> => gateway.apply(settings(known))
  return { call, bearer, reload }
}

const KNOWN = { warehouse: WAREHOUSE, ann: { groups: ['staff'] } }

for (const [name, policy] of [
  ['jwt', jwt],
  ['introspection', introspection],
] as const) {
  describe(`a token accepted by ${name}`, () => {
    test('makes its holder the consumer it belongs to, with its groups and limits', async (t) => {
      const { bearer } = await world(t, policy(), KNOWN)
      const claims = { sub: 'u-17', groups: ['staff'] }
      assert.equal(await bearer(claims), 'warehouse')
      assert.equal(await bearer(claims, '/partners'), 'warehouse')
      assert.equal(await bearer(claims, '/staff'), 'warehouse', 'its own groups count as well')
      assert.equal(await bearer(claims), '429 rate_limited', 'a limit of 3 instead of 1')
    })

    test('is known by its client where it was issued to a program', async (t) => {
      const { bearer } = await world(t, policy(), KNOWN)
      assert.equal(await bearer({ sub: 'x', client_id: 'warehouse-app' }), 'warehouse')
      assert.equal(await bearer({ sub: 'y', azp: 'warehouse-app' }), 'warehouse')
      assert.equal(await bearer({ sub: 'z', client_id: 'z', azp: 'warehouse-app' }), 'z')
    })

    test('never takes the name of a consumer that it does not belong to', async (t) => {
      const { bearer } = await world(t, policy(), KNOWN)
      assert.equal(await bearer({ sub: 'warehouse' }), '401 token_invalid foreign_consumer')
      assert.equal(await bearer({ sub: 'ann' }, '/staff'), '401 token_invalid foreign_consumer')
      assert.equal(await bearer({ sub: 'bob' }), 'bob')
    })

    test('must belong to one if the policy says so', async (t) => {
      const { bearer } = await world(t, policy({ consumer: { known: 'required' } }), KNOWN)
      assert.equal(await bearer({ sub: 'u-17' }), 'warehouse')
      assert.equal(await bearer({ sub: 'bob' }), '401 token_invalid unknown_consumer')
    })

    test('belongs to whom the live configuration says, however often it was seen', async (t) => {
      const { bearer, reload } = await world(t, policy(), KNOWN)
      const claims = { sub: 'u-17' }
      assert.equal(await bearer(claims, '/partners'), 'warehouse')
      const { tokens, limits } = WAREHOUSE
      await reload({ depot: { tokens, limits } })
      assert.equal(await bearer(claims), 'depot')
      assert.equal(await bearer(claims, '/partners'), '403 forbidden')
      await reload({})
      assert.equal(await bearer(claims), 'u-17')
    })
  })
}

test('the same subject of another issuer is somebody else', async (t) => {
  const { bearer } = await world(t, jwt(), KNOWN)
  assert.equal(await bearer({ sub: 'u-17' }, '/', OTHER), 'u-17')
  assert.equal(await bearer({ sub: 'x', client_id: 'warehouse-app' }, '/', OTHER), 'x')
})

test('where no issuer is checked, no token belongs to a consumer', async (t) => {
  for (const policy of [
    { jwt: { audience: 'shop', secret: SECRET, unchecked: ['iss'] } },
    introspection({ issuer: undefined }),
  ]) {
    const { bearer } = await world(t, JSON.parse(JSON.stringify(policy)), KNOWN)
    assert.equal(await bearer({ sub: 'u-17' }), 'u-17')
    assert.equal(await bearer({ sub: 'warehouse' }), '401 token_invalid foreign_consumer')
  }
})

test('the name comes from another claim, but whose a token is does not', async (t) => {
  const { bearer } = await world(t, jwt({ consumer: { id: 'email' } }), KNOWN)
  assert.equal(await bearer({ sub: 'u-17', email: 'w@shop.example' }), 'warehouse')
  assert.equal(await bearer({ sub: 'u-18', email: 'u-17' }), 'u-17')
  assert.equal(
    await bearer({ sub: 'u-18', email: 'warehouse' }),
    '401 token_invalid foreign_consumer',
  )
})

test('an authorization service names consumers only where it is allowed to', async (t) => {
  const policy = (more: Settings): Settings => ({
    'forward-auth': { url: `${authority.url}/verify`, consumerFrom: 'x-user', ...more },
  })
  const careful = await world(t, policy({}), KNOWN)
  assert.equal(await careful.call('Authorization: warehouse'), '403 forbidden')
  assert.equal(await careful.call('Authorization: bob'), 'bob')
  const trusting = await world(t, policy({ known: 'accept' }), KNOWN)
  assert.equal(await trusting.call('Authorization: warehouse', '/partners'), 'warehouse')
})

test('key and token of one consumer share its limit', async (t) => {
  const either = { 'any-of': { of: ['api-key', jwt()] } }
  const { call, bearer } = await world(t, either, KNOWN)
  assert.equal(await call(`X-Api-Key: ${KEY}`), 'warehouse')
  assert.equal(await bearer({ sub: 'u-17' }), 'warehouse')
  assert.equal(await call(`X-Api-Key: ${KEY}`), 'warehouse')
  assert.equal(await bearer({ sub: 'u-17' }), '429 rate_limited')
  assert.equal(await bearer({ sub: 'warehouse' }), '401 token_invalid foreign_consumer')
})
