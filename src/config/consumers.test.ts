// Consumers in a configuration: what is taken, what is refused and where, and what nobody is shown.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { apiKeyHash } from '../policies/api-key-format.ts'
import { compileConsumers } from './compile-consumers.ts'
import { loadDocument } from './load.ts'
import { maskSecrets } from './secrets.ts'

const directory = mkdtempSync(join(tmpdir(), 'gatehouse-consumers-'))
after(() => rmSync(directory, { recursive: true }))

const HEX = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
const ARGON2 =
  '$argon2id$v=19$m=19456,t=2,p=1$Rfah3odo6UuBpEgiFOvvgg$9bJjAoTyHB0oeBTUzU9lq+Swye/e2zIHr0dbKqUV+vI'
const BCRYPT = '$2y$05$30Lr/uvxiEyOH/KsM1bm5uop.FFUaCBhh6uBPT9eDNc7nfQ2HAa.W'
const SECRET = 'MDEyMzQ1Njc4OWFiY2RlZg=='
const ROUTES = "routes: [{ path: /*, respond: { body: ok } }]\nlisten: 'http://127.0.0.1:0'\n"

let count = 0
async function load(consumers: unknown) {
  const file = join(directory, `${++count}.yaml`)
  const text = typeof consumers === 'string' ? consumers : JSON.stringify(consumers)
  writeFileSync(file, `${ROUTES}consumers: ${text}\n`)
  const { document, problems } = await loadDocument(file, { env: { KEY: `sha256:${HEX}` } })
  const texts = problems.map(({ severity, path, message, expected }) => {
    return `${severity} ${path}: ${message}${expected === undefined ? '' : ` (${expected})`}`
  })
  return { document, texts, problems }
}

async function directoryOf(consumers: unknown) {
  const { document, texts } = await load(consumers)
  assert.notEqual(document, null, texts.join('\n'))
  return compileConsumers(structuredClone(document!))
}

describe('consumers', () => {
  test('are found by id and by each of their credentials', async () => {
    writeFileSync(
      join(directory, 'users.htpasswd'),
      `# comment\nbob:${BCRYPT}\r\n\nBörje:${BCRYPT}\n`,
    )
    const found = await directoryOf({
      app: {
        groups: ['staff', 'eu'],
        metadata: { team: 'shop' },
        keys: [
          '${env:KEY}',
          { hash: `sha256:${'0'.repeat(64)}`, label: 'ci', expires: '2999-01-02' },
        ],
        limits: { orders: { limit: 5, burst: 2 } },
      },
      ann: { password: ARGON2, passwords: [{ username: 'ann@work', hash: BCRYPT }] },
      team: { htpasswd: '${file:users.htpasswd}' },
      signer: { signatureKeys: [{ keyId: 'k1', algorithm: 'hmac-sha256', key: SECRET }] },
    })
    const app = found.byId('app')!
    assert.deepEqual([app.id, app.groups, app.claims], ['app', ['staff', 'eu'], null])
    assert.deepEqual({ ...app.metadata }, { team: 'shop' })
    assert.deepEqual(app.limits.orders, { limit: 5, burst: 2 })
    assert.equal(app.limits.constructor, undefined)
    const key = found.byKeyHash(apiKeyHash('abc'))!
    assert.deepEqual([key.consumer, key.expiresAtMs], [app, Number.POSITIVE_INFINITY])
    const second = found.byKeyHash(Buffer.alloc(32).toString('base64url'))!
    assert.deepEqual([second.label, second.expiresAtMs], ['ci', Date.UTC(2999, 0, 2)])
    assert.equal(found.byKeyHash('constructor'), null)
    for (const [name, id, hash] of [
      ['ann', 'ann', ARGON2],
      ['ann@work', 'ann', BCRYPT],
      ['bob', 'team', BCRYPT],
      ['Börje', 'team', BCRYPT],
    ] as const) {
      const entry = found.byUsername(name)!
      assert.deepEqual([entry.consumer.id, entry.hash], [id, hash])
    }
    assert.equal(found.byUsername('app'), null)
    assert.equal(found.bySignatureKey('k1')!.consumer.id, 'signer')
    const [issuer, other] = ['https://id.example/', 'https://other.example/']
    const tokens = await directoryOf({
      ann: { tokens: [{ issuer, subject: 'u-1' }] },
      app: {
        tokens: [
          { issuer, client: 'c-1' },
          { issuer: other, subject: 'u-1' },
        ],
      },
    })
    for (const [from, subject, client, id] of [
      [issuer, 'u-1', null, 'ann'],
      [issuer, 'u-1', 'c-1', 'ann'],
      [issuer, 'u-2', 'c-1', 'app'],
      [issuer, null, 'c-1', 'app'],
      [other, 'u-1', null, 'app'],
      [other, 'u-2', 'c-1', undefined],
      [issuer, 'c-1', 'u-1', undefined],
      ['constructor', 'u-1', null, undefined],
    ] as const) {
      assert.equal(tokens.byToken(from, subject, client)?.id, id)
    }
    assert.ok([ARGON2, BCRYPT].includes(found.decoyHash('nobody')!))
    assert.equal(found.decoyHash('nobody'), found.decoyHash('nobody'))
  })

  test('may be thousands', async () => {
    const many = Object.fromEntries(
      Array.from({ length: 5_000 }, (_, index) => {
        const hash = index.toString(16).padStart(64, '0')
        return [`c${index}`, { groups: ['all'], keys: [`sha256:${hash}`] }]
      }),
    )
    const found = await directoryOf(many)
    const hash = Buffer.from((4_999).toString(16).padStart(64, '0'), 'hex').toString('base64url')
    assert.equal(found.byKeyHash(hash)!.consumer.id, 'c4999')
  })
})

