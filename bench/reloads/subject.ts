// The gateway that is reloaded: `gatehouse run` with two threads, as a user starts it.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { childrenOf } from '../../scripts/process-tree.ts'

const THREADS = 2
const LIVE = 'the new configuration is live'
/** What collect.ts says. */
const HEAP = 'heap: '
const RELOAD_TIMEOUT_MS = 120_000

/** How a reload is asked for. */
export type Way = 'signal' | 'file'

/** One look at the gateway process, after a forced collection in all of its threads. */
export interface Sample {
  readonly rssBytes: number
  /** What the JavaScript heaps of all threads hold. */
  readonly heapBytes: number
  readonly threads: number
  readonly sockets: number
  /** Open descriptors that are no sockets. */
  readonly otherDescriptors: number
}

/** A running gateway. */
export class Subject {
  readonly #folder = mkdtempSync(join(tmpdir(), 'gatehouse-reloads-'))
  readonly #file: string
  readonly #process: ChildProcess
  #rest = ''
  #live = 0
  #heapBytes = 0
  #isEnding = false
  /** Whoever waits for a line. */
  #wake: () => void = () => {}
  #isReady = false
  /** What it said beside that configurations are live. */
  readonly said: string[] = []

  /** @param name of the configuration file; its ending says what it is. */
  constructor(name: string, text: string) {
    this.#file = join(this.#folder, name)
    writeFileSync(this.#file, text)
    const root = join(import.meta.dirname, '../..')
    const flags = ['--expose-gc', '--import', join(import.meta.dirname, 'collect.ts')]
    const run = ['run', this.#file, '--threads', String(THREADS), '--watch']
    this.#process = spawn(process.execPath, [...flags, join(root, 'src/main.ts'), ...run], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#process.stderr!.setEncoding('utf8').on('data', (text: string) => this.#read(text))
    this.#process.once('exit', (code, signal) => {
      if (this.#isEnding) return
      console.error(this.said.slice(-20).join('\n'))
      throw new Error(`the gateway ended with ${signal ?? code}`)
    })
  }

  async ready(): Promise<void> {
    await this.#until(() => this.#isReady)
  }

  /** Where it listens. */
  get port(): number {
    return Number(/listening on http:\/\/[^ ]*:(\d+)/.exec(this.said.join('\n'))![1])
  }

  /** The process whose threads serve. */
  get pid(): number {
    return childrenOf(this.#process.pid!)[0]!
  }

  /** Puts another configuration in place; returns how long it took until it was live, in milliseconds. */
  async reload(text: string, way: Way): Promise<number> {
    const wanted = this.#live + 1
    const began = performance.now()
    writeFileSync(`${this.#file}.new`, text)
    renameSync(`${this.#file}.new`, this.#file)
    if (way === 'signal') this.#process.kill('SIGHUP')
    await this.#until(() => this.#live >= wanted)
    return performance.now() - began
  }

  async sample(): Promise<Sample> {
    const { pid } = this
    this.#heapBytes = 0
    process.kill(pid, 'SIGWINCH')
    await this.#until(() => this.#heapBytes > 0)
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)![1])
    const kinds = readdirSync(`/proc/${pid}/fd`).map((fd) => kindOf(`/proc/${pid}/fd/${fd}`))
    const sockets = kinds.filter((kind) => kind.startsWith('socket:')).length
    return {
      rssBytes: field('VmRSS') * 1024,
      heapBytes: this.#heapBytes,
      threads: field('Threads'),
      sockets,
      otherDescriptors: kinds.filter((kind) => kind !== '').length - sockets,
    }
  }

  async stop(): Promise<void> {
    this.#isEnding = true
    const { exitCode } = this.#process
    if (exitCode === null) {
      this.#process.kill('SIGINT')
      await once(this.#process, 'exit')
    }
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop()!
    for (const line of lines) {
      if (line.includes(LIVE)) this.#live++
      else if (line.startsWith(HEAP)) this.#heapBytes = Number(line.slice(HEAP.length))
      else this.said.push(line)
      if (/\d+ threads?, /.test(line)) this.#isReady = true
    }
    this.#wake()
  }

  async #until(holds: () => boolean): Promise<void> {
    const deadline = performance.now() + RELOAD_TIMEOUT_MS
    while (!holds()) {
      const left = deadline - performance.now()
      if (left <= 0) throw new Error(`it takes too long:\n${this.said.slice(-20).join('\n')}`)
      const abort = new AbortController()
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      await Promise.race([woken, sleep(left, undefined, { signal: abort.signal }).catch(() => {})])
      abort.abort()
    }
  }
}

/** What a descriptor is; empty if it was closed meanwhile. */
function kindOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}
