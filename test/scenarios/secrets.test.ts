// Marked secrets through every policy that takes one: nothing that Gatehouse writes may show them. Logs,
// answers, problems of a configuration, `check`, `explain` and what the admin API shows are searched.
import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { hash } from '@node-rs/bcrypt'
import { stringify } from 'yaml'
import { loadDocument } from '../../src/config/load.ts'
import { loadObject } from '../../src/config/load-object.ts'
import { maskSecrets } from '../../src/config/secrets.ts'
import { main } from '../../src/control/cli/cli.ts'
import { makePaint } from '../../src/control/cli/terminal.ts'
import { createGateway } from '../../src/gateway/gateway.ts'
import { policies } from '../../src/policies/registry.ts'
import type { PolicyLog } from '../../src/proxy/pipeline/policy.ts'
import { RawClient } from '../support/raw-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'

const directory = mkdtempSync(join(tmpdir(), 'gatehouse-secrets-'))
after(() => rmSync(directory, { recursive: true }))

/** A text that nobody else writes. Long enough for every kind of key. */
function marked(what: string): string {
  return `MARK-${what}-${randomBytes(24).toString('hex')}`
}

function tokenOf(secret: string, claims: Record<string, unknown>): string {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signed = `${encode({ alg: 'HS256' })}.${encode(claims)}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

interface Case {
  /** Uses of policies; a string in them that is `\${env:NAME}` stands for a secret. */
  readonly use: readonly unknown[]
  readonly consumers?: Readonly<Record<string, unknown>>
  /** Secrets of the configuration, by the name of their variable. */
  readonly env: Readonly<Record<string, string>>
  /** Field lines of requests, and secrets in them. */
  readonly requests: readonly string[]
  readonly sent: readonly string[]
  /** In the target of all requests. */
  readonly target?: string
}

const password = marked('password')
const wrongPassword = marked('wrong')
const jwtSecret = marked('jwt')
const signature = (token: string): string => token.split('.')[2]!
const good = tokenOf(jwtSecret, { sub: 'ann', exp: Date.now() / 1000 + 60 })
const bad = tokenOf(marked('other'), { sub: 'ann', exp: Date.now() / 1000 + 60 })
const basic = (text: string): string => Buffer.from(`ann:${text}`).toString('base64')
const keys = ['header', 'query', 'cookie'].map((place) => marked(place))
/** Nothing listens there. */
const NOWHERE = 'http://127.0.0.1:9'

const cases: Record<string, Case> = {
  'api-key': {
    use: ['api-key'],
    env: {},
    requests: [`X-Api-Key: ${keys[0]}`, `X-Api-Key: ${keys[1]}\r\nX-Api-Key: ${keys[2]}`],
    sent: keys,
  },
  'basic-auth': {
    use: ['basic-auth'],
    consumers: { ann: { password: await hash(password, 4) } },
    env: {},
    requests: [
      `Authorization: Basic ${basic(password)}`,
      `Authorization: Basic ${basic(wrongPassword)}`,
    ],
    sent: [password, wrongPassword, basic(password), basic(wrongPassword)],
  },
  jwt: {
    use: [
      {
        jwt: {
          secret: '${env:JWT}',
          unchecked: ['iss', 'aud'],
          dpop: 'optional',
          dpopNonce: { secret: '${env:NONCE}' },
        },
      },
    ],
    env: { JWT: jwtSecret, NONCE: marked('nonce') },
    requests: [`Authorization: Bearer ${good}`, `Authorization: Bearer ${bad}`],
    sent: [signature(good), signature(bad)],
  },
  introspection: {
    use: [
      {
        introspection: {
          url: `${NOWHERE}/introspect`,
          clientId: 'gateway',
          clientSecret: '${env:CLIENT}',
          unchecked: ['aud'],
        },
      },
    ],
    env: { CLIENT: marked('introspection') },
    requests: [`Authorization: Bearer ${keys[0]}`],
    sent: [keys[0]!],
  },
  'forward-auth': {
    use: [{ 'forward-auth': { url: `${NOWHERE}/verify` } }],
    env: {},
    requests: [`Authorization: Bearer ${keys[0]}\r\nCookie: session=${keys[1]}`],
    sent: keys.slice(0, 2),
  },
  'oidc-login': {
    use: [
      {
        'oidc-login': {
          issuer: `${NOWHERE}/`,
          clientId: 'shop',
          clientSecret: '${env:CLIENT}',
          publicUrl: 'http://localhost:8080',
          secret: '${env:SEAL}',
        },
      },
    ],
    env: { CLIENT: marked('client'), SEAL: marked('seal') },
    requests: ['Accept: text/html', `Accept: text/html\r\nCookie: session=${keys[0]}`],
    sent: [keys[0]!],
  },
  'http-signature': {
    use: [
      {
        'http-signature': {
          keys: [{ id: 'partner', algorithm: 'hmac-sha256', key: '${env:KEY}' }],
        },
      },
    ],
    env: { KEY: Buffer.from(marked('hmac')).toString('base64') },
    requests: [
      `Signature-Input: s=("@method");created=1;keyid="partner"\r\nSignature: s=:${Buffer.from(keys[0]!).toString('base64')}:`,
    ],
    sent: [Buffer.from(keys[0]!).toString('base64')],
  },
  'upstream-auth': {
    use: [{ 'upstream-auth': { header: { name: 'x-service-key', value: '${env:KEY}' } } }],
    env: { KEY: marked('upstream') },
    requests: [`Authorization: Bearer ${keys[0]}`],
    sent: [keys[0]!],
  },
  'upstream-auth with OAuth': {
    use: [
      {
        'upstream-auth': {
          oauth2: {
            tokenUrl: `${NOWHERE}/token`,
            clientId: 'gateway',
            clientSecret: '${env:CLIENT}',
          },
        },
      },
    ],
    env: { CLIENT: marked('oauth') },
    requests: [`Authorization: Bearer ${keys[0]}`],
    sent: [keys[0]!],
  },
  'access-log': {
    use: ['request-id', { 'access-log': { query: true } }],
    env: {},
    target: `/?token=${keys[0]}&api_key=${keys[1]}`,
    requests: [`Authorization: Bearer ${keys[2]}`],
    sent: keys,
  },
}

/** What was written, and where. */
class Writings {
  readonly texts: [where: string, text: string][] = []

  add(where: string, text: string): void {
    this.texts.push([where, text])
  }

  log(): PolicyLog {
    const write =
      (level: string) =>
      (fields: unknown, message: string): void =>
        this.add(`log (${level})`, `${JSON.stringify(fields)} ${message}`)
    return {
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
      line: (json) => this.add('log', json),
    }
  }

  assertWithout(secrets: readonly string[]): void {
    assert.ok(this.texts.length > 0)
    for (const secret of secrets) {
      for (const [where, text] of this.texts) {
        assert.ok(!text.includes(secret), `${where} shows a secret: ${text.slice(0, 300)}`)
      }
    }
  }
}

async function answer(port: number, target: string, fields: string): Promise<string> {
  const client = await RawClient.connect(port)
  client.send(`GET ${target} HTTP/1.1\r\nHost: localhost\r\n${fields}\r\nConnection: close\r\n\r\n`)
  await client.closed()
  return client.received.toString('latin1')
}

function configurationOf(one: Case, port: number): Record<string, unknown> {
  return {
    listen: 'http://127.0.0.1:0',
    admin: false,
    use: ['access-log']
      .filter((name) => !JSON.stringify(one.use).includes(name))
      .concat(one.use as never),
    ...(one.consumers !== undefined && { consumers: one.consumers }),
    routes: [{ path: '/*', to: `http://127.0.0.1:${port}` }],
  }
}

