// Endpoints that code of others finds, and what that code may do to the gateway: nothing.
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { eventually } from '../support/changes.ts'
import { answering, becomes, instances, start } from '../support/changing-gateway.ts'
import { ask } from '../support/fleet.ts'
import { TestFolder } from '../support/tls.ts'

describe('a module that finds endpoints', () => {
  const module = `
import { readFileSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'
import { z } from 'zod'
export default {
  settings: z.strictObject({ file: z.string() }),
  watch({ file }, { signal, publish, fail }) {
    const look = () => {
      const text = readFileSync(file, 'utf8')
      if (text.startsWith('throw')) throw new Error('thrown')
      if (text.startsWith('later')) setTimeout(() => { throw new Error('thrown later') })
      if (text.startsWith('loop')) for (;;) publish([])
      if (text.startsWith('post')) {
        for (const odd of ['x', null, {}]) parentPort.postMessage(odd)
        fail('posted')
      }
      if (text.startsWith('fail')) fail(new Error('the registry is away'))
      if (text.startsWith('[')) publish(JSON.parse(text))
    }
    const timer = setInterval(look, 50)
    signal.addEventListener('abort', () => clearInterval(timer))
    look()
  },
}
`
  function folderOf(t: TestContext, first: unknown) {
    const folder = new TestFolder(t)
    // Next to the packages of this project, so that it finds zod.
    const path = join(import.meta.dirname, `discovery-${process.pid}-${Date.now()}.mjs`)
    writeFileSync(path, module)
    t.after(() => rmSync(path, { force: true }))
    const say = (text: unknown): string =>
      folder.write('said', typeof text === 'string' ? text : JSON.stringify(text))
    const file = say(first)
    return { discover: { module: path, settings: { file } }, say, path }
  }

  test('publishes them, and what it gets wrong changes nothing', async (t) => {
    const [one, two] = await instances(t, 2)
    const { discover, say } = folderOf(t, [one!.url])
    const { port, said } = await start(t, { discover })
    assert.deepEqual(await answering(port), [String(one!.port)])
    for (const [text, expected] of [
      ['post', /^the endpoints of s: posted$/],
      ['fail', /^the endpoints of s: the registry is away$/],
      [
        [{ url: 'nothing' }],
        /what it published cannot be used: endpoints\[0\]\.url: the URL has no scheme/,
      ],
      ['throw', /^the endpoints of s: thrown$/],
      ['later', /^the endpoints of s: thrown later$/],
    ] as const) {
      say(text)
      await eventually(
        () => said.some((line) => expected.test(line)),
        () => `${expected} in ${said.join('\n')}`,
      )
      assert.deepEqual(await answering(port), [String(one!.port)])
    }
    say([one!.url, { url: two!.url, weight: 2, zone: 'north' }])
    await becomes(port, [one!, two!])
  })

  test('that never comes back holds up nobody', async (t) => {
    const [one] = await instances(t, 1)
    const { discover, say } = folderOf(t, [one!.url])
    const { port, apply } = await start(t, { discover })
    assert.deepEqual(await answering(port), [String(one!.port)])
    say('loop')
    for (let i = 0; i < 20; i++) assert.equal((await ask(port)).status, 200)
    await apply({ url: one!.url })
    assert.deepEqual(await answering(port), [String(one!.port)])
  })

  test('is looked at before anything starts', async (t) => {
    const { discover, path } = folderOf(t, [])
    const settings = { fiel: 'x' }
    await assert.rejects(
      () => start(t, { discover: { ...discover, settings } }),
      /discover\.settings\.fiel: there is no setting "fiel" here \(did you mean file\?\)/,
    )
    writeFileSync(path.replace('.mjs', '-2.mjs'), 'export default {}')
    t.after(() => rmSync(path.replace('.mjs', '-2.mjs')))
    const other = { ...discover, module: path.replace('.mjs', '-2.mjs') }
    await assert.rejects(
      () => start(t, { discover: other }),
      /discover\.module: the module does not `export default defineDiscovery/,
    )
    await assert.rejects(
      () => start(t, { discover: { module: './nowhere.ts' } }),
      /discover\.module: the module could not be loaded/,
    )
  })
})
