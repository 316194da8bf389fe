// What `--help` prints.
import { type Command, EXIT, optionsOf } from './command.ts'
import { alignColumns } from './table.ts'
import type { Paint } from './terminal.ts'

/** The help of the program: its commands. */
export function programHelp(commands: readonly Command[], paint: Paint): string {
  const rows = commands.map((command) => [`  ${paint.cyan(command.name)}`, command.summary])
  return [
    'Gatehouse: one entry in front of many services.',
    '',
    `${paint.bold('Usage:')} gatehouse COMMAND [arguments]`,
    '',
    paint.bold('Commands:'),
    ...alignColumns(rows),
    '',
    `\`gatehouse COMMAND --help\` says more. Without a file, a command takes the first there is of`,
    'gatehouse.yaml, gatehouse.yml, gatehouse.json and gatehouse.config.ts.',
    `Exit codes: ${EXIT.fine} fine, ${EXIT.problems} problems, ${EXIT.usage} called in a wrong way.`,
    '',
  ].join('\n')
}

/** The help of one command. */
export function commandHelp(command: Command, paint: Paint): string {
  const rows = Object.entries(optionsOf(command)).map(([name, option]) => {
    const short = option.short === undefined ? '    ' : `-${option.short}, `
    const value = option.type === 'string' ? ` ${option.value ?? 'VALUE'}` : ''
    return [`  ${short}--${name}${value}`, option.description]
  })
  const usage = command.usage === '' ? '' : ` ${command.usage}`
  return [
    command.summary,
    '',
    `${paint.bold('Usage:')} gatehouse ${command.name}${usage} [options]`,
    ...(command.details === undefined ? [] : ['', command.details]),
    '',
    paint.bold('Options:'),
    ...alignColumns(rows),
    '',
  ].join('\n')
}
