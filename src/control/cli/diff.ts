// `gatehouse diff`: what a new configuration changes, in effect.
import { resolve } from 'node:path'
import { type Command, EXIT, UsageError } from './command.ts'
import { configurationFile, loadOrReport } from './configuration-file.ts'
import { counted } from './problem-report.ts'

const SIGNS = { added: '+', removed: '-', changed: '~' } as const

export const diff: Command = {
  name: 'diff',
  summary: 'Show what changes from one configuration to another.',
  usage: 'OLD NEW',
  details:
    'Routes are told apart by their ids. What lets requests pass that had to show who they are before is marked; ' +
    `with --strict such a change exits with ${EXIT.problems}.`,
  options: {
    json: { type: 'boolean', description: 'Print the changes as JSON.' },
    strict: { type: 'boolean', description: 'Exit with 1 when authentication is loosened.' },
  },
  argumentsMax: 2,
  async run(args, terminal) {
    const [oldFile, newFile] = args.positionals
    if (newFile === undefined) throw new UsageError('two files are needed: the old and the new one')
    const before = await loadOrReport(
      configurationFile(resolve(terminal.cwd, oldFile!), terminal.cwd),
      terminal,
    )
    const after = await loadOrReport(
      configurationFile(resolve(terminal.cwd, newFile), terminal.cwd),
      terminal,
    )
    if (before === null || after === null) return EXIT.problems
    const { diffDocuments } = await import('../../config/diff.ts')
    const changes = diffDocuments(before.document, after.document)
    const isLoosened = changes.some(({ loosens }) => loosens)
    // What the newer file makes unreachable or overlapping is as much a change as what it says.
    const known = new Set(before.result.problems.map(({ path, message }) => `${path} ${message}`))
    const warnings = after.result.problems.filter(
      ({ path, message }) => !known.has(`${path} ${message}`),
    )
    if (args.flag('json')) {
      terminal.out(`${JSON.stringify({ changes, warnings }, null, 2)}\n`)
    } else {
      const { paint } = terminal
      for (const { kind, subject, details, loosens } of changes) {
        const mark = loosens ? `  ${paint.red('authentication loosened')}` : ''
        terminal.out(`${SIGNS[kind]} ${paint.bold(subject)}${mark}\n`)
        for (const detail of details) terminal.out(`    ${detail}\n`)
      }
      for (const { path, message } of warnings) {
        terminal.out(`! ${paint.yellow(path)}  ${message}\n`)
      }
      terminal.out(`${counted(changes.length, 'change')}\n`)
    }
    return isLoosened && args.flag('strict') ? EXIT.problems : EXIT.fine
  },
}
