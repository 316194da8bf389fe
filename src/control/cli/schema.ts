// `gatehouse schema`: the JSON Schema of configuration files, for editors.
import { documentJsonSchema } from '../../config/json-schema.ts'
import { loadForPeople } from '../../config/load.ts'
import { policies } from '../../policies/registry.ts'
import { type Command, EXIT } from './command.ts'
import { configurationFile } from './configuration-file.ts'

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
    const named = args.positionals[0]
    const all =
      named === undefined
        ? policies
        : (await loadForPeople(configurationFile(named, terminal.cwd))).policies
    terminal.out(`${JSON.stringify(documentJsonSchema(all), null, 2)}\n`)
    return EXIT.fine
  },
}
