// An open route for everything beside a guarded one: a path that a lenient service takes for one of the
// guarded ones must not come in through the open route.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { createApiKey } from '../../src/policies/api-key-format.ts'
import { keyLine } from '../support/credentials.ts'
import { TestGateway } from '../support/gateway.ts'
import { answersOk, RecordingUpstream } from '../support/recording-upstream.ts'

const KEY = createApiKey('gh')
let upstream: RecordingUpstream
let gateway: TestGateway

before(async () => {
  upstream = await RecordingUpstream.start(answersOk)
  gateway = await TestGateway.start({
    consumers: { app: { keys: [keyLine(KEY)] } },
    services: { s: upstream.url },
    routes: [
      { path: '/*', to: 's' },
      { path: '/admin/*', use: ['api-key'], to: 's' },
      { path: '/files/{name}', to: 's' },
      { path: '/files/*', to: 's' },
    ],
  })
})
beforeEach(() => upstream.mark())
after(async () => {
  await gateway.close()
  await upstream.close()
})

async function statusOf(target: string, fields = ''): Promise<number> {
  const client = await gateway.connect()
  const answer = await client.exchange(`GET ${target} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`)
  client.end()
  return answer.status
}

describe('is refused, and reaches nobody', () => {
  for (const target of [
    '/admin%2Fusers',
    '/admin%2fusers',
    '/admin;x/users',
    '/admin;a=b;c/users',
    '/;/admin/users',
    '/%2Fadmin/users',
    '/open%2F..%2Fadmin/users',
    '/admin;',
  ]) {
    test(target, async () => {
      assert.equal(await statusOf(target), 400)
      assert.equal(upstream.since().join(''), '')
    })
  }
})

test('paths that mean no guarded route go on as they are, and so does who has a key', async () => {
  for (const target of ['/a%2Fb', '/a;v=1/b', '/files/scope%2Fname', '/administrators;x']) {
    assert.equal(await statusOf(target), 200, target)
    assert.match(upstream.since().join(''), new RegExp(`GET ${target.replaceAll('/', '.')} HTTP`))
  }
  assert.equal(await statusOf('/admin/a%2Fb', `X-Api-Key: ${KEY}\r\n`), 200)
})
