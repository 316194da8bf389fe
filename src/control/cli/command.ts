// What a command is, and how its arguments are read: unknown ones are refused with a suggestion.
import { parseArgs } from 'node:util'
import { closest } from '../../lib/closest.ts'
import type { Terminal } from './terminal.ts'

/** The exit codes of every command. */
export const EXIT = { fine: 0, problems: 1, usage: 2 } as const

/** An option: `--name`, `-s`, with a value or without. */
export interface Option {
  readonly type: 'boolean' | 'string'
  readonly short?: string
  readonly multiple?: boolean
  /** What stands for the value in the help, like `IP`. */
  readonly value?: string
  readonly description: string
}

/** One command. */
export interface Command {
  readonly name: string
  /** One line for the list of commands. */
  readonly summary: string
  /** The arguments without options, like `[file]`. */
  readonly usage: string
  /** What the help says beyond the summary. */
  readonly details?: string
  readonly options: Readonly<Record<string, Option>>
  /** How many arguments without a dash it takes at most. */
  readonly argumentsMax: number
  /** Returns the exit code. @throws UsageError when the arguments make no sense. */
  run(args: Arguments, terminal: Terminal): Promise<number> | number
}

/** The arguments of one call. */
export interface Arguments {
  readonly positionals: readonly string[]
  flag(name: string): boolean
  /** The value of an option, or null. */
  text(name: string): string | null
  /** All values of an option that may stand several times. */
  texts(name: string): readonly string[]
}

/** The command was called in a way that it does not know. */
export class UsageError extends Error {}

const HELP: Option = { type: 'boolean', short: 'h', description: 'Show this help.' }

/** The options of a command, the common ones included. */
export function optionsOf(command: Command): Readonly<Record<string, Option>> {
  return { ...command.options, help: HELP }
}

/** Reads the arguments that follow the command's name. @throws UsageError */
export function readArguments(command: Command, args: readonly string[]): Arguments {
  const options = optionsOf(command)
  const { positionals, tokens, values } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      Object.entries(options).map(([name, option]) => [name, parserOption(option)]),
    ),
    allowPositionals: true,
    strict: false,
    tokens: true,
  })
  for (const token of tokens) {
    if (token.kind !== 'option') continue
    const option = Object.hasOwn(options, token.name) ? options[token.name] : undefined
    if (option === undefined) throw unknownOption(token.rawName, Object.keys(options), command)
    if (option.type === 'string' && (token.value === undefined || token.value === '')) {
      throw new UsageError(
        `${token.rawName} needs a value: ${token.rawName} ${option.value ?? 'VALUE'}`,
      )
    }
    if (option.type === 'boolean' && token.value !== undefined) {
      throw new UsageError(`${token.rawName} takes no value`)
    }
  }
  const surplus = positionals[command.argumentsMax]
  if (surplus !== undefined) throw new UsageError(`"${surplus}" is one argument too many`)
  const list = (name: string) =>
    [values[name] ?? []].flat().filter((value) => typeof value === 'string')
  return {
    positionals,
    flag: (name) => values[name] === true,
    text: (name) => list(name).at(-1) ?? null,
    texts: list,
  }
}

function parserOption({ type, short, multiple }: Option) {
  return {
    type,
    ...(short === undefined ? {} : { short }),
    ...(multiple === undefined ? {} : { multiple }),
  }
}

function unknownOption(written: string, known: readonly string[], command: Command): UsageError {
  const near = written.startsWith('--') ? closest(written.slice(2), known) : null
  const hint = near === null ? '' : `; did you mean --${near}?`
  return new UsageError(`\`gatehouse ${command.name}\` has no option ${written}${hint}`)
}
