// What `explain` says about who may pass, without asking anybody and without repeating a secret.
import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { describe, test } from 'node:test'
import { hashSync } from '@node-rs/bcrypt'
import { apiKeyHash, createApiKey } from '../../policies/api-key-format.ts'
import { CommandFolder } from './cli.test-support.ts'

const folder = new CommandFolder()
const KEY = createApiKey('gh')
const EXPIRED = createApiKey('gh')
const hash = (key: string) => `sha256:${Buffer.from(apiKeyHash(key), 'base64url').toString('hex')}`

const FILE = `listen: http://127.0.0.1:0
admin: false
services: { s: http://127.0.0.1:4001 }
consumers:
  app: { groups: [staff], keys: ['${hash(KEY)}', { hash: '${hash(EXPIRED)}', expires: 2020-01-01 }] }
  ann: { password: '${hashSync('marked-password', 4)}' }
policies:
  key: { api-key: { header: x-api-key, forward: { id: x-who } } }
routes:
  - { path: /key/*, use: [request-id, key, { require: { groups: [staff] } }], to: s }
  - { path: /staff/*, use: [basic-auth, { require: { groups: [staff] } }], to: s }
  - { path: /query/*, use: [{ api-key: { query: [k, api_key] } }], to: s }
  - { path: /either/*, use: [{ any-of: { of: [api-key, basic-auth] } }], to: s }
  - { path: /trial/*, use: [{ api-key: {}, mode: shadow }], to: s }
  - { path: /when/*, use: [{ api-key: {}, when: "request.method == 'PUT'" }], to: s }
  - { path: /spoofed/*, use: [{ require: { expression: "request.headers['x-who'] == 'app'" } }], to: s }
`

interface Decision {
  readonly outcome: string
  readonly reason: string | null
  readonly status: number | null
  readonly code: string | null
  readonly consumer: string | null
}

interface Explained {
  readonly policies: readonly { id: string; decision: Decision }[]
  readonly forward: { readonly target: string } | null
  readonly refused: { readonly code: string } | null
}

async function explained(file: string, ...args: string[]): Promise<Explained> {
  folder.write('gatehouse.yaml', file)
  const { status, out, err } = await folder.run('explain', ...args, '--json')
  assert.equal(status, 0, err)
  return JSON.parse(out) as Explained
}

async function decisions(...args: string[]) {
  const { policies } = await explained(FILE, ...args)
  return policies.map(({ id, decision }) => {
    const { outcome, code, consumer } = decision
    return [id, outcome, code ?? consumer]
  })
}

describe('explain', () => {
  test('says whom a key makes known, and what follows', async () => {
    assert.deepEqual(await decisions('GET', '/key/a', '-H', `X-Api-Key: ${KEY}`), [
      ['request-id', 'passes', null],
      ['key', 'passes', 'app'],
      ['require', 'passes', null],
    ])
  })

  test('says who refuses, why, and that nothing after it runs', async () => {
    const { policies, forward } = await explained(
      FILE,
      'GET',
      '/key/a',
      '-H',
      `X-Api-Key: ${EXPIRED}`,
    )
    assert.deepEqual(
      policies.map(({ decision }) => decision.outcome),
      ['passes', 'answers', 'not-reached'],
    )
    const { status, code, reason } = policies[1]!.decision
    assert.deepEqual(
      [status, code, reason],
      [401, 'credential_expired', 'The API key has expired.'],
    )
    assert.equal(forward, null)
  })

  test('waits for policies that take their time', async () => {
    const authorization = `Authorization: Basic ${btoa('ann:marked-password')}`
    assert.deepEqual(await decisions('GET', '/staff/a', '-H', authorization), [
      ['basic-auth', 'passes', 'ann'],
      ['require', 'answers', 'forbidden'],
    ])
    assert.deepEqual(await decisions('GET', '/either/a', '-H', authorization), [
      ['any-of', 'passes', 'ann'],
    ])
  })

  test('knows conditions, shadow mode, and headers that no client can send', async () => {
    assert.deepEqual(await decisions('GET', '/when/a'), [['api-key', 'skipped', null]])
    assert.deepEqual(await decisions('PUT', '/when/a'), [
      ['api-key', 'answers', 'authentication_required'],
    ])
    const { policies, forward } = await explained(FILE, 'GET', '/trial/a')
    assert.equal(policies[0]!.decision.outcome, 'answers')
    assert.equal(forward?.target, '/trial/a')
    assert.deepEqual(await decisions('GET', '/spoofed/a', '-H', 'X_Who: app', '-H', 'X-Who: app'), [
      ['require', 'answers', 'forbidden'],
    ])
  })

  test('says when the request itself would be refused', async () => {
    const { refused } = await explained(FILE, 'GET', '/key/a', '-H', 'Content-Length: x')
    assert.equal(refused!.code, 'bad_framing')
  })

  test('asks nobody, and says what cannot be known without', async () => {
    let connections = 0
    const server = createServer((socket) => {
      connections++
      socket.destroy()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const jwt = `{ jwt: { issuer: '${origin}', audience: shop, jwks: '${origin}/jwks', allowHttp: true } }`
    try {
      const route = (use: string) =>
        `listen: http://127.0.0.1:0\nadmin: false\nroutes:\n  - { path: /*, use: ${use}, respond: {} }\n`
      const header = [
        '-H',
        `Authorization: Bearer ${[btoa('{"alg":"RS256","kid":"1"}'), btoa('{}'), 'x'].join('.')}`,
      ]
      const { policies } = await explained(
        route(`[${jwt}, { require: { groups: [a] } }]`),
        'GET',
        '/',
        ...header,
      )
      for (const { decision } of policies) assert.equal(decision.outcome, 'undecided')
    } finally {
      await new Promise((resolve) => server.close(resolve))
    }
    assert.equal(connections, 0)
  })

  test('never repeats a secret', async () => {
    const password = btoa('ann:marked-password')
    const calls: string[][] = [
      ['GET', '/key/a', '-H', `X-Api-Key: ${KEY}`],
      ['GET', '/key/a', '-H', 'X-Api-Key: marked-key'],
      ['GET', '/key/a', '-H', 'X-Api-Key marked-key'],
      ['GET', '/key/a', '-H', 'X-Api-Key: marked-key\r\nx: y'],
      ['GET', `/query/a?k=${KEY}&x=1`],
      ['GET', '/query/a?k=marked-key&%6b=marked-key'],
      ['GET', '/key/a?k=marked-key&token=marked-key'],
      ['GET', '/nowhere?k=marked-key'],
      ['GET', '/staff/a', '-H', `Authorization: Basic ${password}`],
      ['GET', 'http://ann:marked-password@shop.example/staff/a'],
      ['GET', 'marked-key'],
      ['GET', '/either/a', '-H', 'Cookie: a=marked-key', '-H', 'Authorization: Bearer marked-key'],
    ]
    for (const args of calls) {
      for (const more of [[], ['--json'], ['--all']]) {
        folder.write('gatehouse.yaml', FILE)
        const { out, err } = await folder.run('explain', ...args, ...more)
        for (const secret of ['marked', KEY, password]) {
          assert.ok(!(out + err).includes(secret), `${args.join(' ')}:\n${out}${err}`)
        }
      }
    }
  })

  test('shows the target as the service gets it, without the key', async () => {
    const { forward } = await explained(FILE, 'GET', `/query/a?x=1&k=${KEY}&y=2`)
    assert.equal(forward!.target, '/query/a?x=1&y=2')
  })
})
