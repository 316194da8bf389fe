// Signed requests from the first byte to the last: what was changed on the way, or comes a second time,
// never reaches the service.
import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import {
  type SignOptions,
  signedFields,
} from '../../src/policies/http-signature/http-signature.test-support.ts'
import { assertFailure, HOST } from '../support/faults.ts'
import { TestGateway } from '../support/gateway.ts'
import { type Echo, RecordingUpstream } from '../support/recording-upstream.ts'

const SECRET = Buffer.from('one more secret of thirty-two by').toString('base64')
const { publicKey, privateKey } = generateKeyPairSync('ed25519')
const BODY = '{"sku":"AB12"}'
const COVERED = ['@method', '@target-uri', 'content-digest']

let upstream: RecordingUpstream
let gateway: TestGateway

before(async () => {
  upstream = await RecordingUpstream.startHttp()
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  gateway = await TestGateway.start({
    services: { s: upstream.url },
    consumers: {
      shop: {
        groups: ['partners'],
        signatureKeys: [
          { keyId: 'shop-1', algorithm: 'ed25519', key: pem },
          { keyId: 'shop-2', algorithm: 'hmac-sha256', key: SECRET },
        ],
      },
    },
    routes: [
      {
        path: '/orders/*',
        use: [{ 'http-signature': { bodyMax: '1kb', forward: { id: 'x-consumer' } } }],
        to: 's',
      },
      {
        path: '/checked',
        use: [
          'http-signature',
          { validate: { body: { type: 'object', required: ['sku'] }, bodyMax: '1kb' } },
        ],
        to: 's',
      },
    ],
  })
})

after(async () => {
  try {
    await gateway.close()
  } finally {
    await upstream.close()
  }
})

let count = 0

/** A request that is signed, with a nonce of its own; `body` is what its digest is of. */
function signed(target: string, body: string | null, change: Partial<SignOptions> = {}): string {
  const method = body === null ? 'GET' : 'POST'
  const digest = createHash('sha256')
    .update(body ?? '')
    .digest('base64')
  const fields = body === null ? [] : [`Content-Digest: sha-256=:${digest}:`]
  const lines = signedFields({
    method,
    target,
    fields,
    algorithm: 'ed25519',
    key: privateKey,
    keyId: 'shop-1',
    created: Math.floor(Date.now() / 1000),
    components: body === null ? COVERED.slice(0, 2) : COVERED,
    extra: `;nonce="${count++}"`,
    ...change,
  })
  return [`${method} ${target} HTTP/1.1`, ...fields, ...lines, HOST].join('\r\n')
}

