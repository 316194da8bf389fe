// From a file to a document: read, resolve references, validate, check. Every problem at once.
import { readFile, stat } from 'node:fs/promises'
import { dirname, extname, resolve } from 'node:path'
import { policies as builtInPolicies } from '../policies/registry.ts'
import type { PolicyDefinition } from '../proxy/pipeline/policy.ts'
import { interpret } from './interpret.ts'
import { type Finding, formatPath, type Problem } from './problem.ts'
import type { Resolved } from './references.ts'
import type { Document } from './schema.ts'
import { maskText } from './secrets.ts'
import { readModule } from './sources/module-source.ts'
import { FILE_START, type Source } from './sources/source.ts'
import { readYaml } from './sources/yaml-source.ts'

/** Bytes of a configuration file: far beyond what a person or a generator writes. */
const FILE_BYTES_MAX = 64 * 1024 * 1024

/** How a file is loaded. */
export interface LoadOptions {
  /** Where `${env:NAME}` is looked up; the process's own by default. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Policies beside those of plugins; the built-in ones by default. */
  readonly policies?: readonly PolicyDefinition[]
}

/** What came of it. */
export interface LoadResult {
  /** Null when there is an error among the problems. */
  readonly document: Document | null
  readonly problems: readonly Problem[]
}

/** What only commands for people need beside the result. */
export interface Loaded {
  readonly result: LoadResult
  /** Lines of the file, to show problems in their place; empty for a module. */
  readonly lines: readonly string[]
  /** All policies that the configuration can name. */
  readonly policies: readonly PolicyDefinition[]
}

/**
 * Loads a configuration. Never throws for what is wrong with it. Code that it names is imported into this
 * process and stays there: a living gateway uses `loadInWorker`.
 */
export async function loadDocument(file: string, options: LoadOptions = {}): Promise<LoadResult> {
  return (await loadForPeople(file, options)).result
}

/** The same with what it takes to explain the result. */
export async function loadForPeople(file: string, options: LoadOptions = {}): Promise<Loaded> {
  const source = await readSource(resolve(file))
  const builtIn = options.policies ?? builtInPolicies
  if (source.data === undefined) {
    const problems = source.problems.map((finding) =>
      locate(source, finding, finding.position, new Map()),
    )
    return { result: { document: null, problems }, lines: source.lines, policies: builtIn }
  }
  const { document, findings, policies, values } = await interpret(source.data, {
    directory: dirname(source.file),
    env: options.env ?? process.env,
    policies: builtIn,
    isText: !isModule(source.file),
  })
  const problems = sortProblems(
    findings.map((finding) =>
      locate(source, finding, source.locate(finding.path, finding.at), values),
    ),
  )
  return { result: { document, problems }, lines: source.lines, policies }
}

function isModule(file: string): boolean {
  return /^\.[cm]?[jt]s$/.test(extname(file))
}

async function readSource(file: string): Promise<Source> {
  const unreadable = (message: string): Source => ({
    file,
    lines: [],
    data: undefined,
    problems: [{ severity: 'error', path: [], at: 'value', message, position: FILE_START }],
    locate: () => FILE_START,
  })
  try {
    const { size } = await stat(file)
    if (size > FILE_BYTES_MAX) return unreadable('the file is larger than 64mb')
    if (isModule(file)) return await readModule(file)
    return readYaml(file, await readFile(file, 'utf8'))
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message
    return unreadable(
      reason === 'ENOENT' ? 'there is no such file' : `the file cannot be read: ${reason}`,
    )
  }
}

function locate(
  source: Source,
  finding: Finding,
  position: { readonly line: number; readonly column: number },
  secrets: Resolved['values'],
): Problem {
  return {
    severity: finding.severity,
    file: source.file,
    line: position.line,
    column: position.column,
    path: formatPath(finding.path),
    message: maskText(finding.message, secrets),
    ...(finding.expected === undefined ? {} : { expected: maskText(finding.expected, secrets) }),
    ...(finding.suggestion === undefined
      ? {}
      : { suggestion: maskText(finding.suggestion, secrets) }),
  }
}

function sortProblems(problems: readonly Problem[]): Problem[] {
  return [...problems].sort((a, b) => a.line - b.line || a.column - b.column)
}
