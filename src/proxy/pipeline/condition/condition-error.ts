// What is wrong with a condition, and where.

/** A condition that does not compile. The message ends with the place in its text. */
export class ConditionError extends Error {
  /** Characters before the place, counted in the condition's text. */
  readonly offset: number

  constructor(problem: string, source: string, offset: number) {
    super(`${problem} (${place(source, offset)})`)
    this.name = 'ConditionError'
    this.offset = offset
  }
}

function place(source: string, offset: number): string {
  const before = source.slice(0, offset)
  const line = before.split('\n').length
  const column = offset - before.lastIndexOf('\n')
  if (offset >= source.trimEnd().length) return 'at its end'
  return line === 1 ? `at character ${column}` : `at line ${line}, character ${column}`
}
