// `gatehouse init`: a configuration to begin with.
import { existsSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Command, EXIT } from './command.ts'
import { displayPath } from './problem-report.ts'

export const init: Command = {
  name: 'init',
  summary: 'Write a commented configuration to begin with.',
  usage: '[file]',
  details: 'Writes gatehouse.yaml, or the file that is named. Never overwrites anything.',
  options: {},
  argumentsMax: 1,
  run(args, terminal) {
    const file = resolve(terminal.cwd, args.positionals[0] ?? 'gatehouse.yaml')
    const shown = displayPath(file, terminal.cwd)
    try {
      writeFileSync(file, starter(schemaReference(file)), { flag: 'wx' })
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      terminal.err(
        `gatehouse: ${code === 'EEXIST' ? `${shown} is there already; nothing was written` : message}\n`,
      )
      return EXIT.problems
    }
    terminal.out(`Wrote ${shown}. Next:\n\n  gatehouse check ${shown}\n  gatehouse run ${shown}\n`)
    return EXIT.fine
  },
}

/** Where an editor that opens the new file finds the schema: in the package, as seen from the file. */
function schemaReference(file: string): string {
  const directory = resolve(file, '..')
  const installed = 'node_modules/gatehouse/dist/gatehouse.schema.json'
  if (existsSync(join(directory, installed))) return `./${installed}`
  const own = ['../../gatehouse.schema.json', '../../../schema/gatehouse.schema.json']
    .map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .find((path) => existsSync(path))
  return own === undefined ? './gatehouse.schema.json' : relative(directory, own)
}

function starter(schema: string): string {
  return `# yaml-language-server: $schema=${schema}
# Check it with \`gatehouse check\`, see its routes with \`gatehouse routes\`, start it with \`gatehouse run\`.

# Where clients connect.
listen: http://127.0.0.1:8080

# What stands behind the gateway, by name.
services:
  users: http://127.0.0.1:4001
  # With settings: several endpoints, how requests are spread, how long an answer may take.
  orders:
    endpoints: [http://127.0.0.1:4002, http://127.0.0.1:4003]
    balance: round-robin
    timeout: 10s

# Policies on every route, in the order in which they run.
use:
  - request-id
  - access-log

# Which requests go where. The most specific route wins; the order of this list has no meaning.
routes:
  # /api/users and everything below it.
  - path: /api/users/*
    to: users

  # A route may have policies of its own, and change the path on its way.
  - path: /api/orders/*
    methods: [GET, POST]
    use:
      - body-limit: { max: 1mb }
    rewrite: { stripPrefix: true }
    to: orders

  # Gatehouse can answer by itself.
  - path: /
    respond: { json: { gateway: ok } }
`
}
