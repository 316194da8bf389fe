import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { apiKeyHash, hasChecksum } from '../../policies/api-key-format.ts'
import { CommandFolder } from './cli.test-support.ts'

const folder = new CommandFolder()

describe('keys create', () => {
  test('prints a key once, and a configuration that knows only its hash', async () => {
    const { status, out, err } = await folder.run('keys', 'create', '--consumer', 'mobile.app')
    assert.deepEqual([status, err], [0, ''])
    const [key = '', ...rest] = out.split('\n')
    assert.match(key, /^gh_/)
    assert.ok(hasChecksum(key, 'gh'))
    const hash = Buffer.from(apiKeyHash(key), 'base64url').toString('hex')
    const text = rest.join('\n')
    assert.ok(text.includes(`consumers:\n  mobile.app:\n    keys: ['sha256:${hash}']\n`), text)
    assert.ok(!text.includes(key))
  })

  test('prints what a gateway takes', async () => {
    const { out } = await folder.run('keys', 'create', '--prefix', 'shop', '--json')
    const { key, hash } = JSON.parse(out) as { key: string; hash: string }
    assert.ok(hasChecksum(key, 'shop'))
    const file = `listen: http://127.0.0.1:0
admin: false
consumers: { app: { keys: ['${hash}'] } }
routes:
  - { path: /*, use: [{ api-key: { prefix: shop } }], respond: { body: ok } }
`
    folder.write('gatehouse.yaml', file)
    const args = ['explain', 'GET', '/', '-H', `X-Api-Key: ${key}`]
    assert.match((await folder.run(...args)).out, /api-key +the caller is app\n/)
  })

  test('says how it is used', async () => {
    for (const [args, message] of [
      [['keys'], /say what to do: gatehouse keys create/],
      [['keys', 'list'], /"list" is nothing/],
      [['keys', 'create', '--prefix', 'GH_'], /is no prefix/],
      [['keys', 'create', '--consumer', 'a b'], /is no id/],
      [['keys', 'create', 'more'], /one argument too many/],
      [['keys', 'create', '--prefx', 'x'], /did you mean --prefix/],
    ] as const) {
      const { status, out, err } = await folder.run(...args)
      assert.deepEqual([status, out], [2, ''])
      assert.match(err, message)
    }
    assert.match((await folder.run('keys', '--help')).out, /Usage: gatehouse keys create/)
    assert.match((await folder.run('--help')).out, /\n +keys +Make an API key/)
  })
})
