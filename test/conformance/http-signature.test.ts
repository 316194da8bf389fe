// RFC 9421 by its own examples: the requests, keys and signatures of appendix B, and what section 2 says
// of every part that a signature may cover.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { httpSignature } from '../../src/policies/http-signature/http-signature.ts'
import { readSignature } from '../../src/policies/http-signature/signature.ts'
import { signatureBase } from '../../src/policies/http-signature/signature-base.ts'
import { VerificationKey } from '../../src/policies/http-signature/verification-key.ts'
import { testExchange } from '../../src/proxy/pipeline/exchange.test-support.ts'
import { inertEnvironment } from '../../src/proxy/pipeline/inert-environment.ts'
import { Reply } from '../../src/proxy/pipeline/reply.ts'

const CREATED = 1_618_884_473

function pem(text: string): string {
  return `-----BEGIN PUBLIC KEY-----\n${text}\n-----END PUBLIC KEY-----\n`
}

/** Appendix B.1. */
const RSA_PSS = pem(
  'MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2\n' +
    '+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+\n' +
    'oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHq\n' +
    'gDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W\n' +
    'Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4\n' +
    'aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI\n' +
    '2wIDAQAB',
)
const ECC_P256 = pem(
  'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lf\n' +
    'w0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==',
)
const ED25519 = pem('MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=')
const SECRET =
  'uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=='

const keys = [
  { id: 'test-key-rsa-pss', algorithm: 'rsa-pss-sha512', key: RSA_PSS },
  { id: 'test-key-ecc-p256', algorithm: 'ecdsa-p256-sha256', key: ECC_P256 },
  { id: 'test-key-ed25519', algorithm: 'ed25519', key: ED25519 },
  { id: 'test-shared-secret', algorithm: 'hmac-sha256', key: SECRET },
] as const

/** Appendix B.2: `test-request`. */
const BODY = '{"hello": "world"}'
const FIELDS = [
  'Date: Tue, 20 Apr 2021 02:07:55 GMT',
  'Content-Type: application/json',
  'Content-Digest: sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:',
  'Content-Length: 18',
]
const CLIENT_CERT =
  'Client-Cert: :MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGUxGzAZBgNVBAMMEkxBIEludGVybWVkaWF0ZSBDQTAeFw0yMDAxMTQyMjU1MzNaFw0yMTAxMjMyMjU1MzNaMA0xCzAJBgNVBAMMAkJDMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8YnXXfaUgmnMtOXU/IncWalRhebrXmckC8vdgJ1p5Be5F/3YC8OthxM4+k1M6aEAEFcGzkJiNy6J84y7uzo9M6NyMHAwCQYDVR0TBAIwADAfBgNVHSMEGDAWgBRm3WjLa38lbEYCuiCPct0ZaSED2DAOBgNVHQ8BAf8EBAMCBsAwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0RAQH/BBMwEYEPYmRjQGV4YW1wbGUuY29tMAoGCCqGSM49BAMCA0gAMEUCIBHda/r1vaL6G3VliL4/Di6YK0Q6bMjeSkC3dFCOOB8TAiEAx/kHSB4urmiZ0NX5r5XarmPk0wmuydBVoU4hBVZ1yhk=:'

interface Vector {
  readonly name: string
  readonly input: string
  readonly signature: string
  readonly host?: string
  readonly method?: string
  readonly target?: string
  readonly fields?: readonly string[]
}

const TRANSFORM = {
  input:
    'transform=("@method" "@path" "@authority" "accept");created=1618884473;keyid="test-key-ed25519"',
  signature:
    'transform=:ZT1kooQsEHpZ0I1IjCqtQppOmIqlJPeo7DHR3SoMn0s5JZ1eRGS0A+vyYP9t/LXlh5QMFFQ6cpLt2m0pmj3NDA==:',
  host: 'example.org',
  method: 'GET',
  target: '/demo?name1=Value1&Name2=value2',
} as const
const ACCEPT = ['Accept: application/json', 'Accept: */*']

