// Starts a gateway as a person would, in processes of its own, and talks to it over real sockets.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Changes, eventually, PATIENCE_MS } from '../../../test/support/changes.ts'

/**
 * Three times code is loaded, one after the other: by the process, by what reads the configuration, and
 * by the threads.
 */
export const START_PATIENCE_MS = 3 * PATIENCE_MS

/** Who answered, as the test plane tells it. */
export interface Answer {
  readonly generation: number
  readonly via: string
  readonly thread: number
  readonly threadId: number
  readonly pid: number
  /** How many services it has addresses of. */
  readonly services: number
}

/** How a gateway is started. */
export interface RunSettings {
  readonly threads?: number
  readonly watch?: boolean
  /** The configuration without `admin`. */
  readonly configuration: string
  /** Other files beside it, by name. */
  readonly files?: Readonly<Record<string, string>>
  /** Starts it as `gatehouse run` does, with the real data plane instead of the test's. */
  readonly isReal?: boolean
  /** What starts the parent, the script and its arguments following; node by default. */
  readonly command?: readonly string[]
  readonly stdio?: readonly number[]
}

/** A gateway in processes of its own. */
export class RunningGateway {
  readonly file: string
  readonly #folder = mkdtempSync(join(tmpdir(), 'gatehouse-process-'))
  readonly #changes = new Changes()
  readonly #process: ChildProcess
  readonly exited: Promise<number | null>
  output = ''
  #exit: number | string | null = null

  constructor(settings: RunSettings) {
    const { configuration, files = {}, command = [process.execPath], stdio = [] } = settings
    this.file = join(this.#folder, 'gatehouse.yaml')
    this.write(configuration)
    for (const [name, text] of Object.entries(files)) this.writeFile(name, text)
    const [program, ...before] = command
    const run = [...before, ...scriptOf(settings, this.file)]
    // It ends when its standard input does: with this process, however that ends.
    this.#process = spawn(program!, run, { stdio: ['pipe', 'pipe', 'pipe', ...stdio] })
    for (const stream of [this.#process.stdout!, this.#process.stderr!]) {
      stream.setEncoding('utf8').on('data', (text) => {
        this.output += text
        this.#changes.notify()
      })
    }
    this.exited = once(this.#process, 'exit').then(([code, signal]) => {
      this.#exit = signal ?? code
      this.#changes.notify()
      return code
    })
  }

  /** A gateway that is ready. */
  static async start(settings: RunSettings): Promise<RunningGateway> {
    const gateway = new RunningGateway(settings)
    try {
      await gateway.said(/\d+ threads?, /, 0, START_PATIENCE_MS)
    } catch (error) {
      await gateway.stop()
      throw error
    }
    return gateway
  }

  get pid(): number {
    return this.#process.pid!
  }

  /** The ports of its listeners, the latest first. */
  get port(): number {
    return Number(/listening on http:\/\/[^ ]*:(\d+)\n/.exec(this.output)![1])
  }

  get adminPort(): number {
    return Number(/admin API on http:\/\/127\.0\.0\.1:(\d+)\n/.exec(this.output)![1])
  }

  /** Writes a file beside the configuration. */
  writeFile(name: string, text: string): void {
    writeFileSync(join(this.#folder, name), text)
  }

  /** Replaces the configuration file. */
  write(configuration: string): void {
    writeFileSync(this.file, `admin: { listen: 'http://127.0.0.1:0' }\n${configuration}`)
  }

  /** Resolves when the output holds `pattern`; only what came after `from` characters counts. */
  said(pattern: RegExp, from = 0, patienceMs = PATIENCE_MS): Promise<string> {
    return this.#changes.until(
      () => {
        const found = pattern.exec(this.output.slice(from))
        if (found !== null) return found[0]
        if (this.#exit !== null) throw new Error(`ended with ${this.#exit}:\n${this.output}`)
        return null
      },
      () => `${pattern} in the output:\n${this.output}`,
      patienceMs,
    )
  }

  /** Resolves when another gateway process has taken over, which takes as long as a start. */
  replaced(from = 0): Promise<string> {
    return this.said(/a new gateway process serves/, from, START_PATIENCE_MS)
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal)
  }

  /** Stops reading what it writes, as a log collector that died does. */
  closeOutput(): void {
    this.#process.stdout!.destroy()
    this.#process.stderr!.destroy()
  }

  /** Ends it as a supervisor would; returns the exit code. */
  async stop(): Promise<number | null> {
    if (this.#exit === null) this.signal('SIGTERM')
    const deadline = setTimeout(() => this.#process.stdin!.end(), PATIENCE_MS)
    const code = await this.exited
    clearTimeout(deadline)
    rmSync(this.#folder, { recursive: true, force: true })
    return code
  }
}

function scriptOf(
  { isReal = false, threads = 1, watch = false }: RunSettings,
  file: string,
): string[] {
  const path = (name: string) => fileURLToPath(new URL(name, import.meta.url))
  const count = String(threads)
  if (!isReal) return [path('./run.test-support.ts'), file, count, watch ? 'watch' : '']
  return [path('../../main.ts'), 'run', file, '--threads', count, ...(watch ? ['--watch'] : [])]
}

/** The living processes whose parent is `pid`. */
export function childrenOf(pid: number): number[] {
  const found: number[] = []
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'latin1')
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      if (Number(parent) === pid && state !== 'Z') found.push(Number(entry))
    } catch {}
  }
  return found
}

/** Stops a process; resolves when none of its threads runs any more, which takes a busy machine a while. */
export async function stop(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  const isStopped = (thread: string): boolean => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T')
  }
  await eventually(
    () => readdirSync(`/proc/${pid}/task`).every(isStopped),
    () => `process ${pid} to stop`,
  )
}

/** One connection to the gateway. */
export class Connection {
  readonly socket: net.Socket
  readonly closed: Promise<void>
  readonly #changes = new Changes()
  #received = ''
  #end: string | null = null

