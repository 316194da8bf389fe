// The text of a condition as a syntax tree, within bounds, or a message a person can act on. The
// library's parser says only where it gave up, which is often far from the mistake.
import { ConditionError } from './condition-error.ts'
import { type Parsed, parseExpression } from './library.ts'

/** Longer conditions belong into a policy of their own. */
const LENGTH_MAX = 2_048
/** Brackets within brackets. */
const DEPTH_MAX = 32

const TOKEN =
  /\s+|\/\/[^\n]*|(?<text>[rRbB]?(?:"""[\s\S]*?"""|'''[\s\S]*?'''|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))|(?<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?u?)|(?<word>[A-Za-z_][A-Za-z0-9_]*)|(?<operator>&&|\|\||[=!<>]=|[<>!?:.,+*/%-])|(?<open>[([{])|(?<close>[)\]}])|(?<stray>[\s\S])/gy

/** Words of other languages, and what stands for them here. */
const FOREIGN: ReadonlyMap<string, string> = new Map([
  ['and', '&&'],
  ['or', '||'],
  ['not', '!'],
  ['=', '=='],
  ['&', '&&'],
  ['|', '||'],
])

const CLOSING: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' }
const PREFIX_OPERATORS = new Set(['!', '-'])

/** Parses a condition. @throws ConditionError */
export function parseCondition(source: string): Parsed {
  if (source.trim() === '') throw new ConditionError('a condition is needed', source, 0)
  if (source.length > LENGTH_MAX) {
    throw new ConditionError(`a condition has at most ${LENGTH_MAX} characters`, source, LENGTH_MAX)
  }
  new Reader(source).checkBrackets()
  try {
    return parseExpression(source)
  } catch (error) {
    new Reader(source).explain()
    throw new ConditionError((error as Error).message, source, offsetOf(error, source))
  }
}

function offsetOf(error: unknown, source: string): number {
  const { location } = error as { location?: { start?: { offset?: number } } }
  return location?.start?.offset ?? source.length
}

type Token = { kind: string; text: string; offset: number }

class Reader {
  readonly #source: string
  readonly #tokens: Token[] = []

  constructor(source: string) {
    this.#source = source
    for (const match of source.matchAll(TOKEN)) {
      const groups = Object.entries(match.groups ?? {})
      const kind = groups.find(([, text]) => text !== undefined)?.[0]
      if (kind !== undefined) this.#tokens.push({ kind, text: match[0], offset: match.index })
    }
  }

  /** Every bracket has its partner, and they are not nested too deep. */
  checkBrackets(): void {
    const open: Token[] = []
    for (const token of this.#tokens) {
      if (token.kind === 'open') {
        open.push(token)
        if (open.length > DEPTH_MAX) this.#fail('brackets are nested too deep', token)
      } else if (token.kind === 'close') {
        const partner = open.pop()
        if (partner === undefined) this.#fail(`this "${token.text}" closes nothing`, token)
        const wanted = CLOSING[partner.text]!
        if (wanted !== token.text) {
          this.#fail(
            `expected "${wanted}" for the "${partner.text}" before, found "${token.text}"`,
            token,
          )
        }
      } else if (token.kind === 'stray') this.#failAtStray(token)
    }
    const unclosed = open.pop()
    if (unclosed !== undefined) this.#fail(`this "${unclosed.text}" is never closed`, unclosed)
  }

  /** Throws for the first place where values and operators do not take turns; else returns. */
  explain(): void {
    let wantsValue = true
    let previous: Token | null = null
    for (const token of this.#tokens) {
      const { kind, text } = token
      const isOperator = kind === 'operator' || (kind === 'word' && text === 'in')
      if (kind === 'word' && FOREIGN.has(text) && !(wantsValue && text !== 'not')) {
        this.#fail(`"${text}" is no operator; did you mean "${FOREIGN.get(text)}"?`, token)
      }
      if (wantsValue) {
        const closesEmpty =
          kind === 'close' && (previous?.kind === 'open' || previous?.text === ',')
        const isPrefix = kind === 'operator' && PREFIX_OPERATORS.has(text)
        if ((isOperator && !isPrefix) || (kind === 'close' && !closesEmpty)) {
          this.#fail(`expected a value before "${text}"`, token)
        }
        wantsValue = isOperator || kind === 'open'
      } else if (isOperator) wantsValue = true
      else if (kind === 'open' && text !== '{') wantsValue = true
      else if (kind !== 'close')
        this.#fail(`expected an operator like && or == before ${text}`, token)
      previous = token
    }
    if (wantsValue && previous !== null) {
      const end = { kind: 'end', text: '', offset: this.#source.length }
      this.#fail(`expected a value after "${previous.text}"`, end)
    }
  }

  #failAtStray(token: Token): never {
    const { text } = token
    if (text === '"' || text === "'")
      this.#fail(`the text that begins here has no closing ${text}`, token)
    const meant = FOREIGN.get(text)
    if (meant !== undefined) this.#fail(`"${text}" is no operator; did you mean "${meant}"?`, token)
    this.#fail(`"${text}" has no meaning here`, token)
  }

  #fail(problem: string, token: Token): never {
    throw new ConditionError(problem, this.#source, token.offset)
  }
}
