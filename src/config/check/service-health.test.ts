import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { loadDocument } from '../load.ts'

const directory = mkdtempSync(join(tmpdir(), 'gatehouse-health-'))
after(() => rmSync(directory, { recursive: true }))

/** The problems of a service with these settings, beside a healthy one named `spare`. */
async function problemsOf(settings: string, ofRoute = ''): Promise<string[]> {
  const file = join(directory, 'gatehouse.yaml')
  const lines = [
    'listen: http://127.0.0.1:8080',
    'services:',
    '  spare: http://127.0.0.1:4001',
    `  a: { url: http://127.0.0.1:4002, ${settings} }`,
    `routes: [{ to: a, ${ofRoute} }]`,
  ]
  writeFileSync(file, lines.join('\n'))
  const { problems } = await loadDocument(file)
  return problems
    .filter(({ path }) => path !== 'services.spare')
    .map(
      ({ severity, path, message }) => `${severity} ${path.replace('services.a.', '')}: ${message}`,
    )
}

for (const [settings, problem] of [
  ['breaker: { fallback: { to: spar } }', /^error breaker.fallback.to: .*no service named "spar"/],
  ['breaker: { fallback: { to: a } }', /^error breaker.fallback.to: .*itself/],
  ['breaker: { fallback: {} }', /^error breaker.fallback: .*either `to` or `status`/],
  ['timeouts: { attempt: 30s }', /^warning timeouts.attempt: .*response timeout of 30s/],
  ['retries: { on: [connect, timeout] }', /^warning retries.on\[1\]: .*never happens/],
  ['retries: { methods: [GET, POST] }', /^warning retries.methods\[1\]: .*done twice/],
  ['hedge: { after: 30s }', /^warning hedge.after: .*ends after 30s/],
  ['timeouts: { attempt: 1s }, hedge: { after: 2s }', /^warning hedge.after: .*ends after 1s/],
  ['hedge: { after: p49 }', /^error hedge.after: /],
  ['hedge: { after: p100 }', /^error hedge.after: /],
  ['hedge: { max: 2 }', /^error hedge.after: .*missing/],
  [
    'hedge: { after: p95 }, sticky: { secret: "a secret of at least 32 characters" }',
    /^error .*`hedge` asks other endpoints/,
  ],
  ['retries: { on: [404] }', /^error retries.on\[0\]: /],
  ['retries: { backoff: { base: 1s } }', /^error retries: .*longer than `backoff.max`/],
  ['health: { body: ok }', /^error health: .*needs a `path`/],
  ['health: { path: health }', /^error health.path: /],
  ['health: { path: /, status: 299-200 }', /^error health.status/],
  ['ejection: { time: 10m }', /^error ejection: .*longer than `timeMax`/],
  ['ejection: true', /^error ejection: /],
  ['ejection: { share: 2 }', /^error ejection.share: /],
] as const) {
  test(`${settings} is told of`, async () => {
    const problems = await problemsOf(settings)
    assert.equal(problems.length, 1, problems.join('\n'))
    assert.match(problems[0]!, problem)
  })
}

for (const [settings, problem] of [
  ['retries: { methods: [POST] }', /^warning routes\[0\].retries.methods\[0\]: .*done twice/],
  ['retries: { budget: { share: 1 } }', /^error routes\[0\].retries.budget: /],
  ['retries: { backoff: { base: 2s, max: 1s } }', /^error routes\[0\].retries: .*longer/],
  ['retries: true', /^error routes\[0\].retries: /],
] as const) {
  test(`${settings} of a route is told of`, async () => {
    const problems = await problemsOf('', settings)
    assert.equal(problems.length, 1, problems.join('\n'))
    assert.match(problems[0]!, problem)
  })
}

test('a service that only stands in for another is used', async () => {
  assert.deepEqual(await problemsOf('breaker: { fallback: { to: spare } }'), [])
  assert.deepEqual(await problemsOf('ejection: false, health: { path: /, status: [200, 204] }'), [])
  const timeouts = 'timeouts: { exchange: 1s, attempt: 250ms }'
  assert.deepEqual(await problemsOf(timeouts), [])
})
