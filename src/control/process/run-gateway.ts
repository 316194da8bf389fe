// Runs a gateway from a configuration file until it is told to stop: what `gatehouse run` does.
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { loadInWorker } from '../../config/load-worker.ts'
import { toChecked } from './checked-document.ts'
import { canHoldSockets } from './listening-sockets.ts'
import { moduleUrl } from './module-url.ts'
import { readyLines, report, surviveClosedOutput } from './output.ts'
import { Parent } from './parent.ts'
import { problemLines } from './problem-lines.ts'

/** How long a gateway process may take until it serves, in milliseconds. */
const START_TIMEOUT_MS = 120_000

/** What `runGateway` ends with. */
export const EXIT_CODES = {
  /** It was told to stop, and did. */
  stopped: 0,
  /** It could not start, or could not go on. */
  failed: 1,
  /** The configuration is wrong; nothing was started. */
  refused: 2,
} as const

/** How a gateway is run. */
export interface RunOptions {
  /** The configuration file. */
  readonly file: string
  /** Data-plane threads; the configuration's by default. They stay as many for as long as it runs. */
  readonly threads?: number
  /** Reload when the file, or the code of its policies, is written. */
  readonly watch?: boolean
  /** The module of the gateway process; its own by default. */
  readonly entry?: URL
}

/** Runs a gateway until SIGTERM or SIGINT; resolves with the exit code. Prints what a person should know. */
export async function runGateway(options: RunOptions): Promise<number> {
  surviveClosedOutput()
  const file = resolve(options.file)
  const { document, problems } = await loadInWorker(file)
  for (const line of problemLines(problems)) process.stderr.write(`${line}\n`)
  if (document === null) {
    report('not started: the configuration is wrong')
    return EXIT_CODES.refused
  }
  const configured = document.threads === 'auto' ? availableParallelism() : document.threads
  const threads = canHoldSockets() ? (options.threads ?? configured) : 1
  try {
    const parent = new Parent(toChecked(document), {
      entry: options.entry ?? moduleUrl('../admin/gateway-main', import.meta.url),
      file,
      threads,
      watch: options.watch ?? false,
      startTimeoutMs: START_TIMEOUT_MS,
      onReady: (message, first) => {
        if (first) for (const line of readyLines(message)) report(line)
        else report('a new gateway process serves')
      },
      report,
    })
    return await parent.run()
  } catch (error) {
    report(`not started: ${(error as Error).message}`)
    return EXIT_CODES.failed
  }
}
