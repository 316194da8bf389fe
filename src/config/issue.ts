// Turns what the schema library reports into findings that a person can act on.
import type { z } from 'zod'
import { closest } from '../lib/closest.ts'
import { type DataPath, errorAt, type Finding, formatPath, valueAt } from './problem.ts'

type Issue = z.core.$ZodIssue

/**
 * Makes unknown-key issues carry the keys that are known: pass it as `error` when parsing. The
 * library copies further members of an issue into what it reports.
 */
export function rememberKnownKeys(issue: z.core.$ZodRawIssue): undefined {
  if (issue.code !== 'unrecognized_keys') return
  const shape = (issue.inst as z.ZodObject | undefined)?._zod.def.shape
  if (shape !== undefined) Object.assign(issue, { known: Object.keys(shape) })
}

/** All findings of one issue; `data` is what was parsed, `base` where it stands. */
export function findingsOf(issue: Issue, data: unknown, base: DataPath = []): Finding[] {
  const path = [...base, ...(issue.path as (string | number)[])]
  const value = valueAt(data, path)
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => unknownKey(issue, path, key))
    case 'invalid_union':
      return unionFindings(issue, value, data, path)
    case 'invalid_key': {
      const inner = issue.issues[0]
      const params = inner === undefined ? {} : paramsOf(inner)
      return [
        errorAt(path, inner?.message ?? 'this key is not allowed here', {
          at: 'key',
          ...expectedOf(params),
        }),
      ]
    }
    case 'invalid_type':
      return [typeFinding(issue, value, path)]
    case 'invalid_value':
      return [choiceFinding(issue.values.map(String), value, path)]
    case 'custom':
      return [customFinding(issue, path)]
    case 'too_small':
    case 'too_big':
      return [errorAt(path, boundMessage(issue))]
    default:
      return [errorAt(path, issue.message, expectedOf(paramsOf(issue)))]
  }
}

function unknownKey(issue: Issue, path: DataPath, key: string): Finding {
  const known = 'known' in issue && Array.isArray(issue.known) ? (issue.known as string[]) : []
  const suggestion = closest(key, known)
  return errorAt([...path, key], `there is no setting "${key}" here`, {
    at: 'key',
    ...(known.length > 0 ? { expected: listOf(known) } : {}),
    ...(suggestion === null ? {} : { suggestion }),
  })
}

function typeFinding(
  issue: Extract<Issue, { code: 'invalid_type' }>,
  value: unknown,
  path: DataPath,
): Finding {
  const key = path[path.length - 1]
  if (value === undefined && key !== undefined) {
    return errorAt(
      path,
      `\`${key}\` is missing`,
      hasOwnMessage(issue) ? { expected: bare(issue.message) } : {},
    )
  }
  if (hasOwnMessage(issue))
    return errorAt(path, `${kindOf(value)} does not fit here`, { expected: bare(issue.message) })
  return errorAt(path, `${kindOf(value)} does not fit here`, { expected: kindName(issue.expected) })
}

/** Whether the message is one of ours and not the library's default. */
function hasOwnMessage(issue: Issue): boolean {
  return !issue.message.startsWith('Invalid input')
}

function bare(message: string): string {
  return message.replace(/^expected /, '')
}

function choiceFinding(choices: readonly string[], value: unknown, path: DataPath): Finding {
  const suggestion = typeof value === 'string' ? closest(value, choices) : null
  const key = path[path.length - 1]
  return errorAt(
    path,
    value === undefined ? `\`${key ?? ''}\` is missing` : 'this value is not allowed here',
    {
      expected: choices.length === 1 ? choices[0]! : `one of ${choices.join(', ')}`,
      ...(suggestion === null ? {} : { suggestion }),
    },
  )
}

function customFinding(issue: Issue, path: DataPath): Finding {
  const params = paramsOf(issue)
  const { given, known, atKey } = params
  const isName = typeof given === 'string' && Array.isArray(known)
  const suggestion = isName ? closest(given, known as string[]) : (params.suggestion ?? null)
  return errorAt(path, issue.message, {
    at: atKey === true ? 'key' : 'value',
    ...(Array.isArray(known) && known.length > 0
      ? { expected: `one of ${listOf(known as string[])}` }
      : {}),
    ...expectedOf(params),
    ...(typeof suggestion === 'string' ? { suggestion } : {}),
  })
}

