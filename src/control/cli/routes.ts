// `gatehouse routes`: the routing table in the order of precedence.
import { type Command, EXIT } from './command.ts'
import { configurationFile, loadOrReport } from './configuration-file.ts'
import { alignColumns } from './table.ts'

export const routes: Command = {
  name: 'routes',
  summary: 'Show the routes in the order in which they are tried.',
  usage: '[file]',
  options: { json: { type: 'boolean', description: 'Print the table as JSON.' } },
  argumentsMax: 1,
  async run(args, terminal) {
    const loaded = await loadOrReport(
      configurationFile(args.positionals[0], terminal.cwd),
      terminal,
    )
    if (loaded === null) return EXIT.problems
    const { describeRows } = await import('./route-rows.ts')
    const rows = describeRows(loaded.document)
    if (args.flag('json')) {
      terminal.out(`${JSON.stringify(rows, null, 2)}\n`)
      return EXIT.fine
    }
    const { bold, dim } = terminal.paint
    const head = ['HOST', 'PATH', 'METHODS', 'CONDITIONS', 'TARGET', 'POLICIES', 'ID'].map(bold)
    const lines = rows.map((row) => {
      const { host, path, methods, conditions, target, policies, id } = row
      return [
        host ?? '*',
        path ?? '*',
        methods.join(',') || '*',
        conditions.join(' ') || dim('-'),
        target,
        policies.join(', ') || dim('-'),
        dim(id),
      ]
    })
    terminal.out(`${alignColumns([head, ...lines]).join('\n')}\n`)
    return EXIT.fine
  },
}
