import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { loadDocument } from '../load.ts'

const directory = mkdtempSync(join(tmpdir(), 'gatehouse-discovery-'))
after(() => rmSync(directory, { recursive: true }))

/** Loads a gateway with this service. */
async function load(service: string, env: Record<string, string> = {}, more = '') {
  const file = join(directory, 'gatehouse.yaml')
  const text = `listen: http://127.0.0.1:0\n${more}\nservices:\n  s: ${service}\nroutes: [{ to: s }]\n`
  writeFileSync(file, text)
  const { document, problems } = await loadDocument(file, { env })
  const told = problems.map(
    ({ line, column, path, message }) =>
      `${line}:${column} ${path}: ${message.replaceAll(directory, '.')}`,
  )
  return { document, told }
}

describe('a service that finds its endpoints', () => {
  test('does so in one way, by http or https', async () => {
    const { document, told } = await load(
      '{ discover: { srv: _HTTPS._tcp.Shop.test, scheme: https }, tls: { serverName: shop.test } }',
    )
    assert.deepEqual(told, [])
    const { discover, endpoints, tls } = document!.services[0]!
    assert.deepEqual([discover, endpoints], [{ kind: 'srv', name: '_https._tcp.shop.test' }, []])
    assert.equal(tls?.serverName, 'shop.test')
  })

  for (const [service, problem] of [
    [
      '{ discover: {} }',
      '4:18 services.s.discover: `discover` has either `srv`, `file` or `module`',
    ],
    [
      '{ discover: { srv: a.test, file: b } }',
      '4:18 services.s.discover: `discover` has either `srv`, `file` or `module`',
    ],
    [
      '{ discover: { srv: a.test, settings: {} } }',
      '4:18 services.s.discover: `settings` are for a `module`',
    ],
    [
      '{ discover: { srv: a b } }',
      '4:25 services.s.discover.srv: this is not a name that can be looked up',
    ],
    [
      '{ url: "http://a.test", discover: { srv: a.test } }',
      '4:6 services.s: a service has either `url`, `endpoints` or `discover`',
    ],
    [
      '{ discover: { module: no-such-package-anywhere } }',
      '4:18 services.s.discover: there is no module "no-such-package-anywhere"',
    ],
    [
      '{ discover: { srv: a.test }, tls: {} }',
      '4:6 services.s: `tls` is set, but the endpoints are http',
    ],
    [
      '{ url: "http://a.test", identity: { path: whoami, header: x-service } }',
      '4:48 services.s.identity.path: must begin with / and hold no space',
    ],
  ] as const) {
    test(`not like this: ${service}`, async () => {
      const { document, told } = await load(service)
      assert.equal(document, null)
      assert.ok(told.includes(problem), told.join('\n'))
    })
  }

  test('in a file with mistakes hears of each at its place', async () => {
    writeFileSync(
      join(directory, 'list.yaml'),
      '- http://127.0.0.1:1\n- { weight: 2 }\n- { url: 5 }\n',
    )
    const { told } = await load('{ discover: { file: ./list.yaml } }')
    assert.deepEqual(told, [
      '4:26 services.s.discover.file: ./list.yaml:2:3: `url` is missing',
      '4:26 services.s.discover.file: ./list.yaml:3:10: a number does not fit here; expected text',
    ])
  })
})

describe('a zone', () => {
  const service = '{ endpoints: [{ url: "http://127.0.0.1:1", zone: south }] }'

  test('is that of the file, else that of the environment, else none', async () => {
    const zoneOf = async (more: string, env: Record<string, string>) =>
      (await load(service, env, more)).document?.zone
    assert.equal(await zoneOf('zone: north', { GATEHOUSE_ZONE: 'south' }), 'north')
    assert.equal(await zoneOf('', { GATEHOUSE_ZONE: 'south' }), 'south')
    assert.equal(await zoneOf('', { GATEHOUSE_ZONE: '' }), null)
    assert.equal(await zoneOf('', {}), null)
  })

  test('of the environment has the form of a name', async () => {
    const { document, told } = await load(service, { GATEHOUSE_ZONE: 'a b' })
    assert.equal(document, null)
    assert.match(told[0]!, /GATEHOUSE_ZONE of the environment is not a name of a zone/)
  })

  test('has no meaning for a hash', async () => {
    const hashed = service.replace(' }] }', ' }], balance: { hash: { by: path } } }')
    const { document, told } = await load(hashed)
    assert.notEqual(document, null)
    assert.match(told[0]!, /a hash sends each key to one endpoint, in whatever zone that is/)
  })
})
