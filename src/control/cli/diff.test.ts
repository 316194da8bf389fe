import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CommandFolder } from './cli.test-support.ts'

const folder = new CommandFolder()

const OLD = `
listen: http://127.0.0.1:8080
services: { users: http://127.0.0.1:4001, orders: http://127.0.0.1:4002 }
consumers: { app: { keys: ['sha256:${'0'.repeat(64)}'] } }
policies:
  signed-in: { api-key: {} }
limits: { bodyBytes: 1mb }
routes:
  - { id: users, path: /users/*, use: [signed-in], to: users }
  - { id: orders, path: /orders/*, use: [signed-in, request-id], to: orders }
  - { id: old, path: /old, respond: { status: 410 } }
`

test('says what comes, goes and changes, and marks what lets more requests in', async () => {
  folder.write('old.yaml', OLD)
  folder.write(
    'new.yaml',
    OLD.replace('bodyBytes: 1mb', 'bodyBytes: 2mb')
      .replace('path: /users/*, use: [signed-in],', 'path: /users/*,')
      .replace('4002', '4003')
      .replace('id: old, path: /old', 'id: new, path: /new'),
  )
  const { status, out } = await folder.run('diff', 'old.yaml', 'new.yaml')
  assert.equal(status, 0)
  assert.equal(
    out,
    [
      '~ route users  authentication loosened',
      '    no longer runs signed-in',
      '+ route new',
      '    asks nobody who they are',
      '- route old',
      '~ service orders',
      '    endpoints',
      '~ listener 127.0.0.1:8080',
      '    limits.bodyBytesMax: 1048576 → 2097152',
      '~ limits',
      '    bodyBytesMax: 1048576 → 2097152',
      '6 changes',
      '',
    ].join('\n'),
  )
  assert.equal((await folder.run('diff', '--strict', 'old.yaml', 'new.yaml')).status, 1)
})

test('a guard that only watches, or only sometimes, is a looser one', async () => {
  folder.write('old.yaml', OLD)
  for (const weaker of ['{ api-key: {}, mode: shadow }', "{ api-key: {}, when: 'true' }"]) {
    folder.write('new.yaml', OLD.replace('signed-in: { api-key: {} }', `signed-in: ${weaker}`))
    const { out } = await folder.run('diff', 'old.yaml', 'new.yaml')
    assert.match(out, /route users {2}authentication loosened/)
  }
})

test('a route that goes to the same place in another way', async () => {
  folder.write('old.yaml', OLD)
  const other = 'to: users, retries: { attempts: 2 }, timeouts: { attempt: 1s }'
  folder.write('new.yaml', OLD.replace('to: users', other))
  const { out } = await folder.run('diff', 'old.yaml', 'new.yaml')
  assert.match(out, /is forwarded with another timeouts\.attemptMs: null → 1000, retries\n/)
})

test('nothing changed, or a file that cannot be used', async () => {
  folder.write('old.yaml', OLD)
  assert.equal((await folder.run('diff', 'old.yaml', 'old.yaml')).out, '0 changes\n')
  folder.write('bad.yaml', 'routes: 1')
  assert.equal((await folder.run('diff', 'old.yaml', 'bad.yaml')).status, 1)
  assert.equal((await folder.run('diff', 'old.yaml')).status, 2)
})

test('says who gets copies of requests, and apart from that where they lead', async () => {
  folder.write('old.yaml', OLD)
  folder.write(
    'new.yaml',
    OLD.replace('to: orders }', 'to: orders, mirror: { to: users, share: 0.05, compare: {} } }'),
  )
  const { out } = await folder.run('diff', 'old.yaml', 'new.yaml')
  assert.deepEqual(out.split('\n'), [
    '~ route orders',
    '    copies 5 % of GET, HEAD, OPTIONS to users, compared (before: nothing)',
    '1 change',
    '',
  ])
})
