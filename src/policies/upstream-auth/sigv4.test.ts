import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { EMPTY_PAYLOAD, Signer, type SigningSettings, signingDate } from './sigv4.ts'

/** The test suite that AWS published for this signature. */
const SUITE: SigningSettings = {
  region: 'us-east-1',
  service: 'service',
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
}
const IAM: SigningSettings = { ...SUITE, service: 'iam' }
/** The examples in the documentation of S3. */
const S3: SigningSettings = {
  region: 'us-east-1',
  service: 's3',
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
}

const SUITE_HEAD = { host: 'example.amazonaws.com', 'x-amz-date': '20150830T123600Z' }
const BUCKET_HEAD = {
  host: 'examplebucket.s3.amazonaws.com',
  'x-amz-date': '20130524T000000Z',
  'x-amz-content-sha256': EMPTY_PAYLOAD,
}
const FORM = 'application/x-www-form-urlencoded'

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** UTF-8 as the wire has it, one character per byte. */
function bytes(text: string): string {
  return Buffer.from(text).toString('latin1')
}

interface Vector {
  readonly settings?: SigningSettings
  readonly method?: string
  readonly target?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly payload?: string
  readonly signature: string
}

const VECTORS: Readonly<Record<string, Vector>> = {
  'get-vanilla': {
    signature: '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
  },
  'post-vanilla': {
    method: 'POST',
    signature: '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b',
  },
  'get-vanilla-query-order-key-case': {
    target: '/?Param2=value2&Param1=value1',
    signature: 'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
  },
  'get-unreserved': {
    target: '/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz',
    signature: '07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f',
  },
  'get-utf8': {
    target: bytes('/ሴ'),
    signature: '8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85',
  },
  'get-vanilla-utf8-query': {
    target: bytes('/?ሴ=bar'),
    signature: '2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04',
  },
  'get-header-value-trim': {
    headers: { ...SUITE_HEAD, 'my-header1': ' value1', 'my-header2': ' "a   b   c"' },
    signature: 'acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736',
  },
  'post-x-www-form-urlencoded': {
    method: 'POST',
    headers: { ...SUITE_HEAD, 'content-type': FORM },
    payload: sha256('Param1=value1'),
    signature: 'ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a',
  },
  'IAM: list users': {
    settings: IAM,
    target: '/?Action=ListUsers&Version=2010-05-08',
    headers: {
      'content-type': `${FORM}; charset=utf-8`,
      host: 'iam.amazonaws.com',
      'x-amz-date': '20150830T123600Z',
    },
    signature: '5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7',
  },
  'S3: get an object': {
    settings: S3,
    target: '/test.txt',
    headers: { ...BUCKET_HEAD, range: 'bytes=0-9' },
    signature: 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  },
  'S3: put an object': {
    settings: S3,
    method: 'PUT',
    target: '/test%24file.text',
    headers: {
      ...BUCKET_HEAD,
      date: 'Fri, 24 May 2013 00:00:00 GMT',
      'x-amz-content-sha256': sha256('Welcome to Amazon S3.'),
      'x-amz-storage-class': 'REDUCED_REDUNDANCY',
    },
    payload: sha256('Welcome to Amazon S3.'),
    signature: '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  },
  'S3: get the lifecycle': {
    settings: S3,
    target: '/?lifecycle',
    headers: BUCKET_HEAD,
    signature: 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
  },
  'S3: list objects': {
    settings: S3,
    target: '/?max-keys=2&prefix=J',
    headers: BUCKET_HEAD,
    signature: '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  },
}

describe("AWS's published examples", () => {
  for (const [name, vector] of Object.entries(VECTORS)) {
    test(name, () => {
      const { settings = SUITE, method = 'GET', target = '/', headers = SUITE_HEAD } = vector
      const signed = new Signer(settings).authorization({
        method,
        target,
        headers: new Map(Object.entries(headers)),
        payload: vector.payload ?? EMPTY_PAYLOAD,
        date: headers['x-amz-date']!,
      })
      const names = Object.keys(headers).sort().join(';')
      const scope = `${headers['x-amz-date']!.slice(0, 8)}/us-east-1/${settings.service}`
      assert.equal(
        signed,
        `AWS4-HMAC-SHA256 Credential=${settings.accessKeyId}/${scope}/aws4_request, ` +
          `SignedHeaders=${names}, Signature=${vector.signature}`,
      )
    })
  }
})

interface Aws4 {
  sign(
    request: Record<string, unknown>,
    credentials: Record<string, string>,
  ): { headers: Record<string, string> }
}

test('agrees with another implementation on whatever can be asked for', () => {
  const aws4 = createRequire(import.meta.url)('aws4') as Aws4
  const text = fc.string({
    unit: fc.constantFrom(..."aZ09-._~!$&'()*+,;:@/ =?%é".split('')),
    maxLength: 12,
  })
  // encodeURIComponent leaves some characters that a client may send either way.
  const part = text.map((raw) => encodeURIComponent(raw).replaceAll('%2B', '+'))
  const path = fc.array(part, { maxLength: 4 }).map((parts) => `/${parts.join('/')}`)
  const pair = fc.tuple(part, part).map(([name, value]) => `n${name}=${value}`)
  const query = fc.array(pair, { maxLength: 4 }).map((pairs) => pairs.join('&'))
  const service = fc.constantFrom('s3', 'execute-api')
  fc.assert(
    fc.property(service, path, query, (service, path, query) => {
      fc.pre(!path.split('/').some((segment) => segment === '.' || segment === '..'))
      const target = query === '' ? path : `${path}?${query}`
      const settings = { ...SUITE, service }
      const date = '20260102T030405Z'
      const headers = {
        host: 'a.example',
        'x-amz-content-sha256': sha256(target),
        'x-amz-date': date,
      }
      const theirs = aws4.sign(
        { service, region: SUITE.region, method: 'PUT', path: target, headers },
        { accessKeyId: SUITE.accessKeyId, secretAccessKey: SUITE.secretAccessKey },
      )
      const ours = new Signer(settings).authorization({
        method: 'PUT',
        target,
        headers: new Map(Object.entries(headers)),
        payload: sha256(target),
        date,
      })
      assert.equal(ours, theirs.headers.Authorization)
    }),
  )
})

test('a signer goes on to the next day, and writes moments as AWS does', () => {
  const one = new Signer(SUITE)
  const request = {
    method: 'GET',
    target: '/',
    headers: new Map(Object.entries(SUITE_HEAD)),
    payload: EMPTY_PAYLOAD,
  }
  const first = one.authorization({ ...request, date: '20150830T235959Z' })
  const second = one.authorization({ ...request, date: '20150831T000000Z' })
  assert.notEqual(first, second)
  assert.equal(second, new Signer(SUITE).authorization({ ...request, date: '20150831T000000Z' }))
  assert.equal(signingDate(Date.UTC(2015, 7, 30, 12, 36, 0, 999)), '20150830T123600Z')
})