function paramsOf(issue: object): Record<string, unknown> {
  return 'params' in issue && typeof issue.params === 'object' && issue.params !== null
    ? (issue.params as Record<string, unknown>)
    : {}
}

function expectedOf(params: Record<string, unknown>): { expected?: string } {
  return typeof params.expected === 'string' ? { expected: params.expected } : {}
}

function boundMessage(issue: Extract<Issue, { code: 'too_small' | 'too_big' }>): string {
  if (!/^Too (small|big)/.test(issue.message)) return issue.message
  const isSmall = issue.code === 'too_small'
  const bound = isSmall ? issue.minimum : issue.maximum
  const unit =
    issue.origin === 'string' ? ' characters' : issue.origin === 'array' ? ' entries' : ''
  const verb = unit === '' ? 'must be' : 'must have'
  return `${verb} ${bound}${unit} or ${isSmall ? 'more' : unit === '' ? 'less' : 'fewer'}`
}

/** The branch of a union that was meant: the one whose kind of value is there. */
function unionFindings(
  issue: Extract<Issue, { code: 'invalid_union' }>,
  value: unknown,
  data: unknown,
  path: DataPath,
): Finding[] {
  const branches = issue.errors.flatMap((branch) => branchesOf(branch))
  const fitting = branches.filter((branch) => !branch.some((inner) => isOtherKind(inner, value)))
  const best = fitting
    .filter((branch) => !isChoice(branch[0]!))
    .sort((a, b) => a.length - b.length)[0]
  if (best !== undefined) return best.flatMap((inner) => findingsOf(inner, data, path))
  const wanted = branches.flatMap((branch) => branch.map(wantedBy)).filter((text) => text !== null)
  const expected = hasOwnMessage(issue) ? bare(issue.message) : [...new Set(wanted)].join(', or ')
  if (fitting.length === 0) {
    const key = path[path.length - 1]
    const message =
      value === undefined ? `\`${key ?? ''}\` is missing` : `${kindOf(value)} does not fit here`
    return [errorAt(path, message, { expected })]
  }
  const choices = fitting.flatMap((branch) =>
    branch.filter(isChoice).flatMap((inner) => inner.values),
  )
  return [{ ...choiceFinding(choices.map(String), value, path), expected }]
}

/** A union inside a union is so many more branches. */
function branchesOf(branch: readonly Issue[]): Issue[][] {
  const [only] = branch
  if (branch.length === 1 && only?.code === 'invalid_union' && only.path.length === 0) {
    return only.errors.flatMap((inner) => branchesOf(inner))
  }
  return [[...branch]]
}

function isChoice(issue: Issue): issue is Extract<Issue, { code: 'invalid_value' }> {
  return issue.code === 'invalid_value' && issue.path.length === 0
}

function isOtherKind(issue: Issue, value: unknown): boolean {
  if (issue.path.length > 0) return false
  if (issue.code === 'invalid_type') return true
  return (
    issue.code === 'invalid_value' && issue.values.every((wanted) => typeof wanted !== typeof value)
  )
}

function wantedBy(issue: Issue): string | null {
  if (issue.path.length > 0) return null
  if (issue.code === 'invalid_value') return issue.values.join(', or ')
  if (issue.code !== 'invalid_type') return null
  return hasOwnMessage(issue) ? bare(issue.message) : kindName(issue.expected)
}

const KIND_NAMES: Readonly<Record<string, string>> = {
  array: 'a list',
  boolean: 'true or false',
  int: 'a whole number',
  number: 'a number',
  object: 'a map of settings',
  record: 'a map',
  string: 'text',
}

function kindName(kind: string): string {
  return KIND_NAMES[kind] ?? kind
}

function kindOf(value: unknown): string {
  if (value === null) return 'an empty value'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a map'
  if (typeof value === 'boolean') return `\`${value}\``
  return typeof value === 'string' ? 'text' : 'a number'
}

function listOf(names: readonly string[]): string {
  return names.length <= 24 ? names.join(', ') : `${names.slice(0, 24).join(', ')}, ...`
}

/** The key under which two findings are the same one. */
export function findingKey(finding: Finding): string {
  return `${formatPath(finding.path)}\n${finding.message}`
}