const VECTORS: readonly Vector[] = [
  {
    name: 'B.2.1 minimal, rsa-pss-sha512',
    input: 'sig-b21=();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd"',
    signature:
      'sig-b21=:d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==:',
  },
  {
    name: 'B.2.2 selective, rsa-pss-sha512',
    input:
      'sig-b22=("@authority" "content-digest" "@query-param";name="Pet");created=1618884473;keyid="test-key-rsa-pss";tag="header-example"',
    signature:
      'sig-b22=:LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==:',
  },
  {
    name: 'B.2.3 full, rsa-pss-sha512',
    input:
      'sig-b23=("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-rsa-pss"',
    signature:
      'sig-b23=:bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==:',
  },
  {
    name: 'B.2.5 hmac-sha256',
    input:
      'sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"',
    signature: 'sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:',
  },
  {
    name: 'B.2.6 ed25519',
    input:
      'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"',
    signature:
      'sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:',
  },
  {
    name: 'B.3 a proxy that ends TLS, ecdsa-p256-sha256',
    input:
      'ttrp=("@path" "@query" "@method" "@authority" "client-cert");created=1618884473;keyid="test-key-ecc-p256"',
    signature:
      'ttrp=:xVMHVpawaAC/0SbHrKRs9i8I3eOs5RtTMGCWXm/9nvZzoHsIg6Mce9315T6xoklyy0yzhD9ah4JHRwMLOgmizw==:',
    host: 'service.internal.example',
    fields: [FIELDS[0]!, FIELDS[1]!, 'Content-Length: 18', CLIENT_CERT],
  },
  { name: 'B.4 before any transformation', ...TRANSFORM, fields: ACCEPT },
  {
    name: 'B.4 with fields and parameters added',
    ...TRANSFORM,
    target: '/demo?name1=Value1&Name2=value2&param=added',
    fields: [...ACCEPT, 'Accept-Language: en-US,en;q=0.5'],
  },
  {
    name: 'B.4 with fields joined and parameters removed',
    ...TRANSFORM,
    target: '/demo',
    fields: ['Referer: https://developer.example.org/demo', 'Accept: application/json, */*'],
  },
]

function exchangeOf({ method = 'POST', host = 'example.com', ...vector }: Vector) {
  const { target = '/foo?param=Value&Pet=dog', fields = FIELDS, input, signature } = vector
  return testExchange({
    method,
    host,
    target,
    scheme: 'https',
    fields: [...fields, `Signature-Input: ${input}`, `Signature: ${signature}`],
  })
}

/** What the policy says, asking for nothing that the examples do not cover. */
function judged(vector: Vector): {
  readonly reason: string | null
  readonly consumer: string | null
} {
  const clock = { now: () => 0, wallTime: () => CREATED * 1_000 }
  const environment = inertEnvironment({ clock })
  const hooks = httpSignature.create(
    httpSignature.settings.parse({
      keys,
      digest: false,
      replays: 'allow',
      components: ['date'],
    }),
    environment,
  )
  const exchange = exchangeOf(vector)
  const verdict = hooks.onRequest!(exchange)
  const reason = verdict instanceof Reply ? JSON.parse(verdict.body.toString()).reason : null
  return { reason, consumer: exchange.consumer?.id ?? null }
}

/** The base of the one signature of an exchange. */
function baseOf(vector: Vector): string | null {
  const received = readSignature(vector.input, vector.signature, null, null)
  assert.ok(received !== null && typeof received === 'object')
  return signatureBase(exchangeOf(vector), received)?.toString('latin1') ?? null
}

