// `gatehouse run`: the gateway itself.
import { type Command, EXIT, UsageError } from './command.ts'
import { configurationFile } from './configuration-file.ts'

const THREADS_MAX = 64

export const run: Command = {
  name: 'run',
  summary: 'Start the gateway.',
  usage: '[file]',
  details:
    'Stops on SIGTERM or SIGINT: new connections are refused, running requests may end. SIGHUP loads the\n' +
    'configuration anew; a wrong one is reported and changes nothing.',
  options: {
    threads: {
      type: 'string',
      value: 'N',
      description: "Worker threads, in the place of the configuration's `threads`.",
    },
    watch: { type: 'boolean', description: 'Load the configuration anew whenever it is written.' },
  },
  argumentsMax: 1,
  async run(args, terminal) {
    const threads = threadsOf(args.text('threads'))
    const file = configurationFile(args.positionals[0], terminal.cwd)
    const { EXIT_CODES, runGateway } = await import('../process/run-gateway.ts')
    const code = await runGateway({
      file,
      watch: args.flag('watch'),
      ...(threads === null ? {} : { threads }),
    })
    return code === EXIT_CODES.refused ? EXIT.problems : code
  },
}

function threadsOf(text: string | null): number | null {
  if (text === null) return null
  const threads = /^[0-9]{1,3}$/.test(text) ? Number(text) : 0
  if (threads >= 1 && threads <= THREADS_MAX) return threads
  throw new UsageError(`--threads takes a number from 1 to ${THREADS_MAX}, not "${text}"`)
}
