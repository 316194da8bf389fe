// The command line: finds the command, reads its arguments, and turns what goes wrong into an exit code.
import { closest } from '../../lib/closest.ts'
import { check } from './check.ts'
import { type Command, EXIT, readArguments, UsageError } from './command.ts'
import { diff } from './diff.ts'
import { explain } from './explain.ts'
import { commandHelp, programHelp } from './help.ts'
import { init } from './init.ts'
import { keys } from './keys.ts'
import { routes } from './routes.ts'
import { run } from './run.ts'
import { schema } from './schema.ts'
import type { Terminal } from './terminal.ts'
import { version } from './version.ts'

/** In the order of the help. */
const COMMANDS: readonly Command[] = [
  run,
  check,
  routes,
  explain,
  diff,
  keys,
  init,
  schema,
  version,
]

/** Runs one call of the program; `args` begins with the command. Returns the exit code. */
export async function main(args: readonly string[], terminal: Terminal): Promise<number> {
  const [first, ...rest] = args
  if (first === undefined) {
    terminal.err(programHelp(COMMANDS, terminal.errPaint))
    return EXIT.usage
  }
  if (first === '--version' || first === '-v')
    return version.run(readArguments(version, rest), terminal)
  if (first === '--help' || first === '-h' || first === 'help') return help(rest[0], terminal)
  const command = COMMANDS.find(({ name }) => name === first)
  if (command === undefined) return unknownCommand(first, terminal)
  // Whatever else is wrong with the arguments: who asks for help gets it.
  if (rest.includes('--help') || rest.includes('-h')) return help(command.name, terminal)
  try {
    return await command.run(readArguments(command, rest), terminal)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    terminal.err(`gatehouse: ${error.message}\n`)
    terminal.err(`See \`gatehouse ${command.name} --help\`.\n`)
    return EXIT.usage
  }
}

function help(name: string | undefined, terminal: Terminal): number {
  const command = COMMANDS.find((candidate) => candidate.name === name)
  if (command === undefined && name !== undefined) return unknownCommand(name, terminal)
  const { paint } = terminal
  terminal.out(command === undefined ? programHelp(COMMANDS, paint) : commandHelp(command, paint))
  return EXIT.fine
}

function unknownCommand(name: string, terminal: Terminal): number {
  const names = COMMANDS.map((command) => command.name)
  const near = closest(name, [...names, 'help'])
  const hint = near === null ? '' : `; did you mean \`gatehouse ${near}\`?`
  terminal.err(`gatehouse: there is no command "${name}"${hint}\nSee \`gatehouse --help\`.\n`)
  return EXIT.usage
}