describe('appendix B', () => {
  for (const vector of VECTORS) {
    test(`${vector.name} is verified`, () => {
      const received = readSignature(vector.input, vector.signature, null, null)
      assert.ok(received !== null && typeof received === 'object')
      const { algorithm, key } = keys.find(({ id }) => id === received.keyId)!
      const base = signatureBase(exchangeOf(vector), received)
      assert.ok(base !== null)
      const verification = new VerificationKey(algorithm, key)
      assert.equal(verification.verify(base, received.bytes), true)
      for (const changed of [0, received.bytes.length - 1]) {
        const bytes: Buffer = Buffer.from(received.bytes)
        bytes[changed]! ^= 1
        assert.equal(verification.verify(base, bytes), false)
      }
      assert.equal(verification.verify(base, received.bytes.subarray(1)), false)
      assert.equal(verification.verify(base, Buffer.alloc(0)), false)
      base[base.length - 1]! ^= 1
      assert.equal(verification.verify(base, received.bytes), false)
    })
  }

  test('B.2.4, of a response: the signature is that of its base, by ecdsa-p256-sha256', () => {
    const base = [
      '"@status": 200',
      '"content-type": application/json',
      '"content-digest": sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:',
      '"content-length": 23',
      '"@signature-params": ("@status" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-ecc-p256"',
    ].join('\n')
    const signature =
      'wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw=='
    const key = new VerificationKey('ecdsa-p256-sha256', ECC_P256)
    assert.equal(key.verify(Buffer.from(base), Buffer.from(signature, 'base64')), true)
  })

  test('B.2.3 has the base that it says', () => {
    assert.equal(
      baseOf(VECTORS[2]!),
      [
        '"date": Tue, 20 Apr 2021 02:07:55 GMT',
        '"@method": POST',
        '"@path": /foo',
        '"@query": ?param=Value&Pet=dog',
        '"@authority": example.com',
        '"content-type": application/json',
        `"content-digest": ${FIELDS[2]!.slice(16)}`,
        '"content-length": 18',
        '"@signature-params": ("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-rsa-pss"',
      ].join('\n'),
    )
  })

  for (const [what, change] of [
    ['another method', { method: 'POST' }],
    ['another host', { host: 'example.com' }],
    ['another path', { target: '/demo2?name1=Value1' }],
    ['fields in another order', { fields: ['Accept: */*', 'Accept: application/json'] }],
  ] as const) {
    test(`B.4 with ${what} is not`, () => {
      const vector = { name: '', ...TRANSFORM, fields: ACCEPT, ...change }
      const received = readSignature(vector.input, vector.signature, null, null)
      assert.ok(received !== null && typeof received === 'object')
      const base = signatureBase(exchangeOf(vector), received)!
      assert.equal(new VerificationKey('ed25519', ED25519).verify(base, received.bytes), false)
    })
  }

  test('the policy accepts what covers what is asked for, and knows whose it is', () => {
    for (const vector of [VECTORS[2]!, VECTORS[3]!, VECTORS[4]!]) {
      const { keyId } = readSignature(vector.input, vector.signature, null, null) as {
        keyId: string
      }
      assert.deepEqual(judged(vector), { reason: null, consumer: keyId })
    }
    assert.deepEqual(judged(VECTORS[0]!), { reason: 'components', consumer: null })
    assert.deepEqual(judged({ ...VECTORS[4]!, method: 'PUT' }), {
      reason: 'mismatch',
      consumer: null,
    })
  })

  test('the body of the examples has the digest that they say', () => {
    const bodies = [
      [BODY, true],
      [`${BODY}\n`, false],
    ] as const
    for (const [body, passes] of bodies) {
      const clock = { now: () => 0, wallTime: () => CREATED * 1_000 }
      const written = { keys, replays: 'allow', components: ['@method'] } as const
      const hooks = httpSignature.create(
        httpSignature.settings.parse(written),
        inertEnvironment({ clock }),
      )
      const exchange = exchangeOf(VECTORS[2]!)
      assert.equal(hooks.onRequest!(exchange), undefined)
      const bytes = Buffer.from(body)
      assert.equal(hooks.onRequestBody!(exchange, bytes) === bytes, passes)
    }
  })
})

