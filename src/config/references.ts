// References to the environment and to files inside values: `${env:NAME}`, `${env:NAME:-default}`,
// `${file:path}`. `$${` stands for `${` itself. Any other `${...}` is left to whoever reads the value.
import { closeSync, openSync, readSync } from 'node:fs'
import { resolve } from 'node:path'
import { closest } from '../lib/closest.ts'
import { type DataPath, errorAt, type Finding, formatPath } from './problem.ts'

/** Bytes of a file that a reference may bring in. */
const FILE_BYTES_MAX = 1024 * 1024
/** Values that a configuration may hold once its aliases are written out. */
const VALUES_MAX = 5_000_000
const REFERENCE = /\$\$\{|\$\{([A-Za-z]+):([^}]*)\}/g
const VARIABLE = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s

/** Where references are looked up. */
export interface ReferenceContext {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Absolute directory that relative file names start from. */
  readonly directory: string
}

/** Data with its references replaced. */
export interface Resolved {
  readonly data: unknown
  readonly findings: readonly Finding[]
  /** What each reference stands for, by the formatted path of the value that holds it. */
  readonly values: ReadonlyMap<string, readonly string[]>
  /** Formatted paths of values that are one reference and nothing else. */
  readonly whole: ReadonlySet<string>
}

/** Replaces every reference in every string value. Keys are left alone. */
export function resolveReferences(data: unknown, context: ReferenceContext): Resolved {
  const findings: Finding[] = []
  const values = new Map<string, string[]>()
  const whole = new Set<string>()
  let count = 0

  function text(given: string, path: DataPath): string {
    if (!given.includes('${')) return given
    const found: string[] = []
    const result = given.replace(REFERENCE, (match, kind: string | undefined, argument: string) => {
      if (kind === undefined) return '${'
      const value = lookUp(kind, argument, path, context, findings)
      if (value === null) return match
      found.push(value)
      if (match === given) whole.add(formatPath(path))
      return value
    })
    if (found.length > 0) values.set(formatPath(path), found)
    return result
  }

  function walk(value: unknown, path: DataPath): unknown {
    count++
    if (count === VALUES_MAX)
      findings.push(errorAt([], 'this holds too many values, aliases written out'))
    if (count >= VALUES_MAX) return null
    if (typeof value === 'string') return text(value, path)
    if (typeof value !== 'object' || value === null) return value
    if (Array.isArray(value)) return value.map((item, index) => walk(item, [...path, index]))
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, walk(item, [...path, key])]),
    )
  }

  return { data: walk(data, []), findings, values, whole }
}

function lookUp(
  kind: string,
  argument: string,
  path: DataPath,
  context: ReferenceContext,
  findings: Finding[],
): string | null {
  const fail = (message: string, more: Partial<Finding> = {}) => {
    findings.push(errorAt(path, message, more))
    return null
  }
  if (kind === 'env') {
    const match = VARIABLE.exec(argument)
    if (match === null) {
      return fail(`\`\${env:${argument}}\` does not name a variable`, {
        expected: `\`\${env:NAME}\``,
      })
    }
    const name = match[1]!
    const value = Object.hasOwn(context.env, name) ? context.env[name] : undefined
    if (value !== undefined) return value
    return (
      match[2] ??
      fail(`the environment variable ${name} is not set`, {
        expected: `${name} in the environment, or a default: \`\${env:${name}:-...}\``,
      })
    )
  }
  if (kind === 'file') {
    const file = resolve(context.directory, argument)
    try {
      return readText(file)
    } catch (error) {
      const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message
      return fail(`the file ${file} cannot be read: ${reason}`, {
        expected: 'a readable file; a relative name starts at the directory of the configuration',
      })
    }
  }
  const suggestion = closest(kind, ['env', 'file'])
  return fail(`there are no references of the kind "${kind}"`, {
    expected: `\`\${env:NAME}\` or \`\${file:path}\`; \`$\${\` stands for the characters themselves`,
    ...(suggestion === null ? {} : { suggestion: `\${${suggestion}:${argument}}` }),
  })
}

/** Reads at most `FILE_BYTES_MAX`, so that neither a device nor a wrong name can fill the memory. */
function readText(file: string): string {
  const descriptor = openSync(file, 'r')
  try {
    const buffer = Buffer.alloc(FILE_BYTES_MAX + 1)
    let length = 0
    while (length < buffer.length) {
      const count = readSync(descriptor, buffer, length, buffer.length - length, null)
      if (count === 0) break
      length += count
    }
    if (length > FILE_BYTES_MAX) throw new Error('it is larger than 1mb')
    return buffer.toString('utf8', 0, length).replace(/\r?\n$/, '')
  } finally {
    closeSync(descriptor)
  }
}