describe('what a consumer cannot have', () => {
  const cases: [title: string, consumers: unknown, ...patterns: RegExp[]][] = [
    [
      'a key in the clear',
      { a: { keys: ['hunter2-key'] } },
      /a\.keys\[0\]: .*must not stand here .*gatehouse keys create/,
    ],
    [
      'a password in the clear',
      { a: { password: 'hunter2' } },
      /a\.password: .*must not stand here .*argon2id/,
    ],
    ['apr1', { a: { password: '$apr1$abc$hunter2xxxxxxxxxxxxxxx' } }, /apr1.*htpasswd -nB/],
    ['{SHA}', { a: { htpasswd: 'a:{SHA}hunter2xxxxxxxxxxx=' } }, /line 1: SHA-1.*htpasswd -nB/],
    ['crypt', { a: { password: '$6$salt$hunter2' } }, /crypt.*argon2id/],
    ['a weak bcrypt', { a: { password: BCRYPT.replace('$05$', '$03$') } }, /cost of bcrypt/],
    [
      'a bcrypt that takes for ever',
      { a: { password: BCRYPT.replace('$05$', '$31$') } },
      /from 4 to 16/,
    ],
    ['argon2i', { a: { password: ARGON2.replace('argon2id', 'argon2i') } }, /argon2id/],
    [
      'argon2id that takes all memory',
      { a: { password: ARGON2.replace('m=19456', 'm=4194304') } },
      /costs too much/,
    ],
    ['a file name as lines', { a: { htpasswd: 'users.htpasswd' } }, /line 1: .*\$\{file:PATH\}/],
    [
      'a date that is none',
      { a: { keys: [{ hash: `sha256:${HEX}`, expires: '31.12.2030' }] } },
      /not a date/,
    ],
    [
      'a colon in a user name',
      { a: { passwords: [{ username: 'a:b', hash: BCRYPT }] } },
      /no colon/,
    ],
    ['an id with spaces', { 'a b': {} }, /not an id/],
    ['a group with a comma', { a: { groups: ['x,y'] } }, /without a comma/],
    ['an unknown setting', { a: { key: 'x' } }, /no setting "key"/],
    [
      'the key of another',
      { a: { keys: [`sha256:${HEX}`] }, b: { keys: [{ hash: `sha256:${HEX.toUpperCase()}` }] } },
      /error consumers\.b\.keys\[0\]: this key stands at consumers\.a\.keys\[0\] already/,
    ],
    [
      'the user name of another',
      {
        a: { password: BCRYPT, passwords: [{ username: 'x', hash: BCRYPT }] },
        b: { htpasswd: `x:${BCRYPT}\na:${BCRYPT}` },
      },
      /consumers\.b\.htpasswd: the user name "x" stands at consumers\.a\.passwords\[0\] already/,
      /consumers\.b\.htpasswd: the user name "a" stands at consumers\.a\.password already/,
    ],
    [
      'a signature key that cannot be used',
      { a: { signatureKeys: [{ keyId: 'k', algorithm: 'hmac-sha256', key: 'aHVudGVyMg==' }] } },
      /error consumers\.a\.signatureKeys\[0\]\.key: .*fewer than 16 bytes/,
    ],
    [
      'a signature key for another algorithm',
      { a: { signatureKeys: [{ keyId: 'k', algorithm: 'ed25519', key: 'hunter2' }] } },
      /error consumers\.a\.signatureKeys\[0\]\.key: .*no public key in PEM/,
    ],
    [
      'tokens of nobody',
      { a: { tokens: [{ issuer: 'i' }] } },
      /consumers\.a\.tokens\[0\]: .*one of `subject` and `client`/,
    ],
    [
      'tokens of two at once',
      { a: { tokens: [{ issuer: 'i', subject: 's', client: 'c' }] } },
      /consumers\.a\.tokens\[0\]: .*one of `subject` and `client`/,
    ],
    [
      'the token of another',
      {
        a: { tokens: [{ issuer: 'i', subject: 's' }] },
        b: { tokens: [{ issuer: 'i', subject: 's' }] },
      },
      /warning consumers\.a\.tokens\[0\]\.issuer: no policy checks tokens for this issuer/,
      /error consumers\.b\.tokens\[0\]: this token stands at consumers\.a\.tokens\[0\] already/,
      /warning consumers\.b\.tokens\[0\]\.issuer/,
    ],
    [
      'a limit of no policy',
      { a: { limits: { nowhere: { limit: 1 } } } },
      /warning consumers\.a\.limits\.nowhere: no policy has the id/,
    ],
    [
      'an expired key',
      { a: { keys: [{ hash: `sha256:${HEX}`, expires: '2020-01-01' }] } },
      /warning consumers\.a\.keys\[0\]\.expires: .*expired/,
    ],
  ]
  for (const [title, consumers, ...patterns] of cases) {
    test(title, async () => {
      const { texts } = await load(consumers)
      assert.equal(texts.length, patterns.length, texts.join('\n'))
      for (const [index, pattern] of patterns.entries()) assert.match(texts[index]!, pattern)
      for (const text of texts) assert.ok(!text.includes('hunter2'), text)
    })
  }
})

test('nobody is shown a hash or a key', async () => {
  const { document } = await load({
    a: {
      keys: [`sha256:${HEX}`],
      password: ARGON2,
      htpasswd: `b:${BCRYPT}`,
      signatureKeys: [{ keyId: 'k', algorithm: 'hmac-sha256', key: SECRET }],
    },
  })
  const shown = JSON.stringify(maskSecrets(document!))
  const secrets = [apiKeyHash('abc'), ARGON2, BCRYPT, SECRET]
  for (const secret of secrets) assert.ok(!shown.includes(secret))
  assert.equal(shown.match(/\*\*\*/g)!.length, 4)
})
