// `gatehouse explain METHOD URL`: which route takes a request and why, what runs on it, where it goes.
import { type Command, EXIT, UsageError } from './command.ts'
import { configurationFile, loadOrReport } from './configuration-file.ts'
import { explanationLines } from './explanation-text.ts'
import { describeRequest } from './request-description.ts'

export const explain: Command = {
  name: 'explain',
  summary: 'Show what happens to a request, and why.',
  usage: 'METHOD URL [file]',
  details:
    'The URL is whole, or a path. Example:\n\n' +
    "  gatehouse explain GET 'https://api.example.com/api/users/7?full=1' -H 'X-Api-Key: ...' --from 192.0.2.7\n\n" +
    'Policies are run as far as they decide without asking anybody. Nothing is sent.',
  options: {
    header: {
      type: 'string',
      short: 'H',
      multiple: true,
      value: "'NAME: VALUE'",
      description: 'A header of the request; may be given several times.',
    },
    from: { type: 'string', value: 'IP', description: "The client's address. Default: 127.0.0.1." },
    all: { type: 'boolean', description: 'List the routes for other hosts and paths as well.' },
    json: { type: 'boolean', description: 'Print the explanation as JSON.' },
  },
  argumentsMax: 3,
  async run(args, terminal) {
    const [method, url, named] = args.positionals
    if (method === undefined || url === undefined) {
      throw new UsageError('a method and a URL are needed, like GET /api/users')
    }
    const headerLines = args.texts('header')
    refuseUnread(url, headerLines)
    const request = describeRequest(method, url, headerLines, args.text('from') ?? '127.0.0.1')
    const loaded = await loadOrReport(configurationFile(named, terminal.cwd), terminal)
    if (loaded === null) return EXIT.problems
    const { explainRequest } = await import('./explanation.ts')
    const { document, policies } = loaded
    const explanation = await explainRequest(document, request, {
      headerLines,
      policies,
      all: args.flag('all'),
    })
    const text = args.flag('json')
      ? JSON.stringify(explanation, null, 2)
      : explanationLines(explanation, terminal.paint).join('\n')
    terminal.out(`${text}\n`)
    return EXIT.fine
  },
}

/** What cannot be read may hold a password or a key: it is refused here, without being repeated. */
function refuseUnread(url: string, headerLines: readonly string[]): void {
  if (!/^(?:\/|https?:\/\/[^/?#@]+(?:[/?]|$))/i.test(url)) {
    throw new UsageError(
      'this is neither a URL with http:// or https://, without a user name, nor a path',
    )
  }
  for (const line of headerLines) {
    if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+:/.test(line)) {
      throw new UsageError("this is not a header; write -H 'Name: value'")
    }
  }
}
