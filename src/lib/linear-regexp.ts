// Regular expressions from configuration: the syntax of RE2, in time linear in the text whatever
// pattern and text are. What would need backtracking is refused when it is compiled.
import { RE2JS, RE2JSException } from 're2js'

/** The longest pattern, in characters: a bound on what compiling one may cost. */
const PATTERN_LENGTH_MAX = 4096

const UNSUPPORTED = /\\[1-9]|\(\?(?:[=!>]|<[=!])|[*+?}]\+/

/** A compiled pattern. It matches anywhere in the text unless it holds `^` or `$`. */
export class LinearRegExp {
  readonly pattern: string
  /** The names of its groups, written `(?<name>...)`. */
  readonly groupNames: readonly string[]
  readonly #engine: RE2JS

  /** @throws SyntaxError when the pattern is not valid or needs backtracking. */
  constructor(pattern: string) {
    this.pattern = pattern
    this.#engine = compileEngine(pattern)
    this.groupNames = Object.keys(this.#engine.namedGroups())
  }

  /** Whether the text holds a match; cheaper than `groups`. */
  test(text: string): boolean {
    return this.#engine.test(text)
  }

  /** What the named groups of the first match hold, '' for one that took no part; null without a match. */
  groups(text: string): Record<string, string> | null {
    const match = this.#engine.matcher(text)
    if (!match.find()) return null
    const groups: Record<string, string> = Object.create(null)
    for (let index = 0; index < this.groupNames.length; index++) {
      const name = this.groupNames[index]!
      groups[name] = match.group(name) ?? ''
    }
    return groups
  }
}

function compileEngine(pattern: string): RE2JS {
  if (pattern.length > PATTERN_LENGTH_MAX) {
    throw new SyntaxError(`the pattern is longer than ${PATTERN_LENGTH_MAX} characters`)
  }
  try {
    return RE2JS.compile(pattern)
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error
    const reason = error.message.replace('error parsing regexp: ', '')
    const hint = UNSUPPORTED.test(pattern)
      ? '; back-references, look-around, atomic groups and possessive quantifiers are not supported,' +
        ' because they cannot be matched in linear time'
      : ''
    throw new SyntaxError(`${reason}${hint}`)
  }
}
