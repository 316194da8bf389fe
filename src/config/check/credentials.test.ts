// What `check` says of policies that nobody could pass, and of counts that nobody keeps.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { loadDocument } from '../load.ts'

const directory = mkdtempSync(join(tmpdir(), 'gatehouse-credentials-'))
after(() => rmSync(directory, { recursive: true }))

async function problemsOf(use: string, more = ''): Promise<string[]> {
  const file = join(directory, 'gatehouse.yaml')
  writeFileSync(
    file,
    `listen: http://127.0.0.1:0\nroutes: [{ path: /*, use: [${use}], respond: { body: ok } }]\n${more}\n`,
  )
  const { problems } = await loadDocument(file)
  return problems.map(({ line, column, severity, path, message }) => {
    return `${line}:${column} ${severity} ${path}: ${message}`
  })
}

const HASH = `sha256:${'0'.repeat(64)}`
const JWT = 'issuer: "https://id.example/", audience: shop'
const SIGNATURE_KEY =
  '{ id: k, algorithm: hmac-sha256, key: MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY= }'

describe('a policy that could let nobody in', () => {
  const cases: [use: string, more: string, ...patterns: RegExp[]][] = [
    ['api-key', '', /^2:28 warning routes\[0\]\.use\[0\]: no consumer has keys, so nobody/],
    ['api-key', 'consumers: { a: {} }', /no consumer has keys/],
    ['api-key', `consumers: { a: { keys: ["${HASH}"] } }`],
    ['basic-auth', `consumers: { a: { keys: ["${HASH}"] } }`, /no consumer has a password/],
    ['http-signature', '', /no consumer has signatureKeys/],
    [`http-signature: { keys: [${SIGNATURE_KEY}] }`, ''],
    [`jwt: { ${JWT} }`, ''],
    [`jwt: { ${JWT}, consumer: { known: required } }`, '', /no consumer has tokens of this issuer/],
    [
      `jwt: { ${JWT}, consumer: { known: required } }`,
      'consumers: { a: { tokens: [{ issuer: "https://id.example/", subject: a }] } }',
    ],
    [
      `jwt: { ${JWT} }`,
      'consumers: { a: { tokens: [{ issuer: "https://id.example", subject: a }] } }',
      /^3:\d+ warning consumers\.a\.tokens\[0\]\.issuer: no policy checks tokens for this issuer/,
    ],
    [
      `any-of: { of: [api-key, { jwt: { ${JWT} } }] }`,
      'consumers: { a: { tokens: [{ issuer: "https://id.example/", client: a }] } }',
      /no consumer has keys/,
    ],
  ]
  for (const [use, more, ...patterns] of cases) {
    test(`${use} ${more}`, async () => {
      const found = await problemsOf(use, more)
      assert.equal(found.length, patterns.length, found.join('\n'))
      for (const [index, pattern] of patterns.entries()) assert.match(found[index]!, pattern)
    })
  }
})

test('quotas that no file keeps are warned of once, at the first', async () => {
  const use = 'quota: { limit: 5, per: day, by: ip }'
  const [found, ...others] = await problemsOf(`{ ${use} }, { ${use} }`)
  assert.match(found!, /^2:\d+ warning routes\[0\]\.use\[0\]: .*lost at every restart/)
  assert.deepEqual(others, [])
  assert.deepEqual(await problemsOf(use, 'state: { file: counts.db }'), [])
})

test('a relative list of addresses is looked for beside the configuration', async () => {
  writeFileSync(join(directory, 'denied.txt'), '192.0.2.1\n')
  assert.deepEqual(await problemsOf('ip-filter: { deny: { file: denied.txt } }'), [])
  const [missing] = await problemsOf('ip-filter: { deny: { file: lists/denied.txt } }')
  assert.match(missing!, /^2:28 error .*lists\/denied\.txt cannot be used: ENOENT/)
  assert.ok(missing!.includes(join(directory, 'lists')))
})
