// `gatehouse keys create`: an API key, shown once, and the line of the configuration that knows it.
import { type Command, EXIT, UsageError } from './command.ts'

const CONSUMER = /^[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}$/

export const keys: Command = {
  name: 'keys',
  summary: 'Make an API key, and the line of the configuration that knows it.',
  usage: 'create',
  details:
    'The key is shown once and kept nowhere: the configuration holds its hash. Example:\n\n' +
    '  gatehouse keys create --consumer mobile-app',
  options: {
    prefix: {
      type: 'string',
      value: 'TEXT',
      description: 'What it begins with. Default: gh. Tell `api-key` about another one.',
    },
    consumer: { type: 'string', value: 'ID', description: 'The consumer that gets it.' },
    json: { type: 'boolean', description: 'Print key and hash as JSON.' },
  },
  argumentsMax: 1,
  async run(args, terminal) {
    const [action] = args.positionals
    if (action !== 'create') {
      throw new UsageError(
        action === undefined
          ? 'say what to do: gatehouse keys create'
          : `"${action}" is nothing that can be done with keys; write gatehouse keys create`,
      )
    }
    const { apiKeyHash, createApiKey, KEY_PREFIX } = await import(
      '../../policies/api-key-format.ts'
    )
    const prefix = args.text('prefix') ?? 'gh'
    if (!KEY_PREFIX.test(prefix)) {
      throw new UsageError(
        `"${prefix}" is no prefix: write 2 to 16 lower-case letters and digits, a letter first`,
      )
    }
    const consumer = args.text('consumer')
    if (consumer !== null && !CONSUMER.test(consumer)) {
      throw new UsageError(
        `"${consumer}" is no id of a consumer: write letters, digits and ._@+-, at most 128`,
      )
    }
    const key = createApiKey(prefix)
    const hash = `sha256:${Buffer.from(apiKeyHash(key), 'base64url').toString('hex')}`
    terminal.out(
      args.flag('json')
        ? `${JSON.stringify({ key, hash })}\n`
        : `${key}\n\nThe key is shown only now. The configuration knows its hash:\n\n` +
            `consumers:\n  ${consumer ?? 'NAME'}:\n    keys: ['${hash}']\n`,
    )
    return EXIT.fine
  },
}
