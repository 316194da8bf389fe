import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { loadDocument } from '../load.ts'

const directory = mkdtempSync(join(tmpdir(), 'gatehouse-mirror-'))
after(() => rmSync(directory, { recursive: true }))

/** A configuration whose only route has this setting. */
async function load(setting: string) {
  const file = join(directory, 'gatehouse.yaml')
  const lines = [
    'listen: http://127.0.0.1:8080',
    'services: { orders: http://127.0.0.1:4001, next: http://127.0.0.1:4002 }',
    'routes:',
    '  - { path: /a, to: next }',
    `  - { path: /b, ${setting} }`,
  ]
  writeFileSync(file, lines.join('\n'))
  return loadDocument(file)
}

test('a short mirror copies safe requests and compares nothing', async () => {
  const { document, problems } = await load('to: orders, mirror: { to: next, share: 0.1 }')
  assert.deepEqual(problems, [])
  const { target } = document!.routes[1]!
  assert.deepEqual(target.kind === 'forward' ? target.mirror : null, {
    service: 'next',
    share: 0.1,
    methods: ['GET', 'HEAD', 'OPTIONS'],
    bodyBytesMax: 1024 ** 2,
    timeoutMs: 30_000,
    inFlightMax: 64,
    compare: null,
  })
})

test('a short comparison is one of statuses', async () => {
  const { document } = await load('to: orders, mirror: { to: next, compare: {} }')
  const { target } = document!.routes[1]!
  assert.deepEqual(target.kind === 'forward' ? target.mirror?.compare : null, {
    status: true,
    headers: [],
    json: null,
    bodyBytesMax: 256 * 1024,
  })
})

test('a mirror may be a URL, which is a service of its own', async () => {
  const { document, problems } = await load('to: orders, mirror: { to: http://127.0.0.1:4003 }')
  assert.deepEqual(problems, [])
  assert.ok(document!.services.some(({ name }) => name === 'http://127.0.0.1:4003'))
})

for (const [setting, problem] of [
  ['to: orders, mirror: { to: nxt }', /^error .*mirror.to: there is no service named "nxt"/],
  ['to: orders, mirror: { to: orders }', /^warning .*mirror.to: "orders" gets every copied/],
  ['to: orders, mirror: { to: ftp://x }', /^error .*mirror.to: /],
  ['to: orders, mirror: { to: next, share: 10 }', /^error .*mirror.share: /],
  ['to: orders, mirror: { to: next, methods: [] }', /^error .*methods: at least one/],
  ['to: orders, mirror: { to: next, methods: [get] }', /^error .*methods\[0\]: .*upper case/],
  [
    'to: orders, mirror: { to: next, compare: { status: false } }',
    /^error .*mirror.compare: this compares nothing/,
  ],
  [
    'to: orders, mirror: { to: next, compare: { json: { ignore: [updatedAt] } } }',
    /^error .*ignore\[0\]: this is not a JSON Pointer/,
  ],
  [
    'to: orders, mirror: { to: next, compare: { json: { ignore: [/a~2] } } }',
    /^error .*ignore\[0\]: this is not a JSON Pointer/,
  ],
  ['respond: {}, mirror: { to: next }', /^error .*mirror: `mirror` has no meaning without `to`/],
] as const) {
  test(`${setting} is told of`, async () => {
    const { problems } = await load(setting)
    const told = problems
      .filter(({ path }) => path !== 'services.orders')
      .map(({ severity, path, message }) => `${severity} ${path}: ${message}`)
    assert.equal(told.length, 1, told.join('\n'))
    assert.match(told[0]!, problem)
  })
}

test('a service that only gets copies is used', async () => {
  const { problems } = await load('to: next, mirror: { to: orders }')
  assert.deepEqual(problems, [])
})
