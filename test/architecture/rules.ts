// The rules of the house (docs/ARCHITECTURE.md), each a function from a tree of files to what is
// wrong with it. Nothing here reads the disk, so each rule is tested on small wrong trees.
import { posix } from 'node:path'
import { functionsOf, importsOf, maskText } from './source-text.ts'

/** The text of each file, by its path from the root of the project. */
export type Tree = ReadonlyMap<string, string>

/** Says what is wrong, one line each; nothing if all is well. */
export type Rule = (tree: Tree) => string[]

/** Imports go to a lower rank only. The longest folder that contains a file gives its rank. */
export const RANKS: Readonly<Record<string, number>> = {
  'src/main.ts': 11,
  'src/index.ts': 11,
  'src/control/cli': 10,
  'src/control/admin': 9,
  'src/control/dashboard': 8,
  'src/control/process': 8,
  'src/gateway': 7,
  'src/config': 6,
  'src/policies': 5,
  'src/proxy/pipeline': 4,
  'src/proxy/upstream': 3,
  'src/proxy/router': 3,
  'src/proxy/http': 2,
  'src/state': 2,
  'src/observability': 1,
  'src/errors.ts': 0,
  'src/lib': 0,
}

const FILE_LINES_MAX = 400
/** Suites are lists, read one test at a time. */
const TEST_LINES_MAX = 800
const FUNCTION_LINES_MAX = 70

/** Tests, suites, benchmarks and examples of a document: beside the code, but not part of it. */
const BESIDE_THE_CODE = /\.(?:test|contract|bench|test-support)\.ts$/

function isSource(path: string): boolean {
  return path.startsWith('src/') && path.endsWith('.ts') && !BESIDE_THE_CODE.test(path)
}

function sources(tree: Tree): [string, string][] {
  return [...tree].filter(([path]) => isSource(path))
}

function folderOf(path: string): string | null {
  const folders = Object.keys(RANKS).filter((name) => path === name || path.startsWith(`${name}/`))
  return folders.sort((a, b) => b.length - a.length)[0] ?? null
}

/** The files of the project that a file imports. */
function targetsOf(path: string, text: string): string[] {
  return importsOf(text)
    .filter((name) => name.startsWith('.'))
    .map((name) => posix.join(posix.dirname(path), name))
}

export const everyFileHasARank: Rule = (tree) =>
  sources(tree).flatMap(([path]) => (folderOf(path) === null ? [`${path} is in no layer`] : []))

export const importsGoDown: Rule = (tree) =>
  sources(tree).flatMap(([path, text]) =>
    targetsOf(path, text).flatMap((target) => {
      const [from, to] = [folderOf(path), folderOf(target)]
      if (!target.startsWith('src/')) return [`${path} imports ${target}, which is not in src`]
      if (BESIDE_THE_CODE.test(target)) return [`${path} imports ${target}, which is for tests`]
      if (from === null || to === null || from === to) return []
      if (RANKS[to]! < RANKS[from]!) return []
      return [`${path} (rank ${RANKS[from]}) imports ${target} (rank ${RANKS[to]})`]
    }),
  )

export const noCycles: Rule = (tree) => {
  const problems: string[] = []
  const done = new Set<string>()
  const visit = (path: string, trail: string[]) => {
    const seenAt = trail.indexOf(path)
    if (seenAt >= 0) problems.push(`cycle: ${[...trail.slice(seenAt), path].join(' -> ')}`)
    if (seenAt >= 0 || done.has(path)) return
    for (const target of targetsOf(path, tree.get(path) ?? '')) visit(target, [...trail, path])
    done.add(path)
  }
  for (const [path] of sources(tree)) visit(path, [])
  return problems
}

export const policiesStandAlone: Rule = (tree) =>
  sources(tree).flatMap(([path, text]) => {
    const own = policyOf(path)
    if (own === null) return []
    return targetsOf(path, text)
      .filter((target) => (policyOf(target) ?? own) !== own)
      .map((target) => `${path} imports another policy: ${target}`)
  })

function policyOf(path: string): string | null {
  return /^src\/policies\/([^/]+)\/./.exec(path)?.[1] ?? null
}

