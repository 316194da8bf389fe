// `gatehouse version`: what is installed, and what it runs on.
import { readFileSync } from 'node:fs'
import { type Command, EXIT } from './command.ts'

const PACKAGE = new URL('../../../package.json', import.meta.url)

export const version: Command = {
  name: 'version',
  summary: 'Print the version.',
  usage: '',
  options: { json: { type: 'boolean', description: 'Print it as JSON.' } },
  argumentsMax: 0,
  run(args, terminal) {
    const { version } = JSON.parse(readFileSync(PACKAGE, 'utf8')) as { version: string }
    const { platform, arch } = process
    if (args.flag('json')) {
      terminal.out(`${JSON.stringify({ version, node: process.versions.node, platform, arch })}\n`)
    } else
      terminal.out(`gatehouse ${version} (node ${process.versions.node}, ${platform} ${arch})\n`)
    return EXIT.fine
  },
}
