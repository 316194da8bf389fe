import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { loadDocument } from './load.ts'

const directory = mkdtempSync(join(tmpdir(), 'gatehouse-load-'))
after(() => rmSync(directory, { recursive: true }))

let count = 0
async function load(text: string, ending = 'yaml') {
  const file = join(directory, `${++count}.${ending}`)
  writeFileSync(file, text)
  return loadDocument(file)
}

describe('what is right', () => {
  test('anchors and merged maps', async () => {
    const { document, problems } = await load(`listen: http://127.0.0.1:0
services:
  a: &common { url: http://127.0.0.1:1, timeout: 3s }
  b: { <<: *common, url: http://127.0.0.1:2 }
routes: [{ path: /a, to: a }, { path: /b, to: b }]`)
    assert.deepEqual(problems, [])
    assert.deepEqual(
      document!.services.map(({ endpoints, timeouts }) => [
        endpoints[0]!.port,
        timeouts.responseMs,
      ]),
      [
        [1, 3000],
        [2, 3000],
      ],
    )
  })

  test('a problem in what an alias stands for is where that is written', async () => {
    const { problems } = await load(`listen: http://127.0.0.1:0
services:
  a: &common { url: http://127.0.0.1:1, timeout: 3 }
  b: *common
routes: [{ path: /a, to: a }, { path: /b, to: b }]`)
    const places = problems.map(({ path, line, column }) => [path, line, column])
    assert.deepEqual(places, [
      ['services.a.timeout', 3, 50],
      ['services.b.timeout', 3, 50],
    ])
  })

  test('JSON, indented by tabs', async () => {
    const text =
      '{\n\t"listen": "http://127.0.0.1:0",\n\t"routes": [{ "to": "http://127.0.0.1:1" }]\n}'
    const { document, problems } = await load(text, 'json')
    assert.deepEqual(problems, [])
    assert.equal(document!.listeners[0]!.port, 0)
  })

  test('ten thousand routes', async () => {
    const routes = Array.from(
      { length: 10_000 },
      (_, i) => `  - { path: /r${i}/*, to: a, use: [request-id] }`,
    )
    const text = `listen: http://127.0.0.1:0\nservices: { a: http://127.0.0.1:1 }\nroutes:\n${routes.join('\n')}`
    const { document, problems } = await load(text)
    assert.deepEqual(problems, [])
    assert.equal(document!.routes.length, 10_000)
  })
})