  constructor(port: number) {
    this.socket = net.connect(port, '127.0.0.1').setEncoding('latin1')
    this.socket.on('data', (text) => {
      this.#received += text
      this.#changes.notify()
    })
    this.closed = new Promise((resolve) => {
      this.socket.on('error', (error: NodeJS.ErrnoException) => {
        this.#end = error.code ?? error.message
      })
      this.socket.on('close', () => {
        this.#end ??= 'closed'
        this.#changes.notify()
        resolve()
      })
    })
  }

  connected(): Promise<unknown> {
    return this.socket.pending ? once(this.socket, 'connect') : Promise.resolve()
  }

  send(path: string): void {
    this.socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  }

  /** The next answer. @throws when the connection ends before it. */
  answer(): Promise<Answer> {
    return this.#changes.until(
      () => {
        const found = /\{.*?"pid":\d+[^}]*\}/.exec(this.#received)
        if (found === null && this.#end !== null) throw new Error(`no answer: ${this.#end}`)
        if (found === null) return null
        this.#received = this.#received.slice(found.index + found[0].length)
        return JSON.parse(found[0]) as Answer
      },
      () => 'an answer',
    )
  }

  ask(path: string): Promise<Answer> {
    this.send(path)
    return this.answer()
  }

  close(): void {
    this.socket.destroy()
  }
}

/** Asks once on a connection of its own. */
export async function ask(port: number, path = '/'): Promise<Answer> {
  const connection = new Connection(port)
  try {
    return await connection.ask(path)
  } finally {
    connection.close()
  }
}

/** The answer of an HTTP server that closes after it, head and all. */
export async function fetchText(port: number, path: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    headers: { connection: 'close' },
  })
  return `${response.status} ${await response.text()}`
}

/** Clients that ask again and again until they are stopped, or fail. */
export class Load {
  answered = 0
  #isStopped = false
  readonly #ended: Promise<PromiseSettledResult<void>[]>

  constructor(clients: number, ask: () => Promise<unknown>) {
    const run = async () => {
      while (!this.#isStopped) {
        await ask()
        this.answered++
      }
    }
    this.#ended = Promise.allSettled(Array.from({ length: clients }, run))
  }

  /** Resolves once so many more answers came. */
  more(count: number): Promise<void> {
    const from = this.answered
    return eventually(
      () => this.answered >= from + count,
      () => `${count} more answers`,
    )
  }

  /** Lets every client have its last answer; returns what went wrong. */
  async stop(): Promise<unknown[]> {
    this.#isStopped = true
    const results = await this.#ended
    return results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
  }
}
