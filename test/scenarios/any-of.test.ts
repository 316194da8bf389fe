// any-of end to end: one valid credential is enough, and none makes up for an invalid one.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { createApiKey } from '../../src/policies/api-key-format.ts'
import { basic, cheapHash, fieldsOf, keyLine } from '../support/credentials.ts'
import { TestGateway } from '../support/gateway.ts'
import { type Echo, RecordingUpstream } from '../support/recording-upstream.ts'

const KEY = createApiKey('gh')
const OTHER = createApiKey('gh')
let upstream: RecordingUpstream
let gateway: TestGateway

before(async () => {
  upstream = await RecordingUpstream.startHttp()
  const key = { 'api-key': { forward: { id: 'x-who' }, failures: { perAddress: 5 } } }
  const password = { 'basic-auth': { forward: { id: 'x-person' }, failures: { perAddress: 5 } } }
  const token = { jwt: { secret: 'x'.repeat(32), unchecked: ['iss', 'aud'] } }
  gateway = await TestGateway.start({
    services: { s: upstream.url },
    consumers: {
      app: { keys: [keyLine(KEY)] },
      ann: { groups: ['staff'], password: cheapHash('right') },
    },
    routes: [
      { path: '/key-first/*', use: [{ 'any-of': { of: [key, password] } }], to: 's' },
      {
        path: '/password-first/*',
        use: [
          { 'any-of': { of: [password, key] } },
          { require: { groups: ['staff'] }, when: "request.headers['x-admin'] != ''" },
        ],
        to: 's',
      },
      { path: '/token-first/*', use: [{ 'any-of': { of: [token, 'api-key'] } }], to: 's' },
      { path: '/short/*', use: [{ 'any-of': { of: ['api-key', 'basic-auth'] } }], to: 's' },
    ],
  })
})

beforeEach(() => upstream.mark())

after(async () => {
  await gateway.close()
  await upstream.close()
})

async function get(target: string, fields: readonly string[] = [], localAddress = '127.0.0.1') {
  const client = await gateway.connect({ localAddress })
  const lines = [`GET ${target} HTTP/1.1`, 'Host: shop.example', ...fields]
  return client.exchange(`${lines.join('\r\n')}\r\n\r\n`)
}

const RIGHT = `Authorization: ${basic('ann', 'right')}`
const WRONG = `Authorization: ${basic('ann', 'wrong')}`

for (const route of ['/key-first/a', '/password-first/a']) {
  describe(route, () => {
    test('takes either credential and forwards neither', async () => {
      const byKey = (await get(route, [`X-Api-Key: ${KEY}`])).json as Echo
      assert.deepEqual(fieldsOf(byKey, 'x-who'), ['app'])
      assert.deepEqual(fieldsOf(byKey, 'x-person'), [])
      const byPassword = (await get(route, [RIGHT])).json as Echo
      assert.deepEqual(fieldsOf(byPassword, 'x-person'), ['ann'])
      assert.deepEqual(fieldsOf(byPassword, 'x-who'), [])
      const bytes = Buffer.concat(upstream.since()).toString('latin1')
      assert.ok(!bytes.includes(KEY) && !bytes.includes('Basic'))
    })

    test('names every way in when there is no credential', async () => {
      const response = await get(route)
      assert.deepEqual([response.status, response.problem.code], [401, 'authentication_required'])
      const challenges = response.all('www-authenticate').map((line) => line.split(' ')[0])
      assert.deepEqual(challenges.sort(), ['ApiKey', 'Basic'])
      assert.equal((await get(route)).text, response.text)
      assert.deepEqual(upstream.since(), [])
    })

    test('refuses an invalid credential with the challenges of all', async () => {
      for (const field of [WRONG, `X-Api-Key: ${OTHER}`]) {
        const response = await get(route, [field], '127.0.0.2')
        assert.deepEqual([response.status, response.problem.code], [401, 'credential_invalid'])
        assert.deepEqual(upstream.since(), [])
      }
    })

    test('hands no credential to the service that nobody has verified', async () => {
      const response = await get(route, [`X-Api-Key: ${KEY}`, 'Authorization: Bearer forged'])
      assert.equal(response.status, 200)
      const echo = response.json as Echo
      assert.deepEqual(fieldsOf(echo, 'x-who'), ['app'])
      assert.deepEqual(fieldsOf(echo, 'authorization'), [])
    })
  })
}

test('a valid credential does not make good an invalid one that comes first', async () => {
  const response = await get('/password-first/a', [WRONG, `X-Api-Key: ${KEY}`], '127.0.0.3')
  assert.deepEqual([response.status, response.problem.code], [401, 'credential_invalid'])
  assert.deepEqual(upstream.since(), [])
})

test('the first in the list says who calls, and the other is not forwarded', async () => {
  const echo = (await get('/key-first/a', [RIGHT, `X-Api-Key: ${KEY}`])).json as Echo
  assert.deepEqual([fieldsOf(echo, 'x-who'), fieldsOf(echo, 'x-person')], [['app'], []])
  assert.deepEqual(fieldsOf(echo, 'authorization'), [])
})

test('what comes after knows who calls', async () => {
  assert.equal((await get('/password-first/a', [RIGHT, 'X-Admin: 1'])).status, 200)
  const response = await get('/password-first/a', [`X-Api-Key: ${KEY}`, 'X-Admin: 1'])
  assert.deepEqual([response.status, response.problem.code], [403, 'forbidden'])
})

test('names alone are enough where the defaults are', async () => {
  assert.equal((await get('/short/a', [`X-Api-Key: ${KEY}`])).status, 200)
  assert.equal((await get('/short/a', [RIGHT])).status, 200)
})

test('identity headers of every alternative are taken from clients, on every route', async () => {
  const response = await get('/short/a', [RIGHT, 'X-Who: admin', 'x_person: admin'])
  assert.equal(response.status, 200)
  assert.ok(!Buffer.concat(upstream.since()).toString('latin1').includes('admin'))
})

test('failed attempts count once all have refused', async () => {
  const guess = () => get('/key-first/a', [`X-Api-Key: ${OTHER}`], '127.0.0.7')
  for (let count = 0; count < 5; count++) assert.equal((await guess()).status, 401)
  assert.equal((await guess()).status, 429)
})

test('a token that is not there leaves the word to a key; a bad one does not', async () => {
  assert.equal((await get('/token-first/a', [`X-Api-Key: ${KEY}`])).status, 200)
  const refused = await get('/token-first/a', [`X-Api-Key: ${KEY}`, 'Authorization: Bearer bad'])
  assert.equal(refused.status, 401)
  const missing = await get('/token-first/a')
  assert.equal(missing.status, 401)
  assert.equal(missing.all('www-authenticate').length, 2)
})
