// Consumers end to end: who calls reaches the service, and nobody can pretend to be somebody.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createApiKey } from '../../src/policies/api-key-format.ts'
import { basic, cheapHash, fieldsOf, keyLine } from '../support/credentials.ts'
import { TestGateway } from '../support/gateway.ts'
import { type Echo, RecordingUpstream } from '../support/recording-upstream.ts'

const KEY = createApiKey('gh')
let upstream: RecordingUpstream
let gateway: TestGateway

before(async () => {
  upstream = await RecordingUpstream.startHttp()
  gateway = await TestGateway.start({
    services: { s: upstream.url },
    consumers: {
      app: { groups: ['staff', 'eu'], keys: [keyLine(KEY)] },
      ann: { password: cheapHash('right') },
    },
    routes: [
      { path: '/open/*', to: 's' },
      {
        path: '/trial/*',
        use: [
          { 'api-key': { query: 'k', forward: { id: 'x-consumer-id' } }, mode: 'shadow' },
          { 'basic-auth': { forward: { id: 'x-consumer-id' } }, mode: 'shadow' },
          { headers: { request: { set: { 'x-seen': '${consumer.id}' } } } },
        ],
        to: 's',
      },
      {
        path: '/known/*',
        use: [
          { 'api-key': { forward: { id: 'X-Consumer-Id', groups: 'X-Consumer-Groups' } } },
          { headers: { request: { set: { 'x-seen': '${consumer.id}' } } } },
        ],
        to: 's',
      },
    ],
  })
})

after(async () => {
  await gateway.close()
  await upstream.close()
})

const SPELLINGS = [
  'X-Consumer-Id',
  'x-consumer-id',
  'X_Consumer_Id',
  'x-consumer_ID',
  'X-CONSUMER-GROUPS',
]

describe('identity headers', () => {
  test('tell the service who calls', async () => {
    const client = await gateway.connect()
    const response = await client.exchange(
      `GET /known/a HTTP/1.1\r\nHost: s\r\nX-Api-Key: ${KEY}\r\n\r\n`,
    )
    assert.equal(response.status, 200)
    const seen = response.json as Echo
    assert.deepEqual(fieldsOf(seen, 'x-consumer-id'), ['app'])
    assert.deepEqual(fieldsOf(seen, 'x-consumer-groups'), ['staff,eu'])
    assert.deepEqual(fieldsOf(seen, 'x-seen'), ['app'])
    assert.deepEqual(fieldsOf(seen, 'x-api-key'), [])
  })

  for (const route of ['/open/a', '/known/a']) {
    test(`of clients never reach the service by ${route}`, async () => {
      upstream.mark()
      const client = await gateway.connect()
      const spoofed = SPELLINGS.map((name) => `${name}: admin\r\n`).join('')
      const response = await client.exchange(
        `POST ${route} HTTP/1.1\r\nHost: s\r\nX-Api-Key: ${KEY}\r\n${spoofed}` +
          'Transfer-Encoding: chunked\r\nTrailer: X-Consumer-Id\r\n\r\n' +
          '2\r\nok\r\n0\r\nX-Consumer-Id: admin\r\nx_consumer_groups: admin\r\n\r\n',
      )
      assert.equal(response.status, 200)
      const bytes = Buffer.concat(upstream.since()).toString('latin1')
      assert.ok(bytes.includes('ok'))
      assert.ok(!bytes.includes('admin'), bytes)
    })
  }
})

test('a policy in shadow mode makes nobody known and takes nothing away, at once or later', async () => {
  const client = await gateway.connect()
  const authorization = basic('ann', 'right')
  const response = await client.exchange(
    `GET /trial/a?k=${KEY} HTTP/1.1\r\nHost: s\r\nAuthorization: ${authorization}\r\n\r\n`,
  )
  const seen = response.json as Echo
  assert.equal(seen.url, `/trial/a?k=${KEY}`)
  assert.deepEqual(fieldsOf(seen, 'authorization'), [authorization])
  assert.deepEqual(fieldsOf(seen, 'x-consumer-id'), [])
  assert.notDeepEqual(fieldsOf(seen, 'x-seen'), ['ann'])
  assert.notDeepEqual(fieldsOf(seen, 'x-seen'), ['app'])
})