/** The same with the secrets in their places, as code would write it. */
function inPlace(configuration: unknown, env: Readonly<Record<string, string>>): unknown {
  const text = JSON.stringify(configuration)
  return JSON.parse(text.replaceAll(/\$\{env:([A-Z]+)\}/g, (_, name: string) => env[name]!))
}

async function command(writings: Writings, ...args: string[]): Promise<void> {
  const write = (text: string): void => writings.add(`gatehouse ${args[0]}`, text)
  const paint = makePaint(false)
  await main(args, { cwd: directory, out: write, err: write, paint, errPaint: paint })
}

for (const [name, one] of Object.entries(cases)) {
  describe(name, () => {
    const secrets = [...Object.values(one.env), ...one.sent]

    test('shows no secret to who reads logs and answers', async (t) => {
      const writings = new Writings()
      const upstream = await RecordingUpstream.start(async (connection) => {
        await connection.request()
        await connection.answer('ok')
      })
      t.after(() => upstream.close())
      const configuration = inPlace(configurationOf(one, upstream.port), one.env)
      const gateway = await createGateway(configuration as never, { log: writings.log() })
      t.after(() => gateway.close())
      await gateway.start()
      const { port } = gateway.addresses[0]!
      for (const fields of one.requests) {
        writings.add('an answer', await answer(port, one.target ?? '/', fields))
      }
      writings.assertWithout(secrets)
    })

    test('shows no secret to who steers the gateway', async (t) => {
      const writings = new Writings()
      const before = { ...process.env }
      Object.assign(process.env, one.env)
      t.after(() => {
        process.env = before
      })
      const written = configurationOf(one, 1)
      const file = join(directory, 'gatehouse.yaml')
      writeFileSync(file, stringify(written))
      const { document, problems } = await loadDocument(file)
      assert.deepEqual(
        problems.filter(({ severity }) => severity === 'error'),
        [],
      )
      writings.add('/config', JSON.stringify(maskSecrets(document!)))
      const inline = await loadObject(inPlace(written, one.env) as never)
      writings.add('/config', JSON.stringify(maskSecrets(inline.document)))
      for (const fields of one.requests) {
        const headers = fields.split('\r\n').flatMap((line) => ['-H', line])
        await command(writings, 'explain', 'GET', one.target ?? '/', ...headers)
      }
      // The same values where none of them fits.
      const misplaced = Object.keys(one.env).map((variable) => `\${env:${variable}}`)
      writeFileSync(
        file,
        stringify({ ...written, threads: misplaced, via: misplaced, nonsense: misplaced }),
      )
      await command(writings, 'check')
      await command(writings, 'check', '--json')
      writings.assertWithout(secrets)
    })
  })
}

test('every policy that says whose credentials it takes is among them', () => {
  const seen = new Set(
    Object.values(cases).flatMap(({ use }) =>
      use.flatMap((entry) => (typeof entry === 'string' ? [entry] : Object.keys(entry as object))),
    ),
  )
  for (const { name, provides } of policies) {
    if (name === 'any-of' || provides?.includes('consumer') !== true) continue
    assert.ok(seen.has(name), `${name} has no case here`)
  }
})
