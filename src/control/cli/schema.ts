// `gatehouse schema`: the JSON Schema of configuration files, for editors.
import { type Command, EXIT } from './command.ts'
import { configurationFile, load } from './configuration-file.ts'

export const schema: Command = {
  name: 'schema',
  summary: 'Print the JSON Schema of configuration files, for editors.',
  usage: '[file]',
  details:
    'With a file, the policies of its plugins are part of the schema. An editor finds the schema by the first\n' +
    'line of the configuration: `# yaml-language-server: $schema=PATH`.',
  options: {},
  argumentsMax: 1,
  async run(args, terminal) {
    const [named] = args.positionals
    const { documentJsonSchema } = await import('../../config/json-schema.ts')
    const { policies } =
      named === undefined
        ? await import('../../policies/registry.ts')
        : await load(configurationFile(named, terminal.cwd))
    terminal.out(`${JSON.stringify(documentJsonSchema(policies), null, 2)}\n`)
    return EXIT.fine
  },
}
