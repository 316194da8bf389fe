// Fails when the code leaves the layout of docs/ARCHITECTURE.md. Each rule is tried on small trees
// that break it, then on the project.
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import * as rules from './architecture/rules.ts'
import { functionsOf, importsOf, maskText } from './architecture/source-text.ts'

const root = join(import.meta.dirname, '..')

function readProject(): rules.Tree {
  const files = globSync(['src/**/*.{ts,md}', '{test,bench,scripts,examples}/**/*.ts'], {
    cwd: root,
  })
  const tree = new Map<string, string>()
  for (const file of ['package.json', ...files])
    tree.set(file, readFileSync(join(root, file), 'utf8'))
  return tree
}

function tree(files: Record<string, string>): rules.Tree {
  return new Map(Object.entries(files))
}

const lines = (count: number) => 'run()\n'.repeat(count)

describe('the scanner', () => {
  test('keeps code and positions, and blanks what is not code', () => {
    const text = `a('x{') // {\nb(\`{\${c('}')}}\`) /* { */ / d`
    const masked = maskText(text)
    assert.equal(masked, `a('xx')     \nb(\`x\${c('x')}x\`)         / d`)
    assert.equal(masked.length, text.length)
  })

  test('tells a regular expression from a division', () => {
    assert.equal(maskText("x = /[/'{]/.test(y)"), 'x = /xxxxx/.test(y)')
    assert.equal(maskText("return /'/"), 'return /x/')
    assert.equal(maskText("a / b + '/'"), "a / b + 'x'")
    assert.equal(maskText("(a) / b / '{'"), "(a) / b / 'x'")
  })

  test('finds every kind of import, and none in a string or a comment', () => {
    const text = `
      import type { A } from './a.ts'
      import {
        b,
      } from "./b.ts"
      import './c.ts'
      export { d } from './d.ts'
      const e = await import('./e.ts')
      type F = import('./f.ts').F
      // import './no.ts'
      const g = "import './no.ts'"
    `
    const found = ['./a.ts', './b.ts', './c.ts', './d.ts', './e.ts', './f.ts']
    assert.deepEqual(importsOf(text), found)
  })

  test('measures functions, whatever their types look like, and no other blocks', () => {
    const text = `
      function plain(a: { b: string }): { c: number } {
        if (a.b) {
          ${lines(3)}
        }
        return { c: 1 }
      }
      class Some<T extends object> {
        method(): Promise<{ d: T }> {
          return new Promise((resolve) => {
            resolve({ d: {} as T })
          })
        }
      }
    `
    const found = functionsOf(text).sort((a, b) => a.line - b.line)
    assert.deepEqual(
      found.map(({ lines }) => lines),
      [9, 5, 3],
    )
  })
})

describe('each rule sees what breaks it', () => {
  const broken: Record<string, [rule: rules.Rule, files: Record<string, string>, problem: RegExp]> =
    {
      'an upward import': [
        rules.importsGoDown,
        {
          'src/proxy/http/a.ts': "import type { X } from '../router/b.ts'",
          'src/proxy/router/b.ts': '',
        },
        /^src\/proxy\/http\/a.ts \(rank 2\) imports src\/proxy\/router\/b.ts \(rank 3\)$/,
      ],
      'a sideways import': [
        rules.importsGoDown,
        { 'src/proxy/router/a.ts': "import '../upstream/b.ts'", 'src/proxy/upstream/b.ts': '' },
        /rank 3.*rank 3/,
      ],
      'an import of a test': [
        rules.importsGoDown,
        { 'src/lib/a.ts': "import './b.test.ts'", 'src/lib/b.test.ts': '' },
        /for tests/,
      ],
      'an import from outside src': [
        rules.importsGoDown,
        { 'src/lib/a.ts': "import '../../test/support/b.ts'" },
        /not in src/,
      ],
      'a file in no layer': [rules.everyFileHasARank, { 'src/other/a.ts': '' }, /no layer/],
      'a cycle, even of types only': [
        rules.noCycles,
        {
          'src/lib/a.ts': "import type { B } from './b.ts'",
          'src/lib/b.ts': "import './c.ts'",
          'src/lib/c.ts': "import type { A } from './a.ts'",
        },
        /^cycle: src\/lib\/a.ts -> src\/lib\/b.ts -> src\/lib\/c.ts -> src\/lib\/a.ts$/,
      ],
      'a policy that imports another': [
        rules.policiesStandAlone,
        { 'src/policies/a/a.ts': "import '../b/b.ts'", 'src/policies/b/b.ts': '' },
        /src\/policies\/a\/a.ts imports another policy/,
      ],
      'a policy without a test': [
        rules.policiesAreComplete,
        {
          'src/policies/registry.ts': "import { a } from './a/a.ts'",
          'src/policies/a/a.ts': '',
          'src/policies/a/a.md': '',
        },
        /a.test.ts is missing/,
      ],
      'a policy that is not registered': [
        rules.policiesAreComplete,
        { 'src/policies/a/a.ts': '', 'src/policies/a/a.test.ts': '', 'src/policies/a/a.md': '' },
        /not in the registry/,
      ],
      'a barrel': [
        rules.noBarrels,
        {
          'src/lib/all.ts': "// All.\nexport { a } from './a.ts'\nexport type { B } from './b.ts'",
        },
        /is a barrel/,
      ],
      'a star export': [
        rules.noBarrels,
        { 'src/lib/all.ts': "export const own = 1\nexport * from './a.ts'" },
        /re-exports everything/,
      ],
      'a file name that says nothing': [
        rules.namesSaySomething,
        { 'src/lib/string-reader.ts': '', 'src/lib/utils.ts': '' },
        /^src\/lib\/utils.ts/,
      ],
      'a folder name that says nothing': [
        rules.namesSaySomething,
        { 'src/config/helpers/a.ts': '' },
        /says nothing/,
      ],
      'a file name in capitals': [
        rules.namesSaySomething,
        { 'src/lib/RingBuffer.ts': '' },
        /lower case/,
      ],
      'a long file': [rules.filesAreShort, { 'src/lib/a.ts': lines(401) }, /401 lines/],
      'a long function': [
        rules.functionsAreShort,
        { 'src/lib/a.ts': `function f() {\n${lines(68)}}\nfunction g() {\n${lines(69)}}\n` },
        /^src\/lib\/a.ts:71: a function of 71 lines$/,
      ],
      'work put off': [
        rules.nothingIsPutOff,
        { 'src/lib/a.ts': `const a = 1\n// ${'TO'}${'DO'}: finish` },
        /^src\/lib\/a.ts:2/,
      ],
      'an undeclared dependency': [
        rules.dependenciesAreDeclared,
        {
          'package.json':
            '{ "dependencies": { "@scope/known": "1" }, "devDependencies": { "dev": "1" } }',
          'src/lib/a.ts': "import '@scope/known/part'\nimport 'node:fs'\nimport 'dev/part'",
        },
        /^src\/lib\/a.ts imports dev,/,
      ],
    }

  for (const [name, [rule, files, problem]] of Object.entries(broken)) {
    test(name, () => {
      const problems = rule(tree(files))
      assert.equal(problems.length, 1, problems.join('\n'))
      assert.match(problems[0]!, problem)
    })
  }
})

describe('the project keeps', () => {
  const project = readProject()
  for (const [name, rule] of Object.entries(rules)) {
    if (typeof rule !== 'function') continue
    test(name, () => {
      const problems = rule(project)
      assert.equal(problems.length, 0, `\n${problems.join('\n')}`)
    })
  }
})
