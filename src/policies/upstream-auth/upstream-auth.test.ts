import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { testExchange } from '../../proxy/pipeline/exchange.test-support.ts'
import { hooksOf, refusals, testEnvironment } from '../policy.test-support.ts'
import { EMPTY_PAYLOAD } from './sigv4.ts'
import { upstreamAuth } from './upstream-auth.ts'

const OAUTH2 = { tokenUrl: 'https://id.example/token', clientId: 'gateway', clientSecret: 'secret' }
const SIGV4 = {
  region: 'eu-central-1',
  service: 'execute-api',
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'secret',
}

describe('settings', () => {
  for (const [what, settings, refusal] of [
    ['nothing', {}, /exactly one of/],
    ['two ways', { header: { name: 'a', value: 'b' }, sigv4: SIGV4 }, /exactly one of/],
    ['a header of the gateway', { header: { name: 'Host', value: 'b' } }, /^header\.name: /],
    [
      'a value with an end of line',
      { header: { name: 'a', value: 'b\r\nc: d' } },
      /^header\.value: /,
    ],
    ['an empty value', { header: { name: 'a', value: '' } }, /^header\.value: /],
    [
      'a token endpoint in clear text',
      { oauth2: { ...OAUTH2, tokenUrl: 'http://id.example/token' } },
      /^oauth2\.tokenUrl: .*clear text/,
    ],
    [
      'headers that need no listing',
      { sigv4: { ...SIGV4, passHeaders: ['x-other'] } },
      /^sigv4\.passHeaders\.0: /,
    ],
  ] as const) {
    test(`refuse ${what}`, () => assert.match(refusals(upstreamAuth, settings)[0] ?? '', refusal))
  }

  test('sign bodies by default, except for S3', () => {
    const of = (service: string) =>
      upstreamAuth.settings.parse({ sigv4: { ...SIGV4, service } }).sigv4?.payload
    assert.equal(of('s3'), 'unsigned')
    assert.equal(of('lambda'), 'signed')
  })
})

test('a header takes the place of whatever the client sent', () => {
  const hooks = hooksOf(upstreamAuth, { header: { name: 'X-Api-Key', value: 'ours' } })
  const exchange = testExchange({
    fields: ['Authorization: Bearer theirs', 'x-api-key: theirs', 'X_API_KEY: theirs', 'a: b'],
  })
  hooks.onForward!(exchange)
  assert.equal(exchange.requestHeader('x-api-key'), 'ours')
  assert.equal(exchange.requestHeader('x_api_key'), null)
  assert.equal(exchange.requestHeader('authorization'), null)
  assert.equal(exchange.requestHeader('a'), 'b')
})

describe('a signature', () => {
  const settings = { sigv4: { ...SIGV4, sessionToken: 'session', passHeaders: ['X-Amz-Target'] } }

  function signed(fields: readonly string[]) {
    const environment = testEnvironment()
    const hooks = hooksOf(upstreamAuth, settings, environment)
    const exchange = testExchange({ fields })
    exchange.forwardedTarget = '/'
    exchange.forwardedHost = 'api.example'
    hooks.onRequest!(exchange)
    hooks.onForward!(exchange)
    return exchange
  }

  test('covers what the client may say to AWS, and nothing else gets there', () => {
    const exchange = signed([
      'Authorization: AWS4-HMAC-SHA256 theirs',
      'X-Amz-Security-Token: theirs',
      'X-Amz-Copy-Source: /other/secret',
      'x-amz-date: 19700101T000000Z',
      'X-Amz-Target: a',
      'x-amz-target: b',
      'Content-Type: text/plain',
    ])
    assert.equal(exchange.requestHeader('x-amz-security-token'), 'session')
    assert.equal(exchange.requestHeader('x-amz-copy-source'), null)
    assert.equal(exchange.requestHeader('x-amz-date'), '20231114T221320Z')
    assert.equal(exchange.requestHeader('x-amz-content-sha256'), EMPTY_PAYLOAD)
    assert.equal(exchange.requestHeader('x-amz-target'), 'a, b')
    assert.equal(exchange.requestEdits!.added.includes('x-amz-target'), true, 'sent as one line')
    assert.match(
      exchange.requestHeader('authorization')!,
      /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/20231114\/eu-central-1\/execute-api\/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token;x-amz-target, Signature=[0-9a-f]{64}$/,
    )
  })

  test('covers what an earlier policy has set', () => {
    const environment = testEnvironment()
    const hooks = hooksOf(upstreamAuth, { sigv4: SIGV4 }, environment)
    const exchange = testExchange({ fields: ['x-amz-acl: public-read-write'] })
    exchange.setRequestHeader('X-Amz-Acl', 'private')
    hooks.onRequest!(exchange)
    hooks.onForward!(exchange)
    assert.equal(exchange.requestHeader('x-amz-acl'), 'private')
    assert.match(exchange.requestHeader('authorization')!, /;x-amz-acl;/)
  })

  test('is never made for a body that is not known', () => {
    const hooks = hooksOf(upstreamAuth, { sigv4: SIGV4 }, testEnvironment())
    const exchange = testExchange({ method: 'PUT', fields: ['Content-Length: 1'] })
    assert.throws(() => hooks.onForward!(exchange), /body is not known/)
  })
})
