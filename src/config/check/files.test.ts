import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Authority } from '../../../test/support/certificates.ts'
import { loadDocument } from '../load.ts'

const directory = mkdtempSync(join(tmpdir(), 'gatehouse-files-'))
after(() => rmSync(directory, { recursive: true }))

const authority = new Authority()
const good = authority.issue({ commonName: 'shop', names: ['shop.example', '*.shop.example'] })
const other = authority.issue({ commonName: 'other', names: ['other.example'] })
const expired = authority.issue({
  commonName: 'old',
  names: ['old.example'],
  fromDays: -9,
  untilDays: -2,
})
for (const [name, text] of Object.entries({
  'ca.crt': authority.cert,
  'good.crt': good.cert,
  'good.key': good.key,
  'other.key': other.key,
  'old.crt': expired.cert,
  'old.key': expired.key,
  'text.pem': 'nothing',
})) {
  writeFileSync(join(directory, name), text)
}

async function problemsOf(text: string): Promise<string[]> {
  const file = join(directory, 'gatehouse.yaml')
  writeFileSync(file, text)
  const { problems } = await loadDocument(file)
  return problems.map(
    ({ severity, path, message, line, column }) =>
      `${line}:${column} ${severity} ${path}: ${message.replaceAll(directory, '.')}`,
  )
}

const listener = (certificates: string) => `listen:
  url: https://127.0.0.1:0
  tls:
    certificates: ${certificates}
routes: [{ respond: {} }]`

test('certificates that can be read, fit their keys and name their hosts are fine', async () => {
  const certificates = '{ cert: good.crt, key: good.key, hosts: [shop.example, "*.shop.example"] }'
  assert.deepEqual(await problemsOf(listener(certificates)), [])
})

test('what is wrong with a certificate or a key is said at its place', async () => {
  assert.deepEqual(await problemsOf(listener('{ cert: absent.crt, key: text.pem }')), [
    '4:27 error listen.tls.certificates.cert: ./absent.crt cannot be read: ENOENT',
    '4:44 error listen.tls.certificates.key: ./text.pem holds no private key that can be used',
  ])
  assert.deepEqual(await problemsOf(listener('[{ cert: good.crt, key: other.key }]')), [
    '4:43 error listen.tls.certificates[0].key: this key does not belong to the certificate',
  ])
  assert.deepEqual(await problemsOf(listener('{ cert: text.pem, key: good.key }')), [
    '4:27 error listen.tls.certificates.cert: ./text.pem holds no certificate',
  ])
  const [warning, ...rest] = await problemsOf(listener('{ cert: old.crt, key: old.key }'))
  assert.match(warning!, /^4:27 warning listen\.tls\.certificates\.cert: the certificate ended on /)
  assert.deepEqual(rest, [])
})

test('a host that the certificate is not for is a warning', async () => {
  assert.deepEqual(
    await problemsOf(listener('{ cert: good.crt, key: good.key, hosts: [a.example] }')),
    ['4:60 warning listen.tls.certificates.hosts[0]: the certificate is not for "a.example"'],
  )
})

test('files of services are checked as well', async () => {
  const text = (tls: string) => `listen: http://127.0.0.1:0
services:
  a: { url: https://127.0.0.1:1, tls: ${tls} }
routes: [{ to: a }]`
  assert.deepEqual(await problemsOf(text('{ ca: ca.crt, cert: good.crt, key: good.key }')), [])
  assert.deepEqual(await problemsOf(text('{ ca: text.pem, cert: good.crt, key: other.key }')), [
    '3:45 error services.a.tls.ca: ./text.pem holds no certificate',
    '3:76 error services.a.tls.key: this key does not belong to the certificate',
  ])
  assert.deepEqual(await problemsOf(text('{ cert: good.crt }')), [
    '3:39 error services.a.tls: `cert` and `key` must be given together',
  ])
})
