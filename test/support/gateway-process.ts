// Gatehouse as `gatehouse run` starts it, with its parent, its gateway process and several threads.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Changes } from './changes.ts'

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts')

/** A running `gatehouse run`. */
export class GatewayProcess {
  readonly #child: ChildProcess
  readonly #directory: string
  readonly #changes = new Changes()
  #output = ''
  #port = 0

  private constructor(child: ChildProcess, directory: string) {
    this.#child = child
    this.#directory = directory
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.on('data', (data: Buffer) => {
        this.#output += data.toString()
        this.#changes.notify()
      })
    }
    child.on('exit', () => this.#changes.notify())
  }

  /** Resolves when all threads accept connections. @throws Error with its output when it does not start. */
  static async start(yaml: string, threads: number): Promise<GatewayProcess> {
    const directory = mkdtempSync(join(tmpdir(), 'gatehouse-run-'))
    const file = join(directory, 'gatehouse.yaml')
    writeFileSync(file, `listen: http://127.0.0.1:0\nadmin: false\n${yaml}`)
    const child = spawn(process.execPath, [MAIN, 'run', file, '--threads', String(threads)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const gateway = new GatewayProcess(child, directory)
    gateway.#port = await gateway.#listening()
    return gateway
  }

  get port(): number {
    return this.#port
  }

  #listening(): Promise<number> {
    return this.#changes.until(
      () => {
        const match = /listening on https?:\/\/[^ ]*:(\d+)\b/.exec(this.#output)
        if (match !== null && /\d+ threads?, /.test(this.#output)) return Number(match[1])
        if (this.#child.exitCode !== null) throw new Error(`it did not start: ${this.#output}`)
        return null
      },
      () => `the gateway to listen; it said: ${this.#output}`,
    )
  }

  /** Ends it as a supervisor would. */
  async close(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const gone = once(this.#child, 'exit')
      this.#child.kill('SIGTERM')
      await gone
    }
    rmSync(this.#directory, { recursive: true, force: true })
  }
}
