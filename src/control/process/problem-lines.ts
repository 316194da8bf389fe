// Problems of a configuration as lines for a log or a terminal.
import type { Problem } from '../../config/problem.ts'

/** Lines beyond this are only counted. */
const LINES_MAX = 50

/** One line per problem: file:line:column, what is wrong and what would be right. */
export function problemLines(problems: readonly Problem[]): string[] {
  const lines = problems.slice(0, LINES_MAX).map((problem) => {
    const { file, line, column, severity, path, message, expected, suggestion } = problem
    const where = `${file}:${line}:${column}: ${severity}: ${path === '' ? '' : `${path}: `}`
    const right = expected === undefined ? '' : ` Expected ${expected}.`
    const meant = suggestion === undefined ? '' : ` Did you mean \`${suggestion}\`?`
    return `${where}${message}.${right}${meant}`
  })
  const more = problems.length - lines.length
  return more > 0 ? [...lines, `and ${more} more`] : lines
}
