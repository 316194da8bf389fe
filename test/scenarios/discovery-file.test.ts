// A file of endpoints that others write while the gateway runs.
import assert from 'node:assert/strict'
import { mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { eventually } from '../support/changes.ts'
import { answering, becomes, instances, start } from '../support/changing-gateway.ts'
import { TestFolder } from '../support/tls.ts'

describe('a file of endpoints', () => {
  function folderOf(t: TestContext, first: string) {
    const folder = new TestFolder(t)
    folder.write('endpoints.yaml', first)
    /** As whoever does it well does it. */
    const replace = (text: string): void => {
      renameSync(folder.write('new', text), join(folder.path, 'endpoints.yaml'))
    }
    return { folder, replace }
  }

  const discover = { file: './endpoints.yaml' }

  test('is followed when it is replaced or written in place', async (t) => {
    const [one, two] = await instances(t, 2)
    const { folder, replace } = folderOf(t, `- ${one!.url}\n`)
    const { port } = await start(t, { discover }, folder.path)
    assert.deepEqual(await answering(port), [String(one!.port)])
    replace(`- ${one!.url}\n- { url: ${two!.url}, weight: 3 }\n`)
    await becomes(port, [one!, two!])
    folder.write('endpoints.yaml', JSON.stringify([two!.url]))
    await becomes(port, [two!])
    replace('[]\n')
    await becomes(port, ['503'])
  })

  test('is followed through links that are swapped, as Kubernetes does', async (t) => {
    const [one, two] = await instances(t, 2)
    const folder = new TestFolder(t)
    const version = (name: string, text: string): void => {
      mkdirSync(join(folder.path, name))
      folder.write(`${name}/endpoints.yaml`, text)
      symlinkSync(name, join(folder.path, 'next'))
      renameSync(join(folder.path, 'next'), join(folder.path, '..data'))
    }
    version('v1', `- ${one!.url}\n`)
    symlinkSync('..data/endpoints.yaml', join(folder.path, 'endpoints.yaml'))
    const { port } = await start(t, { discover }, folder.path)
    assert.deepEqual(await answering(port), [String(one!.port)])
    version('v2', `- ${two!.url}\n`)
    await becomes(port, [two!])
  })

  test('with a mistake is reported with its place, and ignored', async (t) => {
    const [one, two] = await instances(t, 2)
    const { folder, replace } = folderOf(t, `- ${one!.url}\n`)
    const { port, said } = await start(t, { discover }, folder.path)
    const file = join(folder.path, 'endpoints.yaml')
    for (const [text, expected] of [
      [`- ${two!.url}\n- { url: ${one!.url}, wieght: 2 }\n`, ':2:34: there is no setting "wieght"'],
      ['- ftp://127.0.0.1\n', ':1:3: this is not a URL that Gatehouse can use'],
      ['- [\n', ':2:1: this is not valid YAML'],
      ['- https://127.0.0.1:1\n', ':1:3: the endpoints of this service begin with http://'],
      ['', ':1:1: the file is empty'],
    ] as const) {
      replace(text)
      await eventually(
        () => said.some((line) => line.includes(`${file}${expected}`)),
        () => `${expected} in ${said.join('\n')}`,
      )
      assert.deepEqual(await answering(port), [String(one!.port)])
    }
    rmSync(file)
    await eventually(
      () => said.some((line) => line.endsWith(`${file} cannot be read: ENOENT`)),
      () => 'a word on the missing file',
    )
    assert.deepEqual(await answering(port), [String(one!.port)])
    replace(`- ${two!.url}\n`)
    await becomes(port, [two!])
  })

  test('that is missing or wrong keeps a gateway from starting', async (t) => {
    const folder = new TestFolder(t)
    const begin = () => start(t, { discover }, folder.path)
    await assert.rejects(
      begin,
      /services\.s\.discover\.file: .*endpoints.yaml cannot be read: ENOENT/,
    )
    folder.write('endpoints.yaml', '- http://127.0.0.1:1\n- nothing\n')
    await assert.rejects(begin, /endpoints\.yaml:2:3: the URL has no scheme/)
    folder.write('endpoints.yaml', `[${'"http://127.0.0.1:1",'.repeat(1001)}]`)
    await assert.rejects(begin, /at most 1000 endpoints; these are 1001/)
    folder.write('endpoints.yaml', `# ${'x'.repeat(300_000)}\n- http://127.0.0.1:1\n`)
    await assert.rejects(begin, /larger than 256kb/)
  })
})
