import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { loadDocument } from '../load.ts'

const directory = mkdtempSync(join(tmpdir(), 'gatehouse-concurrency-'))
after(() => rmSync(directory, { recursive: true }))

async function load(settings: string, more = '') {
  const file = join(directory, 'gatehouse.yaml')
  const lines = [
    'listen: http://127.0.0.1:8080',
    `services: { a: { url: http://127.0.0.1:4002, ${settings} } }`,
    'routes: [{ to: a }]',
    more,
  ]
  writeFileSync(file, lines.join('\n'))
  const { document, problems } = await loadDocument(file)
  return {
    concurrency: document?.services[0]?.concurrency,
    problems: problems.map(
      ({ severity, path, message }) => `${severity} ${path.replace('services.a.', '')}: ${message}`,
    ),
  }
}

for (const [settings, problem] of [
  ['concurrency: 0', /^error concurrency/],
  ['concurrency: { queue: { max: 5 } }', /^error concurrency: there is no limit/],
  ['concurrency: { limit: 5, adaptive: gradient }', /^error concurrency: .*keep one/],
  ['concurrency: { limit: 5, max: 9 }', /^error concurrency: `max` belongs to/],
  ['concurrency: { adaptive: gradient, min: 9, max: 5 }', /^error concurrency: `min` is greater/],
  ['concurrency: { adaptive: gradient, latency: 1s }', /^error concurrency: .*takes a `tolerance`/],
  ['concurrency: { adaptive: aimd }', /^error concurrency: .*needs the `latency`/],
  ['concurrency: { adaptive: aimd, latency: 1s, tolerance: 2 }', /^error concurrency: /],
  ['connections: { max: 5 }, concurrency: 6', /^warning concurrency: .*more than 5 connections/],
  [
    'timeouts: { exchange: 1s, response: 900ms }, concurrency: 6',
    /^warning concurrency: .*after 1s/,
  ],
] as const) {
  test(`${settings} is told of`, async () => {
    const { problems } = await load(settings)
    assert.equal(problems.length, 1, problems.join('\n'))
    assert.match(problems[0]!, problem)
  })
}

test('the short forms have every default', async () => {
  const queue = { queueMax: 100, queueTimeoutMs: 1000 }
  const fixed = await load('concurrency: 200')
  assert.deepEqual(fixed.problems, [])
  assert.deepEqual(fixed.concurrency, { limit: 200, adaptive: null, ...queue })
  const gradient = { algorithm: 'gradient', min: 4, max: 1000, tolerance: 1.5, latencyMs: 0 }
  const adaptive = await load('concurrency: { adaptive: gradient }')
  assert.deepEqual(adaptive.concurrency, { limit: null, adaptive: gradient, ...queue })
  const low = await load('concurrency: { adaptive: gradient, max: 3, queue: { max: 0 } }')
  assert.deepEqual([low.concurrency?.adaptive?.min, low.problems], [3, []])
})

test('overload is turned off, or set', async () => {
  assert.deepEqual((await load('concurrency: 5', 'overload: false')).problems, [])
  const { problems } = await load('concurrency: 5', 'overload: { memory: 1.5 }')
  assert.match(problems[0]!, /^error overload.memory: /)
})
