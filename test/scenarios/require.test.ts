// require end to end: 401 where nobody is known, 403 where somebody is and may not.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { GatewayConfigurationError } from '../../src/config/load-object.ts'
import { createApiKey } from '../../src/policies/api-key-format.ts'
import { keyLine } from '../support/credentials.ts'
import { TestGateway } from '../support/gateway.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'

const STAFF = createApiKey('gh')
const GUEST = createApiKey('gh')
let upstream: RecordingUpstream
let gateway: TestGateway

/** Only requests with the header X-Key-Please need a key; the rest stay unknown. */
const SOMETIMES = { 'api-key': {}, when: "request.headers['x-api-key'] != ''" }

function route(path: string, requirement: object) {
  return { path: `${path}/*`, use: [SOMETIMES, { require: requirement }], to: 's' }
}

before(async () => {
  upstream = await RecordingUpstream.startHttp()
  gateway = await TestGateway.start({
    services: { s: upstream.url },
    consumers: {
      boss: { groups: ['staff', 'eu'], keys: [keyLine(STAFF)] },
      guest: { keys: [keyLine(GUEST)] },
    },
    routes: [
      route('/groups', { groups: ['admins', 'staff'] }),
      route('/consumers', { consumers: ['boss'] }),
      route('/both', { groups: ['staff'], consumers: ['guest'] }),
      route('/scopes', { scopes: ['orders:read', 'orders:write'] }),
      route('/claims', { claims: { tenant: 'shop' } }),
      route('/expression', { expression: "'eu' in consumer.groups && request.method == 'GET'" }),
      route('/broken', { expression: 'consumer.claims.level >= 3' }),
      {
        path: '/request/*',
        use: [{ require: { expression: "request.method == 'GET'" } }],
        to: 's',
      },
    ],
  })
})

beforeEach(() => upstream.mark())

after(async () => {
  await gateway.close()
  await upstream.close()
})

async function send(target: string, key: string | null, method = 'GET') {
  const client = await gateway.connect()
  const fields = key === null ? [] : [`X-Api-Key: ${key}`]
  const lines = [`${method} ${target} HTTP/1.1`, 'Host: shop.example', ...fields]
  return client.exchange(`${lines.join('\r\n')}\r\n\r\n`)
}

const cases: [target: string, staff: number, guest: number][] = [
  ['/groups/a', 200, 403],
  ['/consumers/a', 200, 403],
  ['/both/a', 403, 403],
  ['/scopes/a', 403, 403],
  ['/claims/a', 403, 403],
  ['/expression/a', 200, 403],
  ['/broken/a', 403, 403],
]
describe('a caller', () => {
  for (const [target, staff, guest] of cases) {
    test(`${target}: of the staff ${staff}, a guest ${guest}, nobody 401`, async () => {
      assert.equal((await send(target, STAFF)).status, staff)
      const refused = await send(target, GUEST)
      assert.deepEqual([refused.status, refused.problem.code], [guest, 'forbidden'])
      const unknown = await send(target, null)
      assert.deepEqual([unknown.status, unknown.problem.code], [401, 'authentication_required'])
      assert.match(unknown.header('www-authenticate')!, /^Bearer/)
      const seen = Buffer.concat(upstream.since()).toString('latin1').split('GET ').length - 1
      assert.equal(seen, staff === 200 ? 1 : 0)
    })
  }
})

test('an expression over the request alone needs no caller, and no caller helps', async () => {
  assert.equal((await send('/request/a', null)).status, 200)
  const response = await send('/request/a', null, 'DELETE')
  assert.deepEqual([response.status, response.problem.code], [403, 'forbidden'])
})

test('without a policy that finds out who calls, the configuration is refused', async () => {
  const start = (requirement: object) =>
    TestGateway.start({ routes: [{ path: '/*', use: [{ require: requirement }], respond: {} }] })
  for (const requirement of [{ groups: ['x'] }, { expression: "consumer.id == 'a'" }]) {
    await assert.rejects(start(requirement), (error: unknown) => {
      assert.ok(error instanceof GatewayConfigurationError)
      assert.match(error.problems.join('\n'), /"require" needs "consumer"/)
      return true
    })
  }
  const plain = await start({ expression: "request.path != '/consumer'" })
  await plain.close()
})