function withBody(head: string, body: string): string {
  return `${head}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
}

function field({ fields }: Echo, name: string): string | null {
  const index = fields.findIndex((text, at) => at % 2 === 0 && text.toLowerCase() === name)
  return index < 0 ? null : fields[index + 1]!
}

async function passes(request: string): Promise<Echo> {
  const response = await (await gateway.connect()).exchange(request)
  assert.equal(response.status, 200, response.text)
  return response.json as Echo
}

async function refused(request: string, reason: string): Promise<void> {
  upstream.mark()
  const response = await (await gateway.connect()).exchange(request)
  assertFailure(response, reason === 'missing' ? 'signature_missing' : 'signature_invalid')
  if (reason !== 'missing') assert.equal(response.problem.reason, reason)
  assert.match(response.header('www-authenticate') ?? '', /^Signature/)
  assert.match(response.header('accept-signature') ?? '', /^sig=\("@method" "@target-uri"/)
  await gateway.settled()
  assert.deepEqual(upstream.since(), [], 'the service hears nothing of it')
}

describe('a signed request', () => {
  test('passes, and the service is told whose it is', async () => {
    const echo = await passes(`${signed('/orders/1?a=b', null)}X-Consumer: admin\r\n\r\n`)
    assert.equal(field(echo, 'x-consumer'), 'shop')
    assert.equal(echo.fields.filter((name) => name.toLowerCase() === 'x-consumer').length, 1)
    const other = { algorithm: 'hmac-sha256', key: SECRET, keyId: 'shop-2' } as const
    await passes(`${signed('/orders/1', null, other)}\r\n`)
  })

  test('passes with its body, by length and in chunks', async () => {
    const echo = await passes(withBody(signed('/orders', BODY), BODY))
    assert.equal(echo.body, BODY)
    assert.equal(field(echo, 'content-length'), String(BODY.length))
    const chunks = `Transfer-Encoding: chunked\r\n\r\n4\r\n${BODY.slice(0, 4)}\r\n${(BODY.length - 4).toString(16)}\r\n${BODY.slice(4)}\r\n0\r\n\r\n`
    assert.equal((await passes(signed('/orders', BODY) + chunks)).body, BODY)
  })

  test('passes byte by byte', async () => {
    const client = await gateway.connect()
    await client.sendSplit(withBody(signed('/orders', BODY), BODY))
    assert.equal(((await client.response('POST')).json as Echo).body, BODY)
  })

  test('passes a policy after it that looks at the body as well', async () => {
    await passes(withBody(signed('/checked', BODY), BODY))
    const body = '{"count":1}'
    const response = await (await gateway.connect()).exchange(
      withBody(signed('/checked', body), body),
    )
    assertFailure(response, 'validation_failed')
  })
})

describe('what never reaches the service:', () => {
  test('a request that is not signed', () =>
    refused(`GET /orders/1 HTTP/1.1\r\n${HOST}\r\n`, 'missing'))

  test('another target than the signed one', () =>
    refused(`${signed('/orders/1', null).replace('/orders/1', '/orders/2')}\r\n`, 'mismatch'))

  test('another host', () =>
    refused(
      `${signed('/orders/1', null).replace('Host: shop.example', 'Host: shop.example:81')}\r\n`,
      'mismatch',
    ))

  test('another method', () =>
    refused(`${signed('/orders/1', null).replace('GET', 'DELETE')}\r\n`, 'mismatch'))

  test('another body', () =>
    refused(withBody(signed('/orders', BODY), BODY.replace('12', '13')), 'digest'))

  test('less of the body', () =>
    refused(withBody(signed('/orders', BODY), BODY.slice(1)), 'digest'))

  test('no body in chunks', () =>
    refused(`${signed('/orders', BODY)}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 'digest'))

  test('a body that was added', () =>
    refused(withBody(signed('/orders', null).replace('GET', 'POST'), BODY), 'components'))

  test('another body with a digest of its own', () => {
    const digest = createHash('sha256').update('{}').digest('base64')
    const request = signed('/orders', BODY).replace(/=:[^:]+:\r\n/, `=:${digest}:\r\n`)
    return refused(withBody(request, '{}'), 'mismatch')
  })

  test('a second digest beside the signed one', () =>
    refused(
      withBody(`${signed('/orders', BODY)}Content-Digest: sha-512=:AAAA:\r\n`, BODY),
      'mismatch',
    ))

  test('the same request again', async () => {
    const request = `${signed('/orders/1', null, { extra: '' })}\r\n`
    await passes(request)
    await refused(request, 'replayed')
    const once = withBody(signed('/orders', BODY), BODY)
    await passes(once)
    await refused(once, 'replayed')
  })

  test('a signature of long ago, or of tomorrow', async () => {
    const now = Math.floor(Date.now() / 1000)
    await refused(`${signed('/orders/1', null, { created: now - 3_600 })}\r\n`, 'expired')
    await refused(`${signed('/orders/1', null, { created: now + 3_600 })}\r\n`, 'created')
  })

  test('a key that nobody has', () =>
    refused(`${signed('/orders/1', null, { keyId: 'shop-3' })}\r\n`, 'unknown_key'))
})

test('a body that is too long to be checked is refused by its length', async () => {
  const body = 'x'.repeat(2000)
  upstream.mark()
  const response = await (await gateway.connect()).exchange(withBody(signed('/orders', body), body))
  assertFailure(response, 'body_too_large')
  assert.deepEqual(upstream.since(), [])
})
