// Basic authentication end to end: who passes, what it costs, and what guessing brings.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { hashSync } from '@node-rs/argon2'
import { basic, cheapHash, fieldsOf } from '../support/credentials.ts'
import { TestGateway } from '../support/gateway.ts'
import { type Echo, RecordingUpstream } from '../support/recording-upstream.ts'

const ARGON2 = hashSync('grüße', { memoryCost: 64, timeCost: 1 })
let upstream: RecordingUpstream
let gateway: TestGateway

before(async () => {
  upstream = await RecordingUpstream.startHttp()
  const policy = (settings: object) => [{ 'basic-auth': settings }]
  gateway = await TestGateway.start({
    services: { s: upstream.url },
    consumers: {
      ann: { groups: ['staff'], password: ARGON2 },
      team: {
        htpasswd: `bob:${cheapHash('pass:word').replace('$2b$', '$2y$')}\nBörje:${cheapHash('')}`,
      },
      victim: { password: cheapHash('right') },
    },
    routes: [
      { path: '/plain/*', use: policy({ failures: false, forward: { id: 'x-who' } }), to: 's' },
      { path: '/named/*', use: policy({ failures: false, realm: 'Back "office"' }), to: 's' },
      { path: '/address/*', use: policy({ failures: { perAddress: 3 }, remember: '0s' }), to: 's' },
      {
        path: '/identity/*',
        use: policy({ failures: { perIdentity: 3, perAddress: 1000 } }),
        to: 's',
      },
      { path: '/busy/*', use: policy({ failures: false, concurrency: 1, queue: 0 }), to: 's' },
    ],
  })
})

beforeEach(() => upstream.mark())

after(async () => {
  await gateway.close()
  await upstream.close()
})

async function get(target: string, authorization: readonly string[], localAddress = '127.0.0.1') {
  const client = await gateway.connect({ localAddress })
  const fields = authorization.map((value) => `Authorization: ${value}`)
  const lines = [`GET ${target} HTTP/1.1`, 'Host: shop.example', ...fields]
  return client.exchange(`${lines.join('\r\n')}\r\n\r\n`)
}

describe('a user name and password', () => {
  const right: [title: string, authorization: string, id: string][] = [
    ['argon2id, with characters beyond ASCII', basic('ann', 'grüße'), 'ann'],
    ['bcrypt out of htpasswd, with a colon in the password', basic('bob', 'pass:word'), 'team'],
    ['a name beyond ASCII and an empty password', basic('Börje', ''), 'team'],
    ['the scheme in other letters', basic('bob', 'pass:word').replace('Basic', 'bASIC'), 'team'],
    ['no padding', basic('bob', 'pass:word').replace(/=+$/, ''), 'team'],
  ]
  for (const [title, authorization, id] of right) {
    test(`that are right pass: ${title}`, async () => {
      // The second time it is remembered.
      for (let count = 0; count < 2; count++) {
        const response = await get('/plain/a', [authorization])
        assert.equal(response.status, 200, response.text)
        const echo = response.json as Echo
        assert.deepEqual(fieldsOf(echo, 'x-who'), [id])
        assert.deepEqual(fieldsOf(echo, 'authorization'), [])
      }
    })
  }

  const encode = (bytes: Buffer) => `Basic ${bytes.toString('base64')}`
  const wrong: [title: string, authorization: string[], status: number, code: string][] = [
    ['nothing', [], 401, 'authentication_required'],
    ['another scheme', ['Bearer abc'], 401, 'authentication_required'],
    ['a scheme that only begins so', ['Basically abc'], 401, 'authentication_required'],
    ['a wrong password', [basic('ann', 'wrong')], 401, 'credential_invalid'],
    ['the password of another', [basic('ann', 'pass:word')], 401, 'credential_invalid'],
    ['an unknown name', [basic('nobody', 'grüße')], 401, 'credential_invalid'],
    ['the id of a consumer without a password', [basic('team', '')], 401, 'credential_invalid'],
    ['an empty name', [basic('', 'x')], 401, 'credential_invalid'],
    ['a name in other letters', [basic('Ann', 'grüße')], 401, 'credential_invalid'],
    ['no colon', [encode(Buffer.from('ann'))], 401, 'credential_invalid'],
    ['no credential', ['Basic'], 401, 'credential_invalid'],
    ['no base64', ['Basic ***'], 401, 'credential_invalid'],
    ['base64 for URLs', ['Basic YW5uOj8_Pz8-'], 401, 'credential_invalid'],
    ['latin1', [encode(Buffer.from('ann:grüße', 'latin1'))], 401, 'credential_invalid'],
    ['a control character', [basic('ann', 'gr\0üße')], 401, 'credential_invalid'],
    ['too long', [basic('ann', 'x'.repeat(4_000))], 401, 'credential_invalid'],
    ['two headers', [basic('ann', 'grüße'), basic('ann', 'grüße')], 400, 'credential_ambiguous'],
  ]
  for (const [title, authorization, status, code] of wrong) {
    test(`that are wrong do not: ${title}`, async () => {
      const response = await get('/plain/a', authorization)
      assert.deepEqual([response.status, response.problem.code], [status, code])
      if (status === 401) {
        assert.equal(
          response.header('www-authenticate'),
          'Basic realm="gatehouse", charset="UTF-8"',
        )
      }
      assert.deepEqual(upstream.since(), [])
    })
  }

  test('are asked for under a name', async () => {
    const response = await get('/named/a', [])
    assert.match(response.header('www-authenticate')!, /^Basic realm="Back \\"office\\""/)
  })
})

describe('who guesses too often', () => {
  test('has to wait, whoever is tried, and however many guesses come at once', async () => {
    const guesses = Array.from({ length: 20 }, (_, count) =>
      get('/address/a', [basic(`user${count}`, 'guess')]),
    )
    const statuses = (await Promise.all(guesses)).map(({ status }) => status)
    // Two are hashed at a time, so that one more than the bound may have been on its way.
    assert.ok(statuses.filter((status) => status === 401).length <= 4, statuses.join(' '))
    const response = await get('/address/a', [basic('victim', 'right')])
    assert.deepEqual([response.status, response.problem.code], [429, 'too_many_failures'])
    const other = await get('/address/a', [basic('victim', 'right')], '127.0.0.2')
    assert.equal(other.status, 200)
  })

  test('is limited by the name as well; who signed in before is not shut out', async () => {
    const victim = () => get('/identity/a', [basic('victim', 'right')])
    assert.equal((await victim()).status, 200)
    for (let count = 0; count < 3; count++) {
      const guess = await get(
        '/identity/a',
        [basic('victim', `guess${count}`)],
        `127.0.0.${3 + count}`,
      )
      assert.equal(guess.status, 401)
    }
    assert.equal((await get('/identity/a', [basic('victim', 'guess')], '127.0.0.9')).status, 429)
    assert.equal((await victim()).status, 200)
    assert.equal((await get('/identity/a', [basic('bob', 'pass:word')])).status, 200)
  })
})

test('past the queue the answer is 503, and nobody who waits is forgotten', async () => {
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, count) => get('/busy/a', [basic('ann', `guess${count}`)])),
  )
  const busy = answers.filter(({ status }) => status === 503)
  for (const { problem } of busy) assert.equal(problem.code, 'credentials_busy')
  assert.equal(busy.length + answers.filter(({ status }) => status === 401).length, 12)
  assert.equal((await get('/busy/a', [basic('ann', 'grüße')])).status, 200)
})
