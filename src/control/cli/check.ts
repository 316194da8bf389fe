// `gatehouse check`: every problem of a configuration at once.
import { type Command, EXIT } from './command.ts'
import { configurationFile, load } from './configuration-file.ts'
import { counted, displayPath, printProblems } from './problem-report.ts'

export const check: Command = {
  name: 'check',
  summary: 'Show everything that is wrong with a configuration.',
  usage: '[file]',
  details: `Exits with ${EXIT.problems} when there is an error. Warnings alone change nothing, unless --strict is given.`,
  options: {
    json: { type: 'boolean', description: 'Print the problems as JSON.' },
    strict: { type: 'boolean', description: 'Take warnings for errors.' },
  },
  argumentsMax: 1,
  async run(args, terminal) {
    const file = configurationFile(args.positionals[0], terminal.cwd)
    const { result, lines } = await load(file)
    const { document, problems } = result
    const isFine = document !== null && (problems.length === 0 || !args.flag('strict'))
    if (args.flag('json')) {
      terminal.out(`${JSON.stringify({ file, ok: isFine, problems }, null, 2)}\n`)
    } else {
      printProblems(problems, lines, terminal.cwd, terminal.paint, terminal.out)
      if (document !== null) {
        const { listeners, routes, services } = document
        const counts = [
          counted(listeners.length, 'listener'),
          counted(routes.length, 'route'),
          counted(services.length, 'service'),
        ].join(', ')
        terminal.out(
          `${terminal.paint.green('ok')}  ${displayPath(file, terminal.cwd)}: ${counts}\n`,
        )
      }
    }
    return isFine ? EXIT.fine : EXIT.problems
  },
}
