// What can be wrong with a configuration, and how it is told.

/** The way to a value: keys of maps and places in lists. */
export type DataPath = readonly (string | number)[]

/** How bad a problem is. A warning keeps nothing from starting. */
export type Severity = 'error' | 'warning'

/** A problem as the checks find it, before it has a place in a file. */
export interface Finding {
  readonly severity: Severity
  readonly path: DataPath
  /** Whether the key itself is meant (an unknown key) or what stands behind it. */
  readonly at: 'key' | 'value'
  readonly message: string
  /** What would have been right. */
  readonly expected?: string
  /** What was probably meant. */
  readonly suggestion?: string
}

/** A problem with its place. */
export interface Problem {
  readonly severity: Severity
  readonly file: string
  /** Both from 1. A place that is not known is line 1, column 1. */
  readonly line: number
  readonly column: number
  /** Like `routes[0].to`; '' for the whole file. */
  readonly path: string
  readonly message: string
  readonly expected?: string
  readonly suggestion?: string
}

/** Writes a path as a person would: `routes[0].to`, `services["a b"].url`. */
export function formatPath(path: DataPath): string {
  let text = ''
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else if (!/^[$A-Za-z0-9_-]+$/.test(part)) text += `[${JSON.stringify(part)}]`
    else text += text === '' ? part : `.${part}`
  }
  return text
}

/** The value at the end of a path, or undefined. */
export function valueAt(data: unknown, path: DataPath): unknown {
  let value = data
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined
    value = (value as Record<string | number, unknown>)[part]
  }
  return value
}

/** An error at a value. */
export function errorAt(path: DataPath, message: string, more: Partial<Finding> = {}): Finding {
  return { severity: 'error', path, at: 'value', message, ...more }
}

/** A warning at a value. */
export function warningAt(path: DataPath, message: string, more: Partial<Finding> = {}): Finding {
  return { severity: 'warning', path, at: 'value', message, ...more }
}
