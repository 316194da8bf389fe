import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { loadDocument } from './load.ts'
import { loadInWorker } from './load-worker.ts'

const directory = mkdtempSync(join(tmpdir(), 'gatehouse-plugins-'))
after(() => rmSync(directory, { recursive: true }))
mkdirSync(join(directory, 'node_modules'))
symlinkSync(
  join(import.meta.dirname, '../../node_modules/zod'),
  join(directory, 'node_modules/zod'),
)

function write(name: string, text: string): string {
  const file = join(directory, name)
  mkdirSync(join(file, '..'), { recursive: true })
  writeFileSync(file, text)
  return file
}

const policy = (name: string, more = '') => `{
  name: '${name}',
  summary: 'Stamps.',
  settings: z.strictObject({ text: z.string() }),
  examples: [],
  create: () => ({}),
  ${more}
}`
const module = (body: string) => `import { z } from 'zod'\n${body}\n`

write(
  'stamp.ts',
  module(`const summary: string = 'a'\nexport default { ...${policy('stamp')}, summary }`),
)
write(
  'node_modules/several/package.json',
  '{ "name": "several", "type": "module", "exports": { "import": "./main.js" } }',
)
write(
  'node_modules/several/main.js',
  module(`export const policies = [${policy('one')}, ${policy('two', "needs: ['x']")}]`),
)
write('wrong.ts', 'export default { name: 1 }')
write('nothing.ts', 'export const a = 1')
write('throws.ts', "throw new Error('no luck')")
write('cors.ts', module(`export default ${policy('cors')}`))

function configuration(plugins: string, use: string): string {
  return write(
    'gatehouse.yaml',
    `listen: http://127.0.0.1:0\nplugins: ${plugins}\nroutes:\n  - { respond: {}, use: ${use} }\n`,
  )
}

describe('policies of plugins', () => {
  test('come from local files and packages, with their settings', async () => {
    const file = configuration(
      '[./stamp.ts, several]',
      '[{ stamp: { text: a } }, { one: { text: b } }]',
    )
    const { document, problems } = await loadDocument(file)
    assert.deepEqual(problems, [])
    assert.deepEqual(
      document!.plugins,
      ['stamp.ts', 'node_modules/several/main.js'].map(
        (path) => pathToFileURL(join(directory, path)).href,
      ),
    )
    assert.deepEqual(
      document!.routes[0]!.use.map(({ policy: name, settings }) => [name, settings]),
      [
        ['stamp', { text: 'a' }],
        ['one', { text: 'b' }],
      ],
    )
  })

  test('are known where settings, names and needs are wrong', async () => {
    const { problems } = await loadDocument(
      configuration('[./stamp.ts, several]', '[{ stamp: { txt: a } }, { two: { text: b } }, stam]'),
    )
    assert.deepEqual(
      problems.map(({ path, message, suggestion }) => `${path}: ${suggestion ?? message}`),
      [
        'routes[0].use[0].stamp.text: `text` is missing',
        'routes[0].use[0].stamp.txt: text',
        'routes[0].use[2]: stamp',
      ],
    )
  })

  test('a need that nothing before meets names both', async () => {
    const { problems } = await loadDocument(configuration('[several]', '[{ two: { text: b } }]'))
    assert.match(problems[0]!.message, /"two" needs "x", and no policy before it provides that/)
  })

  test('may be alternatives of any-of if they find out who calls, and no others', async () => {
    write(
      'who.ts',
      module(
        `export const policies = [${policy('who', "provides: ['consumer']")}, ${policy('what')}]`,
      ),
    )
    const problemsOf = async (alternative: string) => {
      const of = `[${alternative}, { jwt: { issuer: 'https://id.example/', audience: a } }]`
      const file = configuration('[./who.ts]', `[any-of: { of: ${of} }]`)
      return (await loadDocument(file)).problems.map(({ path, message }) => `${path}: ${message}`)
    }
    assert.deepEqual(await problemsOf('{ who: { text: a } }'), [])
    assert.match((await problemsOf('{ who: { text: 1 } }'))[0]!, /of\[0\].*/)
    assert.match(
      (await problemsOf('{ what: { text: a } }'))[0]!,
      /of\[0\]: one entry names one policy/,
    )
    assert.equal((await problemsOf('who')).length, 1, 'it needs settings')
  })

  test('modules that cannot be used are problems at their place', async () => {
    const plugins =
      '[./wrong.ts, ./nothing.ts, ./throws.ts, ./absent.ts, absent-package, ./cors.ts]'
    const { problems } = await loadDocument(configuration(plugins, '[]'))
    const patterns = [
      /not a policy/,
      /exports no policy/,
      /no luck/,
      /Cannot find/,
      /Cannot find/,
      /Gatehouse itself/,
    ]
    assert.equal(problems.length, patterns.length)
    for (const [index, pattern] of patterns.entries()) {
      assert.equal(problems[index]!.path, `plugins[${index}]`)
      assert.match(problems[index]!.message, pattern)
    }
  })
})

