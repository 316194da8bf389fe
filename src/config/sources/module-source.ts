// Reads a configuration that is a TypeScript or JavaScript module: its default export, as plain data.
import { pathToFileURL } from 'node:url'
import { type DataPath, errorAt } from '../problem.ts'
import { FILE_START, type Source, type SyntaxFinding } from './source.ts'

const DEPTH_MAX = 64

/**
 * Imports a module. It runs with all rights of the process, and stays in the process's memory:
 * the gateway does this in a worker that it ends afterwards.
 */
export async function readModule(file: string): Promise<Source> {
  const broken = (message: string, path: DataPath = []): Source =>
    source(file, undefined, [at(path, message)])
  let exported: unknown
  try {
    const module: Record<string, unknown> = await import(pathToFileURL(file).href)
    if (!('default' in module))
      return broken(
        'the module has no default export; write `export default defineGateway({ ... })`',
      )
    exported = module.default
  } catch (error) {
    return broken(`the module could not be loaded: ${reasonOf(error)}`)
  }
  const problems: SyntaxFinding[] = []
  const data = plainData(exported, [], problems, new Set())
  return source(file, problems.length > 0 ? undefined : data, problems)
}

/** What an import that failed says, in one line. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.split('\n', 1)[0] ?? ''
}

function source(file: string, data: unknown, problems: readonly SyntaxFinding[]): Source {
  return { file, lines: [], data, problems, locate: () => FILE_START }
}

function at(path: DataPath, message: string): SyntaxFinding {
  return { ...errorAt(path, message), position: FILE_START }
}

/** Copies what JSON could hold; keys whose value is undefined are left out. */
function plainData(
  value: unknown,
  path: DataPath,
  problems: SyntaxFinding[],
  above: Set<object>,
): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number' && Number.isFinite(value)) return value
  const fail = (what: string) =>
    void problems.push(at(path, `a configuration is plain data; this is ${what}`))
  if (typeof value !== 'object') return fail(describe(value))
  if (above.has(value)) return fail('an object that holds itself')
  if (path.length > DEPTH_MAX) return fail('nested too deeply')
  above.add(value)
  const prototype: unknown = Object.getPrototypeOf(value)
  let copy: unknown
  if (Array.isArray(value)) {
    copy = value.map((item, index) => plainData(item, [...path, index], problems, above))
  } else if (prototype === null || prototype === Object.prototype) {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined)
    copy = Object.fromEntries(
      entries.map(([key, item]) => [key, plainData(item, [...path, key], problems, above)]),
    )
  } else fail(`an instance of ${value.constructor?.name ?? 'a class'}`)
  above.delete(value)
  return copy
}

function describe(value: unknown): string {
  if (typeof value === 'function') return 'a function; code belongs in a policy, named by `plugins`'
  return typeof value === 'number' ? String(value) : `a ${typeof value}`
}