describe('section 2: the value of', () => {
  const fields = [
    'X-OWS-Header:   Leading and trailing whitespace.   ',
    'Cache-Control: max-age=60',
    'Cache-Control:    must-revalidate',
    'Example-Dict:  a=1,    b=2;x=1;y=2,   c=(a   b   c), d',
    'X-Empty-Header:',
    'Example-Header: value, with, lots',
    'Example-Header: of, commas',
    'Cookie: a=1',
    'Cookie: b=2',
    'Priority:  u=1,   i',
  ]
  const target =
    '/path?param=value&foo=bar&baz=batman&qux=&var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something&twice=1&twice=2'

  function covered(component: string, change: Partial<Vector> = {}): string | null {
    const base = baseOf({
      name: '',
      input: `sig=(${component});created=1;keyid="k"`,
      signature: 'sig=:AAAA:',
      host: 'www.example.com',
      target,
      fields,
      ...change,
    })
    if (base === null) return null
    const line = base.slice(0, base.indexOf('\n'))
    assert.ok(line.startsWith(`${component}: `))
    return line.slice(component.length + 2)
  }

  for (const [component, value] of [
    ['"x-ows-header"', 'Leading and trailing whitespace.'],
    ['"cache-control"', 'max-age=60, must-revalidate'],
    ['"example-dict"', 'a=1,    b=2;x=1;y=2,   c=(a   b   c), d'],
    ['"x-empty-header"', ''],
    ['"cookie"', 'a=1, b=2'],
    ['"example-dict";key="a"', '1'],
    ['"example-dict";key="b"', '2;x=1;y=2'],
    ['"example-dict";key="c"', '(a b c)'],
    ['"example-dict";key="d"', '?1'],
    ['"example-header";bs', ':dmFsdWUsIHdpdGgsIGxvdHM=:, :b2YsIGNvbW1hcw==:'],
    ['"priority";sf', 'u=1, i'],
    ['"@method"', 'POST'],
    ['"@target-uri"', `https://www.example.com${target}`],
    ['"@authority"', 'www.example.com'],
    ['"@scheme"', 'https'],
    ['"@request-target"', target],
    ['"@path"', '/path'],
    ['"@query"', target.slice(5)],
    ['"@query-param";name="baz"', 'batman'],
    ['"@query-param";name="qux"', ''],
    ['"@query-param";name="var"', 'this%20is%20a%20big%0Amultiline%20value'],
    ['"@query-param";name="bar"', 'with%20plus%20whitespace'],
    ['"@query-param";name="fa%C3%A7ade%22%3A%20"', 'something'],
  ] as const) {
    test(component, () => assert.equal(covered(component), value))
  }

  test('an authority has no case and no port of its own scheme', () => {
    assert.equal(covered('"@authority"', { host: 'WWW.Example.com:443' }), 'www.example.com')
    assert.equal(covered('"@authority"', { host: 'example.com:8443' }), 'example.com:8443')
    assert.equal(covered('"@authority"', { host: 'example.com:80' }), 'example.com:80')
  })

  test('a query that is not there is as one that is empty', () => {
    assert.equal(covered('"@query"', { target: '/path' }), '?')
    assert.equal(covered('"@query"', { target: '/path?' }), '?')
  })

  for (const component of [
    '"x-absent"',
    '"example-dict";key="e"',
    '"example-header";key="a"',
    '"example-dict";sf',
    '"priority";sf;bs',
    '"date";tr',
    '"@method";req',
    '"@status"',
    '"@unknown"',
    '"@path";x',
    '"Cache-Control"',
    '"@query-param"',
    '"@query-param";name="twice"',
    '"@query-param";name="absent"',
    '"@query-param";name="Baz"',
    'cache-control',
    '"@method" "@method"',
    '"cache-control" "cache-control"',
  ]) {
    test(`${component} does not exist`, () => assert.equal(covered(component), null))
  }
})
