// Prints problems of a configuration for people: the place, the line itself, a caret, what is right.
import { relative } from 'node:path'
import type { Problem } from '../../config/problem.ts'
import { mayHoldSecret } from '../../config/secrets.ts'
import type { Paint } from './terminal.ts'

const LINE_WIDTH_MAX = 160

/** Writes every problem and a line that counts them. Nothing when there is none. */
export function printProblems(
  problems: readonly Problem[],
  lines: readonly string[],
  cwd: string,
  paint: Paint,
  write: (text: string) => void,
): void {
  for (const problem of problems) write(`${describe(problem, lines, cwd, paint).join('\n')}\n`)
  const errors = problems.filter((problem) => problem.severity === 'error').length
  const warnings = problems.length - errors
  const counts = [
    ...(errors > 0 ? [counted(errors, 'error')] : []),
    ...(warnings > 0 ? [counted(warnings, 'warning')] : []),
  ]
  if (counts.length > 0) write(`${counts.join(', ')}\n`)
}

function describe(problem: Problem, lines: readonly string[], cwd: string, paint: Paint): string[] {
  const { severity, file, line, column, path, message, expected, suggestion } = problem
  const mark = severity === 'error' ? paint.red(severity) : paint.yellow(severity)
  const where = `${displayPath(file, cwd)}:${line}:${column}`
  const head = `${paint.bold(where)}  ${mark}  ${path === '' ? '' : `${paint.cyan(path)}: `}${message}`
  return [
    head,
    ...(mayHoldSecret(path) ? [] : excerpt(lines[line - 1], line, column, paint)),
    ...(expected === undefined ? [] : [`    expected ${expected}`]),
    ...(suggestion === undefined ? [] : [`    did you mean ${paint.green(suggestion)}?`]),
    '',
  ]
}

/** The line with its number, and a caret under the column. Long lines are cut around it. */
function excerpt(text: string | undefined, line: number, column: number, paint: Paint): string[] {
  if (text === undefined || text.trim() === '') return []
  const start = column > LINE_WIDTH_MAX - 20 ? column - LINE_WIDTH_MAX / 2 : 0
  const shown = text.slice(start, start + LINE_WIDTH_MAX)
  const gutter = `    ${line} | `
  const indent = shown.slice(0, column - 1 - start).replace(/[^\t]/g, ' ')
  return [`${paint.dim(gutter)}${shown}`, `${' '.repeat(gutter.length)}${indent}${paint.red('^')}`]
}

/** A file below the working directory is shown relative to it. */
export function displayPath(file: string, cwd: string): string {
  const path = relative(cwd, file)
  return path === '' || path.startsWith('..') ? file : path
}

/** `1 route`, `2 routes`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
