// What the documents say about the tree is true: links lead somewhere, configurations are the real ones.
import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')

test('every link to a file leads to one', () => {
  const documents = globSync(['*.md', '{docs,examples,src,bench}/**/*.md'], { cwd: root })
  const broken = documents.flatMap((document) =>
    [...read(document).matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, link]) => link!.replace(/#.*/, ''))
      .filter((link) => link !== '' && !/^[a-z]+:/.test(link))
      .filter((link) => !existsSync(join(root, dirname(document), link)))
      .map((link) => `${document}: ${link}`),
  )
  assert.deepEqual(broken, [])
})

test('every source file that the architecture names is there', () => {
  const text = read('docs/ARCHITECTURE.md')
  const named = [...text.matchAll(/`([a-z0-9/-]+(?:\.ts|\/))`/g)].map(([, path]) => path!)
  const missing = named.filter(
    (path) =>
      !existsSync(join(root, 'src', path)) && !existsSync(join(root, path)) && path !== 'run.ts',
  )
  assert.deepEqual(missing, [])
})

test("the shop's configuration in the documents is the one that runs", () => {
  const file = read('examples/shop/gatehouse.yaml')
  const configuration = file.slice(file.indexOf('\nlisten:') + 1)
  for (const document of ['README.md', 'docs/guide/getting-started.md']) {
    assert.ok(read(document).includes(`\`\`\`yaml\n${configuration}\`\`\``), document)
  }
})

test("the lines in the guide are those on the shop's screen", async () => {
  const { screen } = await import('../examples/shop/screen.ts')
  const gateway = { port: 8080, adminPort: 9901, pid: 1, logPath: '' }
  const lines = screen(gateway, []).match(/(?<=^ {4})curl .*?(?=\s*(?:# .*)?$)/gm)!
  assert.equal(lines.length, 7)
  const guide = read('docs/guide/getting-started.md')
  for (const line of lines) assert.ok(guide.includes(`\n${line}\n`), line)
})