/** A policy is a folder with its code, its test and its page, and one line in the registry. */
export const policiesAreComplete: Rule = (tree) => {
  const names = new Set([...tree.keys()].map(policyOf).filter((name) => name !== null))
  const registry = importsOf(tree.get('src/policies/registry.ts') ?? '')
  return [...names].flatMap((name) => {
    const folder = `src/policies/${name}`
    const files = ['.ts', '.test.ts', '.md'].map((ending) => `${folder}/${name}${ending}`)
    const problems = files.filter((file) => !tree.has(file)).map((file) => `${file} is missing`)
    if (!registry.includes(`./${name}/${name}.ts`)) problems.push(`${name} is not in the registry`)
    return problems
  })
}

/** A file that only hands on what others define; src/index.ts is the one public door. */
export const noBarrels: Rule = (tree) =>
  sources(tree).flatMap(([path, text]) => {
    if (path === 'src/index.ts') return []
    const code = maskText(text)
    if (/\bexport\s*\*/.test(code)) return [`${path} re-exports everything of another file`]
    const reExport = /\bexport\s+(?:type\s+)?\{[^}]*\}\s*from\s*(['"])x*\1/g
    const imports = /\bimport\s[^'"]*(['"])x*\1/g
    const own = code.replace(reExport, '').replace(imports, '').trim()
    return reExport.test(code) && own === '' ? [`${path} is a barrel`] : []
  })

const FORBIDDEN_NAMES =
  /\/(?:(?:[^/]*-)?(?:utils?|helpers?|managers?)|common|types?|misc|index)(?:\.[^/]*)?(?=\/|$)/

export const namesSaySomething: Rule = (tree) =>
  [...tree.keys()].flatMap((path) => {
    if (!path.startsWith('src/') || path === 'src/index.ts') return []
    if (FORBIDDEN_NAMES.test(path.slice(3))) return [`${path}: a name that says nothing`]
    const name = posix.basename(path)
    return path.endsWith('.ts') && !/^[a-z0-9-]+(?:\.[a-z-]+)*$/.test(name)
      ? [`${path}: write it in lower case with dashes`]
      : []
  })

export const filesAreShort: Rule = (tree) =>
  [...tree].flatMap(([path, text]) => {
    // A corpus is data: one entry, one line or a few.
    if (!path.endsWith('.ts') || path.endsWith('-corpus.ts')) return []
    const lines = text.trimEnd().split('\n').length
    const max = path.endsWith('.test.ts') ? TEST_LINES_MAX : FILE_LINES_MAX
    return lines > max ? [`${path} has ${lines} lines`] : []
  })

/** Test files are left out: their outermost functions are lists of tests. */
export const functionsAreShort: Rule = (tree) =>
  [...tree].flatMap(([path, text]) => {
    if (!path.endsWith('.ts') || BESIDE_THE_CODE.test(path)) return []
    return functionsOf(text)
      .filter(({ lines }) => lines > FUNCTION_LINES_MAX)
      .map(({ line, lines }) => `${path}:${line}: a function of ${lines} lines`)
  })

export const nothingIsPutOff: Rule = (tree) =>
  [...tree].flatMap(([path, text]) =>
    text.split('\n').flatMap((line, index) => {
      const mark = path.startsWith('src/') && /\b(?:TODO|FIXME)\b/.exec(line)?.[0]
      return mark ? [`${path}:${index + 1}: ${mark}`] : []
    }),
  )

/** What the package needs at run time is what its package.json says. */
export const dependenciesAreDeclared: Rule = (tree) => {
  const manifest = JSON.parse(tree.get('package.json') ?? '{}')
  const declared = Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })
  return sources(tree).flatMap(([path, text]) =>
    importsOf(text)
      .filter((name) => !name.startsWith('.') && !name.startsWith('node:'))
      .map((name) =>
        name
          .split('/')
          .slice(0, name.startsWith('@') ? 2 : 1)
          .join('/'),
      )
      .filter((name) => !declared.includes(name))
      .map((name) => `${path} imports ${name}, which is not in dependencies`),
  )
}
