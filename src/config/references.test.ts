import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { loadDocument } from './load.ts'
import { resolveReferences } from './references.ts'
import { maskSecrets } from './secrets.ts'

const directory = mkdtempSync(join(tmpdir(), 'gatehouse-references-'))
after(() => rmSync(directory, { recursive: true }))

function resolve(value: string, env: Record<string, string> = {}) {
  const { data, findings } = resolveReferences({ value }, { env, directory })
  return findings[0]?.message ?? (data as { value: string }).value
}

describe('a reference', () => {
  const env = { NAME: 'n', EMPTY: '' }
  for (const [written, expected] of [
    ['${env:NAME}', 'n'],
    ['a${env:NAME}b${env:NAME}', 'anbn'],
    ['${env:EMPTY}', ''],
    ['${env:ABSENT:-d:-e}', 'd:-e'],
    ['${env:ABSENT:-}', ''],
    ['${env:NAME:-d}', 'n'],
    ['$${env:NAME}', '${env:NAME}'],
    ['${client.ip} $NAME {env:NAME}', '${client.ip} $NAME {env:NAME}'],
  ] as const) {
    test(`${written} is ${JSON.stringify(expected)}`, () =>
      assert.equal(resolve(written, env), expected))
  }

  for (const [written, pattern] of [
    ['${env:ABSENT}', /the environment variable ABSENT is not set/],
    ['${env:constructor}', /constructor is not set/],
    ['${env:}', /does not name a variable/],
    ['${env:A B}', /does not name a variable/],
    ['${evn:A}', /no references of the kind "evn"/],
    ['${file:absent}', /absent cannot be read: ENOENT/],
    ['${file:.}', /cannot be read: EISDIR/],
    ['${file:/dev/zero}', /larger than 1mb/],
  ] as const) {
    test(`${written} is an error`, () => assert.match(resolve(written), pattern))
  }

  test('to a file is its text without one line break at the end', () => {
    for (const [text, expected] of [
      ['a', 'a'],
      ['a\n', 'a'],
      ['a\r\n', 'a'],
      ['a\n\n', 'a\n'],
    ] as const) {
      writeFileSync(join(directory, 'secret'), text)
      assert.equal(resolve('${file:secret}'), expected)
    }
  })

  test('is not looked for in what another one stands for', () => {
    assert.equal(resolve('${env:A}', { A: '${env:B}', B: 'b' }), '${env:B}')
  })
})

test('values that aliases multiply are counted', () => {
  const row = Array(1000).fill(0)
  const rows = Array(10_000).fill(row)
  const { findings } = resolveReferences(rows, { env: {}, directory })
  assert.match(findings[0]!.message, /too many values/)
})

describe('in a configuration', () => {
  async function load(text: string, env: Record<string, string>) {
    const file = join(directory, 'gatehouse.yaml')
    writeFileSync(file, text)
    return loadDocument(file, { env })
  }

  test('a reference stands for a number or a truth value where one is needed, and for text elsewhere', async () => {
    const { document, problems } = await load(
      `listen: http://127.0.0.1:\${env:PORT}
threads: \${env:THREADS}
forwarded: { forwarded: "\${env:YES}" }
routes:
  - { path: "/\${env:THREADS}", respond: { status: "\${env:STATUS}", body: "\${env:STATUS}" } }`,
      { PORT: '81', THREADS: '3', YES: 'true', STATUS: '201' },
    )
    assert.deepEqual(problems, [])
    const { listeners, threads, forwarded, routes } = document!
    assert.equal(listeners[0]!.port, 81)
    assert.equal(threads, 3)
    assert.equal(forwarded.forwarded, true)
    const { target } = routes[0]!
    assert.ok(target.kind === 'respond' && target.status === 201 && target.body === '201')
  })

  test('one that leads nowhere is the only problem of its value', async () => {
    const { problems } = await load(
      `listen: \${env:LISTEN}
services: { a: { url: 'https://127.0.0.1:1', tls: { ca: '\${env:CA}/ca.crt' } } }
routes: [{ to: '\${env:SERVICE}' }, { path: /a, to: a }]`,
      {},
    )
    const messages = problems.map(({ path, message }) => `${path} ${message}`)
    assert.deepEqual(messages, [
      'listen the environment variable LISTEN is not set',
      'services.a.tls.ca the environment variable CA is not set',
      'routes[0].to the environment variable SERVICE is not set',
    ])
  })

  const secrets = {
    KEY: 'k-0123456789-0123456789-0123456789',
    TOKEN: 't-0123456789',
    HOST: 'internal-name',
  }

  test('what it stands for is masked wherever it went', async () => {
    const { document } = await load(
      `listen: http://127.0.0.1:1
services:
  a: { url: 'http://\${env:HOST}:81', sticky: { secret: '\${env:KEY}' } }
policies: { p: { headers: { request: { set: { authorization: 'Bearer \${env:TOKEN}' } } } } }
routes: [{ to: a, use: [p] }]`,
      secrets,
    )
    const shown = JSON.stringify(maskSecrets(document!))
    for (const secret of Object.values(secrets)) assert.ok(!shown.includes(secret), secret)
    assert.ok(JSON.stringify(document).includes('Bearer t-0123456789'))
    assert.deepEqual([...document!.secrets].sort(), [
      '/routes/0/use/0/settings/request/set/authorization',
      '/services/0/endpoints/0/host',
      '/services/0/sticky/secret',
    ])
  })

  test('it never appears in a message', async () => {
    const { problems } = await load(
      `listen: http://127.0.0.1:1
services: { a: 'http://127.0.0.1:1' }
use: ['\${env:TOKEN}', { request-id: {}, when: '\${env:TOKEN}' }]
routes:
  - { path: '/a', to: '\${env:TOKEN}' }
  - { path: '/b/\${env:TOKEN}/*/c', to: a }
  - { path: '/c', to: a, rewrite: { path: '/{\${env:TOKEN}}' } }`,
      secrets,
    )
    assert.equal(problems.length, 5)
    assert.ok(!JSON.stringify(problems).includes('0123456789'), JSON.stringify(problems))
  })
})