describe('a configuration in TypeScript', () => {
  test('is its default export', async () => {
    const file = write(
      'gatehouse.config.ts',
      `const port: number = 4001
export default { listen: 'http://127.0.0.1:0', threads: undefined, routes: [{ to: \`http://127.0.0.1:\${port}\` }] }`,
    )
    const { document, problems } = await loadDocument(file)
    assert.deepEqual(problems, [])
    assert.equal(document!.services[0]!.endpoints[0]!.port, 4001)
  })

  for (const [title, text, pattern] of [
    ['without a default export', 'export const a = 1', /no default export/],
    ['that throws', "throw new Error('no luck')", /no luck/],
    ['with a function in it', 'export default { listen: () => 1 }', /^listen: .*a function/],
    [
      'with an instance in it',
      'export default { routes: [new Map()] }',
      /^routes\[0\]: .*instance of Map/,
    ],
    ['that holds itself', 'const a: any = {}; a.b = a; export default a', /holds itself/],
    ['with a mistake', "export default { listen: 'x', routes: [] }", /^listen: /],
  ] as const) {
    test(`${title} is refused`, async () => {
      const { document, problems } = await loadDocument(
        write(`${title.replaceAll(' ', '-')}.config.ts`, text),
      )
      assert.equal(document, null)
      assert.match(`${problems[0]!.path}: ${problems[0]!.message}`, pattern)
    })
  }
})

describe('loading in a worker', () => {
  test('gives the same document, and forgets the code it imported', async () => {
    const file = write(
      'changing.config.ts',
      "export default { listen: 'http://127.0.0.1:1', routes: [{ respond: {} }] }",
    )
    const first = await loadInWorker(file)
    assert.deepEqual(first, await loadDocument(file))
    write(
      'changing.config.ts',
      "export default { listen: 'http://127.0.0.1:2', routes: [{ respond: {} }] }",
    )
    const second = await loadInWorker(file)
    assert.deepEqual(
      [first, second].map(({ document }) => document!.listeners[0]!.port),
      [1, 2],
    )
  })

  /** Longer than a busy machine takes to start a worker and import what it needs. */
  const PATIENCE_MS = 60_000

  test('ends code that exits, throws or never ends', async () => {
    const outcomes = [
      [write('exits.config.ts', 'process.exit(3)'), /ended early, with code 3/, PATIENCE_MS],
      [
        write(
          'late.config.ts',
          "setTimeout(() => { throw new Error('late') }); await new Promise((r) => setTimeout(r, 60_000)); export default {}",
        ),
        /late/,
        PATIENCE_MS,
      ],
      [write('endless.config.ts', 'for (;;) {}'), /took longer than 1000 ms/, 1_000],
    ] as const
    for (const [file, pattern, timeoutMs] of outcomes) {
      const { document, problems } = await loadInWorker(file, timeoutMs)
      assert.equal(document, null)
      assert.match(problems[0]!.message, pattern)
    }
  })
})
