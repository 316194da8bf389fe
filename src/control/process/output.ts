// The lines that people read while a gateway runs. They go to stderr; stdout is for the log.
import type { ReadyMessage } from './parent-protocol.ts'

/** Writes one line for the person who runs the gateway. */
export function report(line: string): void {
  process.stderr.write(`gatehouse: ${line}\n`)
}

/** When nobody reads the output any more, that is no reason to stop serving. */
export function surviveClosedOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
    })
  }
}

/** What runs, one line each. */
export function readyLines({ urls, adminUrl, threads, routes, services }: ReadyMessage): string[] {
  return [
    ...urls.map((url) => `listening on ${url}`),
    adminUrl === null ? 'the admin API is off' : `admin API on ${adminUrl}`,
    `${counted(threads, 'thread')}, ${counted(routes, 'route')}, ${counted(services, 'service')}`,
  ]
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
